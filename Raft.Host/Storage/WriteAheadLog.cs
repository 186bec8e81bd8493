using System.Runtime.InteropServices;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>
/// Four segments, preallocated and used in turn. Records stand at multiples of 4,096, with sequences 1, 2, 3, ... for
/// ever. There are no segment headers and no epochs: a flipped bit in one would hide a whole segment.
/// </summary>
internal sealed unsafe class WriteAheadLog : IDisposable
{
    private readonly IStorageFile[] _segments;
    private readonly int _segmentBytes;
    private readonly ulong _salt;
    private readonly long[] _highest;               // sequence in each segment
    private WalReader? _reader;                     // null once the log is open: it holds a segment in memory
    private byte* _buffer;
    private int _bufferBytes;
    private int _segment;
    private int _offset;
    private long _covered;
    private long _checkpoint;

    public WriteAheadLog(IStorageFile[] segments, int segmentBytes, int recordBytes, ulong salt)
    {
        _segments = segments;
        _segmentBytes = segmentBytes;
        _salt = salt;
        _highest = new long[segments.Length];
        _reader = new WalReader(segments, segmentBytes, salt);
        Reserve(recordBytes + WalRecord.HeaderBytes);
    }

    ~WriteAheadLog() => NativeMemory.AlignedFree(_buffer);

    /// <summary>A record of one entry can have so many bytes of payload at the most.</summary>
    public int PayloadBytesMax => WalSectors.ContentOf(_segmentBytes) - WalRecord.HeaderBytes;

    /// <summary>The last sequence written.</summary>
    public long Sequence { get; private set; }

    public string CurrentPath => _segments[_segment].Path;

    public long FileBytes => (long)_segmentBytes * _segments.Length;

    /// <summary>All up to here is in the database, checkpointed.</summary>
    public long Covered => Volatile.Read(ref _covered);

    /// <summary>Called after <see cref="Covered"/> has risen; by the database thread.</summary>
    public Action? RoomMade { get; set; }

    /// <summary>Whether the segment after this one may be overwritten: a start needs it.</summary>
    public bool HasNextSegment => Covered >= _highest[(_segment + 1) % _segments.Length];

    /// <param name="sequence">All up to here is in the database.</param>
    /// <param name="checkpoint">By which one; records say it from now on.</param>
    public void SetCovered(long sequence, long checkpoint)
    {
        Volatile.Write(ref _checkpoint, checkpoint);
        Volatile.Write(ref _covered, sequence);
        RoomMade?.Invoke();
    }

    /// <summary>Where the payload of the next record goes.</summary>
    public Span<byte> Payload(int bytes)
    {
        Reserve(bytes + WalRecord.HeaderBytes);
        return new Span<byte>(_buffer + WalRecord.HeaderBytes, bytes);
    }

    /// <summary>Writes the record whose payload was filled in; not yet synced. Hot path.</summary>
    /// <param name="payloadBytes">Its length.</param>
    /// <param name="askForCheckpoint">Called when a segment is needed that is not covered, or soon will be.</param>
    /// <returns>The bytes written; 0 when there is no room before the next checkpoint.</returns>
    public int TryWrite(int payloadBytes, Action askForCheckpoint)
    {
        int bytes = WalRecord.HeaderBytes + payloadBytes, padded = WalSectors.PhysicalBytes(bytes);
        if (_offset + padded > _segmentBytes && !TryEnterNextSegment(askForCheckpoint))
            return 0;

        WriteRecord(Sequence + 1, bytes, padded);
        Sequence++;
        return padded;
    }

    public void Sync() => _segments[_segment].Sync();

    /// <summary>The last checkpoint that any record knows of. Before <see cref="Recover"/>, and of no use after it.</summary>
    public long CheckpointSeen => Reader.CheckpointSeen;

    /// <summary>Steps 3 and 4 of opening: all whole records above the position, in a row; the last one written again.</summary>
    /// <param name="position">The database has all up to here.</param>
    /// <param name="isOld">WAL format 1, whose sectors do not say what they are.</param>
    /// <exception cref="Engine.Errors.CorruptStorageException">A gap, nothing at or above the position, or a last record that was whole once.</exception>
    public List<WalReader.Found> Recover(long position, bool isOld = false)
    {
        List<WalReader.Found> records = Reader.Recover(position, isOld);
        if (records.Count > 0)
        {
            // After a failed sync the page cache shows what the disk does not have: what we rely on is written again.
            WalReader.Found last = records[^1];
            _segments[last.Segment].Write(last.Offset, last.Bytes);
            _segments[last.Segment].Sync();
        }

        Sequence = Math.Max(position, records.Count > 0 ? records[^1].Sequence : 0);
        foreach (WalReader.Found record in records)
            _highest[record.Segment] = Math.Max(_highest[record.Segment], record.Sequence);
        _segment = Reader.HighestSegment;
        _offset = _segmentBytes;                    // go on in the segment after it
        return records;
    }

    /// <summary>The end of opening: the database has all of the log, on the disk or, where that is full, in memory.</summary>
    public void Opened(bool isOld)
    {
        if (isOld)
            Upgrade();
        else
            Reader.ClearChanged();
        _reader = null;
    }

    /// <summary>Rids a log of WAL format 1 of its sectors, which nobody could tell from changed ones. All of it is in the database. At any
    /// time one whole record has the last sequence, so a start after a cut finds its end; the manifest says when this is through.</summary>
    private void Upgrade()
    {
        int last = _segment, next = (last + 1) % _segments.Length;
        for (int segment = 0; segment < _segments.Length; segment++)
        {
            if (segment != last)
                Clear(_segments[segment]);
        }

        (_segment, _offset) = (next, 0);
        if (Sequence > 0)
        {
            WriteRecord(Sequence, WalRecord.HeaderBytes, WalSectors.PhysicalBytes(WalRecord.HeaderBytes));
            Sync();
        }

        Clear(_segments[last]);
    }

    public void Dispose()
    {
        foreach (IStorageFile segment in _segments)
            segment.Dispose();
        NativeMemory.AlignedFree(_buffer);
        _buffer = null;
        _bufferBytes = 0;
        GC.SuppressFinalize(this);
    }

    private WalReader Reader => _reader ?? throw new InvalidOperationException("The log was opened already.");

    internal static ulong Place(int segment, int offset) => ((ulong)segment << 32) | (uint)offset;

    private void WriteRecord(long sequence, int bytes, int padded)
    {
        var record = new Span<byte>(_buffer, padded);
        ulong place = Place(_segment, _offset);
        WalRecord.Seal(record[..bytes], sequence, place, Volatile.Read(ref _checkpoint), _salt);
        WalSectors.Spread(record, bytes, place, sequence, _salt);
        _segments[_segment].Write(_offset, record);
        _highest[_segment] = sequence;
        _offset += padded;
    }

    private void Clear(IStorageFile segment)
    {
        byte[] zeros = new byte[Math.Min(1 << 20, _segmentBytes)];
        for (int at = 0; at < _segmentBytes; at += zeros.Length)
            segment.Write(at, zeros.AsSpan(0, Math.Min(zeros.Length, _segmentBytes - at)));
        segment.Sync();
    }

    private bool TryEnterNextSegment(Action askForCheckpoint)
    {
        int next = (_segment + 1) % _segments.Length;

        // A synced block is never rewritten before what it holds is in the database.
        if (Covered < _highest[next])
        {
            askForCheckpoint();
            return false;
        }

        _segment = next;
        _offset = 0;
        if (Covered < _highest[(next + 1) % _segments.Length])
            askForCheckpoint();
        return true;
    }

    private void Reserve(int bytes)
    {
        int padded = WalSectors.PhysicalBytes(bytes);
        if (padded <= _bufferBytes)
            return;
        NativeMemory.AlignedFree(_buffer);
        _buffer = (byte*)NativeMemory.AlignedAlloc((nuint)padded, WalRecord.BlockBytes);
        _bufferBytes = padded;
    }
}

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
    private byte* _buffer;
    private int _bufferBytes;
    private int _segment;
    private int _offset;
    private long _covered;

    public WriteAheadLog(IStorageFile[] segments, int segmentBytes, int recordBytes, ulong salt)
    {
        _segments = segments;
        _segmentBytes = segmentBytes;
        _salt = salt;
        _highest = new long[segments.Length];
        Reserve(recordBytes + WalRecord.HeaderBytes);
    }

    ~WriteAheadLog() => NativeMemory.AlignedFree(_buffer);

    /// <summary>A record of one entry can have so many bytes of payload at the most.</summary>
    public int PayloadBytesMax => _segmentBytes - WalRecord.HeaderBytes;

    /// <summary>The last sequence written.</summary>
    public long Sequence { get; private set; }

    public string CurrentPath => _segments[_segment].Path;

    public long FileBytes => (long)_segmentBytes * _segments.Length;

    /// <summary>All up to here is in the database, checkpointed.</summary>
    public long Covered => Volatile.Read(ref _covered);

    /// <summary>Called after <see cref="Covered"/> has risen; by the database thread.</summary>
    public Action? RoomMade { get; set; }

    public void SetCovered(long sequence)
    {
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
        int bytes = WalRecord.HeaderBytes + payloadBytes, padded = WalRecord.RoundUp(bytes);
        if (_offset + padded > _segmentBytes && !TryEnterNextSegment(askForCheckpoint))
            return 0;

        long sequence = Sequence + 1;
        WalRecord.Seal(new Span<byte>(_buffer, bytes), sequence, Place(_segment, _offset), _salt);
        new Span<byte>(_buffer + bytes, padded - bytes).Clear();
        _segments[_segment].Write(_offset, new ReadOnlySpan<byte>(_buffer, padded));
        _highest[_segment] = sequence;
        _offset += padded;
        Sequence = sequence;
        return padded;
    }

    public void Sync() => _segments[_segment].Sync();

    /// <summary>A whole record as found at opening.</summary>
    public sealed record Found(long Sequence, int Segment, int Offset, byte[] Bytes);

    /// <summary>Steps 3 and 4 of opening: all whole records above the position, in a row; the last one written again.</summary>
    /// <exception cref="Engine.Errors.CorruptStorageException">A gap, or nothing at or above the position.</exception>
    public List<Found> Recover(long position)
    {
        var records = new List<Found>();
        long highestSequence = 0;
        int highestSegment = _segments.Length - 1;
        byte[] bytes = GC.AllocateUninitializedArray<byte>(_segmentBytes);
        for (int segment = 0; segment < _segments.Length; segment++)
        {
            if (_segments[segment].Read(0, bytes) != _segmentBytes)
                throw Damage.In(_segments[segment].Path, 0, $"the file is shorter than {_segmentBytes} bytes");

            for (int offset = 0; offset < _segmentBytes;)
            {
                int length = WalRecord.Find(bytes.AsSpan(offset), Place(segment, offset), _salt, out long sequence);
                if (length > 0)
                {
                    if (sequence > highestSequence)
                        (highestSequence, highestSegment) = (sequence, segment);
                    if (sequence > position)
                        records.Add(new Found(sequence, segment, offset, bytes.AsSpan(offset, length).ToArray()));
                }

                offset += WalRecord.RoundUp(Math.Max(length, 1));
            }
        }

        records.Sort((a, b) => a.Sequence.CompareTo(b.Sequence));
        CheckInARow(records, position, highestSequence);

        if (records.Count > 0)
        {
            // After a failed sync the page cache shows what the disk does not have: what we rely on is written again.
            Found last = records[^1];
            byte[] padded = new byte[WalRecord.RoundUp(last.Bytes.Length)];
            last.Bytes.CopyTo(padded, 0);
            _segments[last.Segment].Write(last.Offset, padded);
            _segments[last.Segment].Sync();
        }

        Sequence = Math.Max(position, records.Count > 0 ? records[^1].Sequence : 0);
        foreach (Found record in records)
            _highest[record.Segment] = Math.Max(_highest[record.Segment], record.Sequence);
        _segment = highestSegment;
        _offset = _segmentBytes;                    // go on in the segment after it
        return records;
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

    private static ulong Place(int segment, int offset) => ((ulong)segment << 32) | (uint)offset;

    private void CheckInARow(List<Found> records, long position, long highestSequence)
    {
        if (highestSequence < position)
            throw Damage.In(_segments[0].Path, 0, $"the database is at sequence {position}, and the write-ahead log has no whole record from there on (its last is {highestSequence})");

        for (int i = 0; i < records.Count; i++)
        {
            long expected = position + 1 + i;
            Found record = records[i];
            if (record.Sequence == expected)
                continue;
            string detail = $"record {expected} is missing or damaged before record {record.Sequence}";
            if (i == 0)
                throw Damage.In(_segments[record.Segment].Path, record.Offset, detail);
            Found before = records[i - 1];          // what is missing began where this one ends
            throw Damage.In(_segments[before.Segment].Path, before.Offset + WalRecord.RoundUp(before.Bytes.Length), detail);
        }
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
        int padded = WalRecord.RoundUp(bytes);
        if (padded <= _bufferBytes)
            return;
        NativeMemory.AlignedFree(_buffer);
        _buffer = (byte*)NativeMemory.AlignedAlloc((nuint)padded, WalRecord.BlockBytes);
        _bufferBytes = padded;
    }
}

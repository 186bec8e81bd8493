namespace Raft.Host.Storage;

/// <summary>Reads the log at opening: which records are whole, whether they are in a row, and what stands behind the last one.</summary>
internal sealed class WalReader
{
    private readonly IStorageFile[] _segments;
    private readonly int _segmentBytes;
    private readonly ulong _salt;
    private readonly List<Stored> _stored = [];
    private readonly List<(int Segment, int Offset, Stored? Record)> _changed = [];
    private readonly byte[] _buffer;

    /// <summary>A whole record above the position.</summary>
    /// <param name="Sequence">Its number.</param>
    /// <param name="Segment">Where.</param>
    /// <param name="Offset">Where in it.</param>
    /// <param name="Bytes">All of it as on the disk.</param>
    /// <param name="Payload">Its payload.</param>
    public sealed record Found(long Sequence, int Segment, int Offset, byte[] Bytes, byte[] Payload);

    private readonly record struct Stored(int Segment, int Offset, WalRecord.Whole Record);

    /// <summary>Reads all of it. Blocks that cannot be read hold no record, as changed ones.</summary>
    public WalReader(IStorageFile[] segments, int segmentBytes, ulong salt)
    {
        _segments = segments;
        _segmentBytes = segmentBytes;
        _salt = salt;
        HighestSegment = segments.Length - 1;
        _buffer = GC.AllocateUninitializedArray<byte>(segmentBytes);
        Span<byte> bytes = _buffer;
        for (int segment = 0; segment < segments.Length; segment++)
        {
            if (segments[segment].ReadAround(0, bytes, out _) != segmentBytes)
                throw Damage.In(segments[segment].Path, 0, $"the file is shorter than {segmentBytes} bytes");

            for (int offset = 0; offset < segmentBytes;)
            {
                WalRecord.Whole? found = WalRecord.Find(bytes[offset..], WriteAheadLog.Place(segment, offset), salt);
                Stored? stored = null;
                if (found is { } record)
                {
                    if (record.Sequence > HighestSequence)
                        (HighestSequence, HighestSegment) = (record.Sequence, segment);
                    CheckpointSeen = Math.Max(CheckpointSeen, record.Checkpoint);
                    stored = new Stored(segment, offset, record);
                    _stored.Add(stored.Value);
                }

                for (int end = offset + (found?.PhysicalBytes ?? WalRecord.BlockBytes); offset < end; offset += WalRecord.BlockBytes)
                {
                    if (HasChanged(bytes, segment, offset))
                        _changed.Add((segment, offset, stored));
                }
            }
        }
    }

    /// <summary>The last checkpoint that any record knows of.</summary>
    public long CheckpointSeen { get; }

    /// <summary>0 when there is no record.</summary>
    public long HighestSequence { get; }

    /// <summary>The segment with the last record.</summary>
    public int HighestSegment { get; }

    /// <summary>All whole records above the position, in a row.</summary>
    /// <exception cref="Engine.Errors.CorruptStorageException">A gap, nothing at or above the position, or a last record that was whole once.</exception>
    public List<Found> Recover(long position, bool isOld)
    {
        if (HighestSequence < position)
            throw Damage.In(_segments[0].Path, 0, $"the database is at sequence {position}, and the write-ahead log has no whole record from there on (its last is {HighestSequence})");

        _stored.Sort((a, b) => a.Record.Sequence.CompareTo(b.Record.Sequence));
        var records = new List<Found>();
        Stored? before = null;
        foreach (Stored stored in _stored)
        {
            if (stored.Record.Sequence > position)
            {
                CheckFollows(stored, before, position + 1 + records.Count);
                records.Add(Read(stored));
            }

            before = stored;
        }

        if (!isOld)
            CheckTail(before);
        return records;
    }

    /// <summary>Blocks with sectors that have changed or cannot be read. Of no record, nobody needs them; but a later start would ask whether
    /// they were the last one. A whole record stays and gets its other bytes again: it is the last one, or, while a full disk keeps
    /// checkpoints off, one that only the log holds.</summary>
    public void ClearChanged()
    {
        byte[] zeros = new byte[WalRecord.BlockBytes];
        foreach ((int segment, int offset, Stored? record) in _changed)
        {
            if (record is { } whole)
                _segments[segment].Write(whole.Offset, WalRecord.Again(Read(whole).Bytes, whole.Record, WriteAheadLog.Place(segment, whole.Offset), _salt));
            else
                _segments[segment].Write(offset, zeros);
        }

        foreach (int segment in _changed.Select(changed => changed.Segment).Distinct())
            _segments[segment].Sync();
    }

    private bool HasChanged(ReadOnlySpan<byte> bytes, int segment, int offset)
    {
        for (int at = offset; at < offset + WalRecord.BlockBytes; at += WalSectors.SectorBytes)
        {
            if (WalSectors.StateOf(bytes.Slice(at, WalSectors.SectorBytes), WriteAheadLog.Place(segment, at), _salt, out _) == SectorState.Changed)
                return true;
        }

        return false;
    }

    private void CheckFollows(in Stored stored, in Stored? before, long expected)
    {
        if (stored.Record.Sequence == expected)
            return;
        string detail = $"record {expected} is missing or damaged before record {stored.Record.Sequence}";
        if (before is { } last && last.Record.Sequence == expected - 1)         // what is missing began where this one ends
            throw Damage.In(_segments[last.Segment].Path, last.Offset + last.Record.PhysicalBytes, detail);
        throw Damage.In(_segments[stored.Segment].Path, stored.Offset, detail);
    }

    private Found Read(in Stored stored)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(stored.Record.PhysicalBytes);
        _ = _segments[stored.Segment].Read(stored.Offset, bytes);               // it was read a moment ago
        return new Found(stored.Record.Sequence, stored.Segment, stored.Offset, bytes, WalRecord.PayloadOf(bytes, stored.Record));
    }

    /// <summary>The record after the last whole one may have been cut off, and is ignored then: of its sectors some are new and the others old.
    /// It was whole once, and perhaps acknowledged, when no sector is old and one has changed. It can only stand behind the last one, or,
    /// after a start or where there was no room, at the beginning of the next segment.</summary>
    private void CheckTail(in Stored? last)
    {
        if (last is not { } end)
        {
            CheckTail(segment: 0, offset: 0, sequence: 1);
            return;
        }

        CheckTail(end.Segment, end.Offset + end.Record.PhysicalBytes, end.Record.Sequence + 1);
        CheckTail((end.Segment + 1) % _segments.Length, offset: 0, end.Record.Sequence + 1);
    }

    private void CheckTail(int segment, int offset, long sequence)
    {
        Span<byte> bytes = _buffer.AsSpan(0, _segmentBytes - offset);
        int sectors = _segments[segment].ReadAround(offset, bytes, out _) / WalSectors.SectorBytes;
        if (sectors == 0)
            return;
        int last = 0;                               // sector of this record
        if (IsOf(bytes, 0, segment, offset, sequence, out SectorState first) && WalRecord.PhysicalBytesOf(bytes, WriteAheadLog.Place(segment, offset)) is { } physical)
        {
            last = physical / WalSectors.SectorBytes - 1;
        }
        else if (first == SectorState.Changed)
        {
            // Without its header, it goes on as long as its sectors do.
            for (int sector = 1; sector < sectors; sector++)
            {
                if (IsOf(bytes, sector, segment, offset, sequence, out SectorState state))
                    last = sector;
                else if (state != SectorState.Changed)
                    break;
            }
        }
        else
        {
            return;                                 // its first sector never came
        }

        int? changed = null;
        for (int sector = 0; sector <= last; sector++)
        {
            if (IsOf(bytes, sector, segment, offset, sequence, out SectorState state))
                continue;
            if (state != SectorState.Changed)
                return;                             // cut off: this sector is what was there before
            changed ??= sector;
        }

        if (changed is { } at)
            throw Damage.In(_segments[segment].Path, offset + at * WalSectors.SectorBytes, $"record {sequence}, the last one, was whole, and has changed: no write that was cut off leaves such a sector");
    }

    private bool IsOf(ReadOnlySpan<byte> bytes, int sector, int segment, int offset, long sequence, out SectorState state)
    {
        int at = sector * WalSectors.SectorBytes;
        state = WalSectors.StateOf(bytes.Slice(at, WalSectors.SectorBytes), WriteAheadLog.Place(segment, offset + at), _salt, out uint found);
        return state == SectorState.Whole && found == (uint)sequence;
    }
}

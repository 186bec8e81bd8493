using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Hashing;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>What one call puts in the queue of the WAL thread; completes when it is durable. It is its own completion, because
/// there is one per call.</summary>
internal sealed class WalBatch() : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
{
    /// <summary>Null for what concerns the node and no group.</summary>
    public DurableStorage? Group { get; init; }

    public TermAndVote? TermAndVote { get; init; }
    public LogIndex? TruncateFrom { get; init; }
    public IReadOnlyList<Entry> Entries { get; init; } = [];
    public SnapshotDescriptor? Descriptor { get; init; }

    /// <summary>Entries up to here may be deleted: the log begins after it.</summary>
    public LogIndex? DeletedThrough { get; init; }

    /// <summary>A start of this directory; 0 when it is none.</summary>
    public long StartCount { get; init; }

    public ClusterUid? ClusterUid { get; init; }

    public long QueuedAt { get; } = Stopwatch.GetTimestamp();

    /// <summary>The first entry that no record holds yet; the WAL thread's own.</summary>
    public int NextEntry { get; set; }

    public bool IsTaken { get; set; }
}

/// <summary>The part of a batch that is in one record: all of it, unless it is very long.</summary>
internal readonly record struct WalPart(WalBatch Batch, int From, int Count)
{
    /// <summary>Term, vote and truncation are in the first part.</summary>
    public bool IsFirst => From == 0;

    /// <summary>Descriptor and mark of deletion are in the last: they come after the entries, and may speak of them.</summary>
    public bool IsLast => From + Count == Batch.Entries.Count;
}

/// <summary>A durable record on its way into the database.</summary>
internal sealed record WalRecordContent(long Sequence, WalPart[] Parts, int Bytes);

/// <summary>
/// Bytes of a record: <c>hash u64 | magic u32 | length u32 | sequence u64 | place u64 | checkpoint u64 | payload</c>, spread over sectors
/// (<see cref="WalSectors"/>); the hash, seeded with the directory's salt, covers all that follows it. The place (segment, offset) keeps a
/// record from counting anywhere else; the checkpoint is the last one that was complete when the record was written.
/// </summary>
internal static class WalRecord
{
    public const int BlockBytes = 4096;
    public const int HeaderBytes = 40;
    private const uint Magic = 0x324C_4157;     // "WAL2"
    private const uint OldMagic = 0x314C_4157;  // "WAL1": not spread, and without the checkpoint
    private const int OldHeaderBytes = 32;

    private const byte GroupItem = 1;
    private const byte StartItem = 2;
    private const byte UidItem = 3;

    [Flags]
    private enum Fields : byte
    {
        TermAndVote = 1,
        Truncation = 2,
        Entries = 4,
        ConfigurationMarks = 8,
        Descriptor = 16,
        DeletionMark = 32,
    }

    public static int RoundUp(int bytes) => (bytes + BlockBytes - 1) / BlockBytes * BlockBytes;

    /// <summary>What the part costs without its entries; never less than what <see cref="Encode"/> writes.</summary>
    public static int FixedBytes(WalBatch batch)
    {
        int bytes = batch.StartCount > 0 ? 9 : 0;
        if (batch.ClusterUid is not null)
            bytes += 17;
        if (batch.Group is not { } group)
            return bytes;

        bytes += 1 + 1 + group.NameBytes.Length + 1 + 8 + 12 + 4 + 8;
        if (batch.TermAndVote is { } termAndVote)
            bytes += StorageWriter.TermAndVoteBytes(termAndVote);
        if (batch.Descriptor is { } descriptor)
            bytes += 4 + GroupRecord.Encode(descriptor).Length;
        return bytes;
    }

    public static int EntryBytes(Entry entry) =>
        StorageWriter.EntryHeaderBytes + entry.Payload.Length + (entry.Kind == EntryKind.Configuration ? 8 : 0);

    public static void Encode(ref StorageWriter writer, in WalPart part)
    {
        WalBatch batch = part.Batch;
        if (batch.StartCount > 0)
        {
            writer.Byte(StartItem);
            writer.Int64(batch.StartCount);
        }

        if (batch.ClusterUid is { } uid)
        {
            writer.Byte(UidItem);
            writer.UInt128(uid.Value);
        }

        if (batch.Group is { } group)
            EncodeGroup(ref writer, part, group);
    }

    /// <summary>Fills in the header of a record whose payload stands behind it.</summary>
    public static void Seal(Span<byte> record, long sequence, ulong place, long checkpoint, ulong salt)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(record[8..], Magic);
        BinaryPrimitives.WriteInt32LittleEndian(record[12..], record.Length - HeaderBytes);
        BinaryPrimitives.WriteInt64LittleEndian(record[16..], sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(record[24..], place);
        BinaryPrimitives.WriteInt64LittleEndian(record[32..], checkpoint);
        BinaryPrimitives.WriteUInt64LittleEndian(record, XxHash3.HashToUInt64(record[8..], (long)salt));
    }

    /// <summary>A record as it stands on the disk.</summary>
    /// <param name="Sequence">Its number.</param>
    /// <param name="PhysicalBytes">On the disk, whole blocks.</param>
    /// <param name="PayloadBytes">Of its payload.</param>
    /// <param name="Checkpoint">The last one that was complete then.</param>
    /// <param name="IsOld">Of WAL format 1.</param>
    public readonly record struct Whole(long Sequence, int PhysicalBytes, int PayloadBytes, long Checkpoint, bool IsOld);

    /// <summary>The whole record at the start of these bytes; null when there is none.</summary>
    /// <param name="bytes">From here to the end of the segment.</param>
    /// <param name="place">Of the first byte.</param>
    /// <param name="salt">The directory's.</param>
    public static Whole? Find(ReadOnlySpan<byte> bytes, ulong place, ulong salt)
    {
        uint magic = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        if (BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]) != place || magic is not (Magic or OldMagic))
            return null;

        bool isOld = magic == OldMagic;
        int headerBytes = isOld ? OldHeaderBytes : HeaderBytes, room = isOld ? bytes.Length : WalSectors.ContentOf(bytes.Length);
        int length = BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]);
        if (length < 0 || length > room - headerBytes
            || BinaryPrimitives.ReadUInt64LittleEndian(bytes) != HashOf(bytes, headerBytes + length, isOld, salt))
            return null;

        return new Whole(
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            isOld ? RoundUp(headerBytes + length) : WalSectors.PhysicalBytes(headerBytes + length),
            length,
            isOld ? 0 : BinaryPrimitives.ReadInt64LittleEndian(bytes[32..]),
            isOld);
    }

    /// <summary>The payload of a whole record.</summary>
    /// <param name="bytes">All that it has on the disk.</param>
    /// <param name="record">What <see cref="Find"/> said of it.</param>
    public static byte[] PayloadOf(ReadOnlySpan<byte> bytes, in Whole record)
    {
        if (record.IsOld)
            return bytes.Slice(OldHeaderBytes, record.PayloadBytes).ToArray();
        byte[] content = new byte[HeaderBytes + record.PayloadBytes];
        WalSectors.Gather(bytes, content);
        return content[HeaderBytes..];
    }

    /// <summary>The same record with each sector's check, and what fills the last ones, as they were written.</summary>
    public static byte[] Again(ReadOnlySpan<byte> bytes, in Whole record, ulong place, ulong salt)
    {
        byte[] again = new byte[record.PhysicalBytes];
        WalSectors.Gather(bytes, again.AsSpan(0, HeaderBytes + record.PayloadBytes));
        WalSectors.Spread(again, HeaderBytes + record.PayloadBytes, place, record.Sequence, salt);
        return again;
    }

    private static ulong HashOf(ReadOnlySpan<byte> bytes, int length, bool isOld, ulong salt)
    {
        if (isOld)
            return XxHash3.HashToUInt64(bytes[8..length], (long)salt);
        var hash = new XxHash3((long)salt);
        int skip = 8;
        for (int at = 0; length > 0; at += WalSectors.SectorBytes, length -= WalSectors.ContentBytes, skip = 0)
            hash.Append(bytes[(at + skip)..(at + Math.Min(length, WalSectors.ContentBytes))]);
        return hash.GetCurrentHashAsUInt64();
    }

    /// <summary>What the record at the start of these bytes would have on the disk, by a header that may be all that is whole of it; null when there is none.</summary>
    public static int? PhysicalBytesOf(ReadOnlySpan<byte> bytes, ulong place)
    {
        int length = BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]) == Magic && BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]) == place
            && length >= 0 && length <= WalSectors.ContentOf(bytes.Length) - HeaderBytes ? WalSectors.PhysicalBytes(HeaderBytes + length) : null;
    }

    /// <exception cref="InvalidDataException">No payload that this release knows.</exception>
    public static WalRecordContent Decode(long sequence, ReadOnlyMemory<byte> payload, Func<string, DurableStorage> groups)
    {
        var reader = new StorageReader(payload);
        var parts = new List<WalPart>();
        while (!reader.IsAtEnd)
        {
            byte kind = reader.Byte();
            WalBatch batch = kind switch
            {
                StartItem => new WalBatch { StartCount = reader.Int64() },
                UidItem => new WalBatch { ClusterUid = new ClusterUid(reader.UInt128()) },
                GroupItem => DecodeGroup(ref reader, groups),
                _ => throw new InvalidDataException($"A record holds an item of kind {kind}, which this release does not know."),
            };
            parts.Add(new WalPart(batch, 0, batch.Entries.Count));
        }

        return new WalRecordContent(sequence, [.. parts], payload.Length);
    }

    private static void EncodeGroup(ref StorageWriter writer, in WalPart part, DurableStorage group)
    {
        WalBatch batch = part.Batch;
        int marks = 0;
        for (int i = part.From; i < part.From + part.Count; i++)
            marks += batch.Entries[i].Kind == EntryKind.Configuration ? 1 : 0;

        writer.Byte(GroupItem);
        writer.Short(group.NameBytes);
        writer.Byte((byte)(
            (part.IsFirst && batch.TermAndVote is not null ? Fields.TermAndVote : 0)
            | (part.IsFirst && batch.TruncateFrom is not null ? Fields.Truncation : 0)
            | (part.Count > 0 ? Fields.Entries : 0)
            | (marks > 0 ? Fields.ConfigurationMarks : 0)
            | (part.IsLast && batch.Descriptor is not null ? Fields.Descriptor : 0)
            | (part.IsLast && batch.DeletedThrough is not null ? Fields.DeletionMark : 0)));

        if (part.IsFirst && batch.TermAndVote is { } termAndVote)
            writer.TermAndVote(termAndVote);
        if (part.IsFirst && batch.TruncateFrom is { } from)
            writer.Int64(from.Value);
        if (part.Count > 0)
        {
            writer.Int32(part.Count);
            writer.Int64(batch.Entries[part.From].Index.Value);
            for (int i = part.From; i < part.From + part.Count; i++)
                writer.Entry(batch.Entries[i]);
        }

        if (marks > 0)
        {
            writer.Int32(marks);
            for (int i = part.From; i < part.From + part.Count; i++)
            {
                if (batch.Entries[i].Kind == EntryKind.Configuration)
                    writer.Int64(batch.Entries[i].Index.Value);
            }
        }

        if (part.IsLast && batch.Descriptor is { } descriptor)
        {
            byte[] bytes = GroupRecord.Encode(descriptor);
            writer.Int32(bytes.Length);
            writer.Bytes(bytes);
        }

        if (part.IsLast && batch.DeletedThrough is { } mark)
            writer.Int64(mark.Value);
    }

    private static WalBatch DecodeGroup(ref StorageReader reader, Func<string, DurableStorage> groups)
    {
        DurableStorage group = groups(reader.Name());
        var fields = (Fields)reader.Byte();
        TermAndVote? termAndVote = fields.HasFlag(Fields.TermAndVote) ? reader.TermAndVote() : null;
        LogIndex? truncateFrom = fields.HasFlag(Fields.Truncation) ? new LogIndex(reader.Int64()) : null;
        var entries = new List<Entry>();
        if (fields.HasFlag(Fields.Entries))
        {
            int count = reader.Count(StorageWriter.EntryHeaderBytes);
            var first = new LogIndex(reader.Int64());
            for (int i = 0; i < count; i++)
                entries.Add(reader.Entry(first + i));
        }

        if (fields.HasFlag(Fields.ConfigurationMarks))
        {
            for (int count = reader.Count(8); count > 0; count--)
                reader.Int64();                 // the entries' kinds say the same
        }

        SnapshotDescriptor? descriptor = fields.HasFlag(Fields.Descriptor) ? GroupRecord.DecodeDescriptor(reader.Bytes(reader.Int32())) : null;
        LogIndex? mark = fields.HasFlag(Fields.DeletionMark) ? new LogIndex(reader.Int64()) : null;
        return new WalBatch
        {
            Group = group,
            TermAndVote = termAndVote,
            TruncateFrom = truncateFrom,
            Entries = entries,
            Descriptor = descriptor,
            DeletedThrough = mark,
        };
    }
}

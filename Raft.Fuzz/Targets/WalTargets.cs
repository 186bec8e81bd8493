using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Fuzz.Targets;

/// <summary>Payloads of records, as if their hash were right.</summary>
internal sealed class WalPayloadTarget : FuzzTarget
{
    private static readonly DurableStorage _group = new(new GroupId("default"), new DurableStorage.WalThreads());

    public override string Name => "wal-payload";

    public override IEnumerable<byte[]> Seeds() => [Payload(_group)];

    public override string Run(byte[] input)
    {
        try
        {
            WalRecordContent content = Decode(input);
            Holds(content.Bytes == input.Length, "a record is read to its end");
            ComesBack(content, Encode, Decode);
            return Accepted;
        }
        catch (InvalidDataException bad)
        {
            return bad.Message;
        }
    }

    private static WalRecordContent Decode(byte[] payload) => WalRecord.Decode(1, payload, _ => _group);

    private static byte[] Encode(WalRecordContent content)
    {
        byte[] bytes = new byte[content.Parts.Sum(part => WalRecord.FixedBytes(part.Batch) + part.Batch.Entries.Sum(WalRecord.EntryBytes))];
        var writer = new StorageWriter(bytes);
        foreach (WalPart part in content.Parts)
            WalRecord.Encode(ref writer, part);
        return bytes[..writer.Position];
    }

    internal static byte[] Payload(DurableStorage group)
    {
        var batch = new WalBatch
        {
            Group = group,
            StartCount = 3,
            ClusterUid = new Host.ClusterUid(5),
            TermAndVote = new TermAndVote(new Term(4), PeerSamples.From),
            TruncateFrom = new LogIndex(18),
            Entries = PeerSamples.Entries(),
            Descriptor = PeerSamples.Snapshot,
            DeletedThrough = new LogIndex(15),
        };
        byte[] bytes = new byte[WalRecord.FixedBytes(batch) + batch.Entries.Sum(WalRecord.EntryBytes)];
        var writer = new StorageWriter(bytes);
        WalRecord.Encode(ref writer, new WalPart(batch, 0, batch.Entries.Count));
        return bytes[..writer.Position];
    }
}

/// <summary>A log with three records, the first blocks of which are the input: what is whole is found, all else is damage or nothing.</summary>
internal sealed class WalTarget : FuzzTarget
{
    private const int SegmentBytes = 4 * WalRecord.BlockBytes;
    private const ulong Salt = 99;

    private readonly byte[][] _segments = [.. Enumerable.Range(0, Manifest.SegmentCount).Select(_ => new byte[SegmentBytes])];
    private readonly byte[][] _copies = [.. Enumerable.Range(0, Manifest.SegmentCount).Select(_ => new byte[SegmentBytes])];

    public WalTarget()
    {
        byte[] payload = WalPayloadTarget.Payload(new DurableStorage(new GroupId("default"), new DurableStorage.WalThreads()));
        using WriteAheadLog log = Open(_segments);
        log.Recover(position: 0);
        for (int record = 0; record < 3; record++)
        {
            payload.CopyTo(log.Payload(payload.Length));
            Holds(log.TryWrite(payload.Length, () => { }) > 0, "there is room for three records");
        }
    }

    public override string Name => "wal";

    public override int InputsInTests => 3000;

    public override IEnumerable<byte[]> Seeds() => [_segments[0][..1000]];

    public override string Run(byte[] input)
    {
        for (int segment = 0; segment < _segments.Length; segment++)
            _segments[segment].CopyTo(_copies[segment], 0);
        input.CopyTo(_copies[0], 0);
        try
        {
            using WriteAheadLog log = Open(_copies);
            List<WalReader.Found> found = log.Recover(position: input.Length % 3);
            foreach (WalReader.Found record in found)
                WalRecord.Decode(record.Sequence, record.Payload, name => new DurableStorage(new GroupId(name), new DurableStorage.WalThreads()));
            return Accepted;
        }
        catch (CorruptStorageException damage)
        {
            return damage.Message;
        }
    }

    private static WriteAheadLog Open(byte[][] segments) =>
        new([.. segments.Select((bytes, i) => new MemoryFile($"wal-{i}", bytes))], SegmentBytes, recordBytes: 2048, Salt);
}

/// <summary>A group's state document, behind its hash.</summary>
internal sealed class GroupRecordTarget : FuzzTarget
{
    public override string Name => "group-record";

    public override IEnumerable<byte[]> Seeds()
    {
        var record = new GroupRecord { TermAndVote = new TermAndVote(new Term(4), PeerSamples.From), Descriptor = PeerSamples.Snapshot, DeletedThrough = new LogIndex(17), Last = new LogIndex(17) };
        foreach (Entry entry in PeerSamples.Entries())
            record.Append(entry);
        return [record.Encode(), new GroupRecord().Encode()];
    }

    public override string Run(byte[] input)
    {
        try
        {
            ComesBack(GroupRecord.Decode(input), record => record.Encode(), bytes => GroupRecord.Decode(bytes));
            return Accepted;
        }
        catch (InvalidDataException bad)
        {
            return bad.Message;
        }
    }
}

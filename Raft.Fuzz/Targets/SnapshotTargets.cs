using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;
using Raft.Host.Storage;

namespace Raft.Fuzz.Targets;

/// <summary>Files of snapshots: every change is damage.</summary>
internal sealed class SnapshotFileTarget : FuzzTarget
{
    private const ulong Seed = 7;

    private readonly byte[] _whole;
    private readonly SnapshotDescriptor _descriptor;

    public SnapshotFileTarget()
    {
        byte[] content = Utf8("the content of a small snapshot");
        UInt128 hash = System.IO.Hashing.XxHash128.HashToUInt128(content);
        byte[] block = new byte[SnapshotFormat.HashBytes];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(block, SnapshotFormat.HashOfBlock(content, 0, Seed));
        _whole = [.. SnapshotFormat.Header(Seed), .. block, .. content, .. SnapshotFormat.Footer(content.Length, hash, Seed)];
        _descriptor = PeerSamples.Snapshot with { SizeBytes = content.Length, Hash = hash };
    }

    public override string Name => "snapshot-file";

    public override IEnumerable<byte[]> Seeds() => [_whole];

    public override string Run(byte[] input)
    {
        try
        {
            using var reader = new SnapshotFileReader(new MemoryFile("snapshot", input), _descriptor, Seed);
            reader.VerifyAll();
            reader.Read(3, new byte[100]);
            Holds(input.AsSpan().SequenceEqual(_whole), "no changed snapshot is taken");
            return Accepted;
        }
        catch (CorruptStorageException damage)
        {
            return damage.Message;
        }
    }
}

/// <summary>The content of a store's snapshot.</summary>
internal sealed class StoreSnapshotTarget : FuzzTarget
{
    public override string Name => "store-snapshot";

    // The reader's own buffers: 128 KiB and, for a section, 256 KiB before its bytes are there.
    public override long AllocatedBytes => 4 << 20;

    public override int InputsInTests => 5000;

    public override IEnumerable<byte[]> Seeds()
    {
        var store = new Store();
        using var commands = new CommandsTarget();
        long index = 0;
        foreach (byte[] command in commands.Seeds())
            store.ApplyAsync([new CommittedCommand(new LogIndex(++index), new Term(2), 1_700_000_000_000, command)], CancellationToken.None).AsTask().GetAwaiter().GetResult();
        return [Write(store)];
    }

    public override string Run(byte[] input)
    {
        try
        {
            Store store = Read(input);
            Holds(store.RecomputeHash() == store.StateHash, "the state hash of what is read is that of its state");
            ComesBack(store, Write, Read);
            return Accepted;
        }
        catch (InvalidDataException bad)
        {
            return bad.Message;
        }
    }

    /// <summary>On this thread: its branches and its memory are counted.</summary>
    internal static Store Read(byte[] content)
    {
        var store = new Store { RunAside = (read, _) => read() };
        store.LoadSnapshotAsync(new MemoryStream(content), CancellationToken.None).AsTask().GetAwaiter().GetResult();
        return store;
    }

    internal static byte[] Write(Store store)
    {
        using IStateSnapshot picture = store.TakeSnapshot();
        using var content = new MemoryStream();
        picture.WriteAsync(content, CancellationToken.None).GetAwaiter().GetResult();
        return content.ToArray();
    }
}

/// <summary>The host's part before it.</summary>
internal sealed class GroupSnapshotTarget : FuzzTarget
{
    public override string Name => "group-snapshot";

    public override IEnumerable<byte[]> Seeds()
    {
        var header = new GroupSnapshotHeader(
            new LogIndex(9), new LogIndex(8), [new HashRecord(new LogIndex(7), 1000, 5, 1)], [new CreatedGroup(new GroupId("orders"), PeerSamples.Joint, new LogIndex(3))]);
        return [Write(header)];
    }

    public override string Run(byte[] input)
    {
        try
        {
            ComesBack(Read(input), Write, Read);
            return Accepted;
        }
        catch (InvalidDataException bad)
        {
            return bad.Message;
        }
    }

    private static GroupSnapshotHeader Read(byte[] content) => GroupSnapshotHeader.ReadAsync(new MemoryStream(content), CancellationToken.None).GetAwaiter().GetResult();

    private static byte[] Write(GroupSnapshotHeader header)
    {
        using var content = new MemoryStream();
        header.WriteAsync(content, CancellationToken.None).GetAwaiter().GetResult();
        return content.ToArray();
    }
}

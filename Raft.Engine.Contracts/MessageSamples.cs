using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

/// <summary>One message of each kind and shape, and their comparison by value.</summary>
internal static class MessageSamples
{
    public static IReadOnlyList<Message> All(ServerId from, ServerId to)
    {
        var term = new Term(0x1_0000_0007);
        var index = new LogIndex(0x1_2345_6789);
        return
        [
            new AppendRequest(from, to, term, index, new Term(6), index - 3, []),
            new AppendRequest(from, to, term, LogIndex.Zero, Term.Zero, LogIndex.Zero, []),
            new AppendRequest(from, to, term, index, new Term(6), index - 3,
            [
                Samples.Command(index.Next, term, bytes: 300),
                new Entry(index + 2, term, EntryKind.Empty, 1_700_000_000_000, default),
                new Entry(index + 3, term, EntryKind.Configuration, 1_700_000_000_001, Samples.Configuration(3).Encode()),
                new Entry(index + 4, term, EntryKind.Command, 1_700_000_000_002, default),
                new Entry(index + 5, term, EntryKind.System, 1_700_000_000_002, new byte[] { 1, 2, 3 }),
            ]),
            new AppendRequest(from, to, term, index, new Term(6), index, [Samples.Command(index.Next, term, bytes: 1 << 20)]),
            new AppendReply(from, to, term, index, index + 1, index - 1, null),
            new AppendReply(from, to, term, LogIndex.Zero, LogIndex.Zero, LogIndex.Zero, new AppendRejection(index, index - 9, new Term(3), index - 12)),
            new AppendReply(from, to, term, LogIndex.Zero, LogIndex.Zero, index, new AppendRejection(index, LogIndex.Zero, null, LogIndex.Zero)),
            new VoteRequest(from, to, term, index, new Term(6), IsPreVote: true, IsTransfer: false),
            new VoteRequest(from, to, term, LogIndex.Zero, Term.Zero, IsPreVote: false, IsTransfer: true),
            new VoteReply(from, to, term, IsGranted: true, IsPreVote: false),
            new VoteReply(from, to, term, IsGranted: false, IsPreVote: true),
            new ReadQuorumRequest(from, to, term, new ReadId(77), index),
            new ReadQuorumReply(from, to, term, new ReadId(long.MaxValue)),
            new TimeoutNow(from, to, term),
        ];
    }

    /// <summary>One call of each kind and shape.</summary>
    public static IReadOnlyList<LeaderCall> Calls()
    {
        IReadOnlyList<Member> members = Samples.Configuration(3).Current;
        ServerId gone = Samples.Server(9);
        return
        [
            new AddEntryCall(new byte[] { 1, 2, 3 }, 4_321),
            new AddEntryCall(default, 1),
            new AddEntryCall(new byte[300], 4_321) { Kind = EntryKind.System },
            new ReadBarrierCall(7),
            new ChangeMembersCall(new MembershipChange { Set = members }, 5_000),
            new ChangeMembersCall(new MembershipChange { Set = [] }, 5_000),
            new ChangeMembersCall(new MembershipChange { Add = [members[0] with { Kind = MemberKind.Joining, ApiUrl = "http://ä:1" }], Remove = [gone] }, 5_000),
            new ChangeMembersCall(new MembershipChange { Remove = [gone with { Storage = default }], IsForced = true, ExpectedIndex = new LogIndex(0x1_0000_0001) }, 1),
            new ChangeMembersCall(new MembershipChange { ExpectedIndex = LogIndex.Zero }, 1),
            new TransferCall(null, 2_000),
            new TransferCall(new NodeId("n2"), 2_000),
        ];
    }

    /// <summary>All that a call says.</summary>
    public static string Describe(LeaderCall call) => call switch
    {
        AddEntryCall add => $"add {add.Kind} {add.TimeoutMs} {Convert.ToHexString(add.Command.Span)}",
        ChangeMembersCall { Change: var change } members => $"change {members.TimeoutMs} set {(change.Set is null ? "no" : string.Join(" ", change.Set))} "
            + $"add {string.Join(" ", change.Add)} remove {string.Join(" ", change.Remove.Select(server => $"{server.Node} {server.Storage}"))} "
            + $"forced {change.IsForced} expected {change.ExpectedIndex}",
        _ => call.ToString(),
    };

    /// <summary>A chunk of a snapshot whose configuration is joint and has a target.</summary>
    public static SnapshotChunk Chunk(long offset, ReadOnlyMemory<byte> bytes, long sizeBytes = 1L << 40)
    {
        Configuration configuration = Samples.Configuration(3) with { Previous = Samples.Configuration(2).Current, Target = Samples.Configuration(5).Current };
        var snapshot = new SnapshotDescriptor(
            "snapshot-17.bin", new LogIndex(0x1_0000_0017), new Term(8), configuration, new LogIndex(0x1_0000_0003), sizeBytes, new UInt128(7, 9));
        return new SnapshotChunk(new Term(9), new LogIndex(0x1_0000_0020), snapshot, offset, bytes);
    }

    /// <summary>All that a chunk says, the sender's start apart.</summary>
    public static string Describe(SnapshotChunk chunk) =>
        $"{chunk.Term} {chunk.CommitIndex} {chunk.Offset} {chunk.Snapshot with { Configuration = Configuration.Empty }} "
        + $"{Convert.ToHexString(chunk.Snapshot.Configuration.Encode())} {Convert.ToHexString(chunk.Bytes.Span)}";

    /// <summary>An append that can be told apart by its number.</summary>
    public static AppendRequest Numbered(ServerId from, ServerId to, long number, int bytes = 64)
    {
        var term = new Term(2);
        return new AppendRequest(from, to, term, new LogIndex(number), term, LogIndex.Zero, [Samples.Command(new LogIndex(number + 1), term, bytes)]);
    }

    /// <summary>Whether the two say the same, the sender's start apart.</summary>
    public static bool AreSame(Message a, Message b)
    {
        if (a is not AppendRequest { Entries: var left } first || b is not AppendRequest { Entries: var right } second)
            return (a with { SenderStart = 0 }).Equals(b with { SenderStart = 0 });
        if (!(first with { SenderStart = 0, Entries = [] }).ToString().Equals((second with { SenderStart = 0, Entries = [] }).ToString(), StringComparison.Ordinal)
            || left.Count != right.Count)
            return false;

        for (int i = 0; i < left.Count; i++)
        {
            if (left[i].Id != right[i].Id || left[i].Kind != right[i].Kind || left[i].TimeMs != right[i].TimeMs
                || !left[i].Payload.Span.SequenceEqual(right[i].Payload.Span))
                return false;
        }

        return true;
    }

    public static void AssertAmong(Message received, IReadOnlyCollection<Message> sent) =>
        Assert.True(sent.Any(message => AreSame(message, received)), $"This arrived and was never sent: {received}.");
}

using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Fuzz.Targets;

/// <summary>Payloads as peers send them, each behind the byte of its kind.</summary>
internal static class PeerSamples
{
    public static readonly ServerId From = new(new NodeId("n1"), new StorageId(11));
    public static readonly ServerId To = new(new NodeId("n2"), new StorageId(22));

    public static readonly Configuration Joint = new(
        [MemberOf(1, MemberKind.Voter), MemberOf(2, MemberKind.Learner)], [MemberOf(1, MemberKind.Voter), MemberOf(3, MemberKind.Voter)])
    {
        Target = [MemberOf(4, MemberKind.Voter)],
    };

    public static readonly SnapshotDescriptor Snapshot = new("default-00000001", new LogIndex(17), new Term(3), Joint, new LogIndex(9), 1000, 77);

    public static Member MemberOf(int number, MemberKind kind) =>
        new(new NodeId($"n{number}"), new StorageId((UInt128)number), kind, $"http://n{number}:1", $"http://n{number}:2");

    public static Entry[] Entries() =>
    [
        new(new LogIndex(18), new Term(3), EntryKind.Command, 1000, "value"u8.ToArray()),
        new(new LogIndex(19), new Term(4), EntryKind.Configuration, 1001, Joint.Encode()),
        new(new LogIndex(20), new Term(4), EntryKind.Empty, 1002, default),
    ];

    public static IEnumerable<byte[]> Messages()
    {
        Term term = new(4);
        LogIndex index = new(17);
        Message[] messages =
        [
            new AppendRequest(From, To, term, index, new Term(3), index, Entries()),
            new AppendReply(From, To, term, index, index, index, null),
            new AppendReply(From, To, term, index, index, index, new AppendRejection(index, index, new Term(2), index)),
            new VoteRequest(From, To, term, index, term, IsPreVote: true, IsTransfer: false),
            new VoteReply(From, To, term, IsGranted: true, IsPreVote: false),
            new ReadQuorumRequest(From, To, term, new ReadId(5), index),
            new ReadQuorumReply(From, To, term, new ReadId(5)),
            new TimeoutNow(From, To, term),
        ];
        return messages.Select(message => PayloadOf(writer => MessageCodec.Write(writer, FrameAddress.Node, message)));
    }

    public static IEnumerable<byte[]> Calls()
    {
        LeaderCall[] calls =
        [
            new AddEntryCall("value"u8.ToArray(), 1000),
            new ReadBarrierCall(1000),
            new ChangeMembersCall(new MembershipChange { Set = Joint.Current }, 1000),
            new ChangeMembersCall(new MembershipChange { Add = [MemberOf(4, MemberKind.Joining)], Remove = [From], ExpectedIndex = new LogIndex(5) }, 1000),
            new TransferCall(To.Node, 1000),
        ];
        LeaderReply?[] replies =
        [
            null,
            new EntryAddedReply(new EntryId(new LogIndex(5), new Term(2))),
            new ReadBarrierReply(new LogIndex(5)),
            new NotLeaderReply(To, new Term(2)),
            new CallRefusedReply(CallRefusal.Overloaded, "too much"),
            new TransferDoneReply(To),
        ];
        return calls.Select(call => PayloadOf(writer => CallCodec.WriteCall(writer, FrameAddress.Node, 7, call)))
            .Concat(replies.Select(reply => PayloadOf(writer => CallCodec.WriteReply(writer, FrameAddress.Node, 7, reply))));
    }

    /// <summary>The kind of the one frame that is written, and its payload.</summary>
    public static byte[] PayloadOf(Action<FrameWriter> write)
    {
        using var writer = new FrameWriter();
        write(writer);
        ReadOnlySpan<byte> frame = writer.Written.Span[FrameWriter.LengthBytes..];
        return [frame[0], .. frame[(FrameWriter.HeaderBytes + frame[1])..]];
    }
}

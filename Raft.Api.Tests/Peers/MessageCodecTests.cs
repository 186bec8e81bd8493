using System.Buffers;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

public sealed class MessageCodecTests
{
    private static readonly ServerId From = new(new NodeId("n1"), new StorageId(1));
    private static readonly ServerId To = new(new NodeId("n2"), new StorageId(2));
    private static readonly FrameAddress Address = new("default"u8.ToArray(), FrameAddress.HashOf(From), FrameAddress.HashOf(To));

    public static TheoryData<int> Kinds => [.. Enumerable.Range(0, Samples().Count)];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_message_comes_back_as_it_went(int which)
    {
        Message sent = Samples()[which];
        using var writer = new FrameWriter();
        MessageCodec.Write(writer, Address, sent);
        Assert.InRange(writer.Length, 1, MessageCodec.SizeBound(sent) + Address.Group.Length);

        Frame frame = Assert.Single(Cut(writer.Written.ToArray(), segment: 7));
        Assert.Equal((Address.Source, Address.Destination), (frame.Source, frame.Destination));
        Assert.Equal("default"u8.ToArray(), frame.Group.ToArray());
        Message received = MessageCodec.Read(frame.Kind, frame.Payload, From, To, start: 9);
        Assert.Equal(Describe(sent with { SenderStart = 9 }), Describe(received));
    }

    [Fact]
    public void Calls_and_replies_come_back_as_they_went()
    {
        using var writer = new FrameWriter();
        CallCodec.WriteCall(writer, Address, 5, new AddEntryCall("abc"u8.ToArray(), 1_234));
        CallCodec.WriteCall(writer, Address, 6, new ReadBarrierCall(77));
        LeaderReply?[] replies =
        [
            null, new EntryAddedReply(new EntryId(new LogIndex(4), new Term(3))), new ReadBarrierReply(new LogIndex(8)),
            new NotLeaderReply(From, new Term(2)), new NotLeaderReply(null, new Term(2)), new CallRefusedReply(CallRefusal.TooBig, "1 MiB at most"), new CallRefusedReply(CallRefusal.OutOfSpace, "no room"),
        ];
        foreach (LeaderReply? reply in replies)
            CallCodec.WriteReply(writer, Address, 7, reply);

        List<Frame> frames = Cut(writer.Written.ToArray(), segment: 3);
        (ulong id, LeaderCall? call) = CallCodec.ReadCall(frames[0].Payload);
        var add = Assert.IsType<AddEntryCall>(call);
        Assert.Equal((5ul, 1_234, "abc"), (id, add.TimeoutMs, System.Text.Encoding.UTF8.GetString(add.Command.Span)));
        Assert.Equal((6ul, (LeaderCall?)new ReadBarrierCall(77)), CallCodec.ReadCall(frames[1].Payload));
        Assert.Equal(replies, frames.Skip(2).Select(frame => CallCodec.ReadReply(frame.Payload).Reply));
    }

    [Fact]
    public void Calls_and_replies_of_a_newer_release_are_known_as_such()
    {
        using var writer = new FrameWriter();
        CallCodec.WriteCall(writer, Address, 5, new AddEntryCall(new byte[3], 1));
        CallCodec.WriteCall(writer, Address, 6, new AddEntryCall(new byte[3], 1));
        CallCodec.WriteReply(writer, Address, 7, new ReadBarrierReply(new LogIndex(1)));
        CallCodec.WriteReply(writer, Address, 8, new CallRefusedReply(CallRefusal.TooBig, "so"));
        byte[][] payloads = [.. Cut(writer.Written.ToArray(), segment: 100).Select(frame => frame.Payload.ToArray())];
        payloads[0][8] = 99;                     // type of the call
        payloads[1][13] = 99;                    // kind of the entry
        payloads[2][8] = 99;                     // type of the reply
        payloads[3][9] = 99;                     // reason
        Assert.Equal((5ul, (LeaderCall?)null), CallCodec.ReadCall(payloads[0]));
        Assert.Equal((6ul, (LeaderCall?)null), CallCodec.ReadCall(payloads[1]));
        Assert.Equal((7ul, (LeaderReply?)null), CallCodec.ReadReply(payloads[2]));
        Assert.Equal((8ul, (LeaderReply?)new CallRefusedReply(CallRefusal.Stopped, "so")), CallCodec.ReadReply(payloads[3]));
    }

    [Fact]
    public void A_call_takes_no_more_bytes_than_its_bound()
    {
        foreach (LeaderCall call in Calls())
        {
            using var writer = new FrameWriter();
            CallCodec.WriteCall(writer, Address, 5, call);
            Assert.InRange(writer.Length, 1, CallCodec.SizeBound(call) + Address.Group.Length);
        }
    }

    [Fact]
    public void A_chunk_s_bytes_follow_its_frame_and_must_fit_into_the_snapshot()
    {
        byte[] bytes = [1, 2, 3];
        foreach ((long offset, bool isFine) in new[] { (0L, true), (97L, true), (98L, false), (long.MaxValue, false) })
        {
            using var writer = new FrameWriter();
            SnapshotCodec.WriteHead(writer, Address, 8, Chunk(bytes) with { Offset = offset });
            Frame frame = Assert.Single(Cut([.. writer.Written.Span, .. bytes], segment: 7));
            if (!isFine)
            {
                Assert.Throws<BadFrameException>(() => SnapshotCodec.ReadChunk(frame.Payload, start: 4));
                continue;
            }

            (ulong id, SnapshotChunk chunk) = SnapshotCodec.ReadChunk(frame.Payload, start: 4);
            Assert.Equal((8ul, 4L, offset), (id, chunk.SenderStart, chunk.Offset));
            Assert.Equal(bytes, chunk.Bytes.ToArray());
        }
    }

    [Fact]
    public void Random_and_mutated_bytes_are_refused_and_do_nothing_worse()
    {
        var random = new Random(20261123);
        byte[] good = AllFrames();
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes = round % 4 == 0 ? new byte[random.Next(200)] : (byte[])good.Clone();
            if (round % 4 == 0)
                random.NextBytes(bytes);
            else
                Mutate(bytes, random);

            try
            {
                foreach (Frame frame in Cut(bytes, segment: random.Next(1, 100)))
                    Decode(frame);
            }
            catch (BadFrameException)
            {
                // as it must be
            }
            catch (Exception error)
            {
                Assert.Fail($"Round {round}: {error}");
            }
        }
    }

    [Fact]
    public void A_frame_over_the_limit_is_refused_before_it_is_collected()
    {
        byte[] bytes = [0, 0, 0, 64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        BadFrameException error = Assert.Throws<BadFrameException>(() => Cut(bytes, segment: 100));
        Assert.Equal(BadFrame.Oversized, error.Reason);
    }

    private static void Decode(Frame frame)
    {
        switch (frame.Kind)
        {
            case FrameKind.Hello:
                PeerHandshake.ReadHello(frame);
                break;
            case FrameKind.Welcome:
                PeerHandshake.ReadWelcome(frame);
                break;
            case FrameKind.Call:
                CallCodec.ReadCall(frame.Payload);
                break;
            case FrameKind.CallReply:
                CallCodec.ReadReply(frame.Payload);
                break;
            case FrameKind.SnapshotChunk:
                SnapshotCodec.ReadChunk(frame.Payload, start: 1);
                break;
            case FrameKind.SnapshotReply:
                SnapshotCodec.ReadReply(frame.Payload);
                break;
            case FrameKind.NoSuchGroup:
                MessageCodec.ReadNoSuchGroup(frame.Payload);
                break;
            default:
                MessageCodec.Read(frame.Kind, frame.Payload, From, To, 1);
                break;
        }
    }

    private static void Mutate(byte[] bytes, Random random)
    {
        for (int n = random.Next(1, 6); n > 0; n--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
    }

    private static byte[] AllFrames()
    {
        using var writer = new FrameWriter();
        NodeIdentity identity = PeerNode.IdentityOf("n1", 1);
        PeerHandshake.Write(writer, new Hello(1, 1, StreamKind.Bulk, identity, To, "http://127.0.0.1:1"));
        PeerHandshake.Write(writer, new Welcome(Refusal.None, "", 1, identity));
        foreach (Message message in Samples())
            MessageCodec.Write(writer, Address, message);
        CallCodec.WriteCall(writer, Address, 5, new AddEntryCall(new byte[20], 1_234));
        CallCodec.WriteReply(writer, Address, 7, new NotLeaderReply(From, new Term(2)));
        CallCodec.WriteReply(writer, Address, 7, new CallRefusedReply(CallRefusal.TooBig, "1 MiB at most"));
        MessageCodec.WriteNoSuchGroup(writer, Address, 9);
        foreach (LeaderCall call in Calls())
            CallCodec.WriteCall(writer, Address, 6, call);
        CallCodec.WriteReply(writer, Address, 7, new TransferDoneReply(From));
        SnapshotCodec.WriteHead(writer, Address, 8, Chunk(default));
        SnapshotCodec.WriteReply(writer, Address, 8, new SnapshotReply(new Term(2), SnapshotStatus.Installed, 0, new LogIndex(7)));
        SnapshotCodec.WriteReply(writer, Address, 8, null);
        return writer.Written.ToArray();
    }

    /// <summary>Frames of bytes that come in pieces of that size.</summary>
    private static List<Frame> Cut(byte[] bytes, int segment)
    {
        var reader = new FrameReader(1 << 20);
        List<Frame> frames = [];
        byte[] left = [];
        for (int at = 0; at < bytes.Length; at += segment)
        {
            byte[] piece = [.. left, .. bytes.AsSpan(at, Math.Min(segment, bytes.Length - at))];
            var buffer = new ReadOnlySequence<byte>(piece);
            while (reader.TryRead(ref buffer, out Frame frame))
                frames.Add(frame.Owned());
            left = buffer.ToArray();
        }

        return frames;
    }

    private static List<LeaderCall> Calls()
    {
        Member[] members = [new(From.Node, From.Storage, MemberKind.Voter, "http://a:1", ""), new(To.Node, To.Storage, MemberKind.Joining, "", "http://ä:1")];
        return
        [
            new AddEntryCall(new byte[20], 1) { Kind = EntryKind.System },
            new ReadBarrierCall(1),
            new ChangeMembersCall(new MembershipChange { Set = members, Add = members, Remove = [From, default], ExpectedIndex = new LogIndex(4) }, 1),
            new ChangeMembersCall(new MembershipChange(), 1),
            new TransferCall(To.Node, 1),
            new TransferCall(null, 1),
        ];
    }

    private static SnapshotChunk Chunk(byte[]? bytes) => new(
        new Term(3), new LogIndex(9), new SnapshotDescriptor("s", new LogIndex(8), new Term(2), Configuration.Empty, new LogIndex(1), 100, 5), 0, bytes);

    private static string Describe(Message message) => message is AppendRequest append
        ? $"{append with { Entries = [] }} {string.Join(", ", append.Entries.Select(entry => $"{entry} {entry.TimeMs} {Convert.ToHexString(entry.Payload.Span)}"))}"
        : message.ToString();

    private static List<Message> Samples() =>
    [
        new AppendRequest(From, To, new Term(3), new LogIndex(9), new Term(2), new LogIndex(8), []),
        new AppendRequest(From, To, new Term(3), new LogIndex(9), new Term(2), new LogIndex(8),
        [
            new Entry(new LogIndex(10), new Term(3), EntryKind.Command, 1_700_000_000_000, "abc"u8.ToArray()),
            new Entry(new LogIndex(11), new Term(3), EntryKind.Empty, 1_700_000_000_001, default),
            new Entry(new LogIndex(12), new Term(3), EntryKind.System, 1_700_000_000_001, "sys"u8.ToArray()),
            new Entry(new LogIndex(13), new Term(3), EntryKind.Configuration, 1_700_000_000_001, Configuration.Empty.Encode()),
        ]),
        new AppendReply(From, To, new Term(3), new LogIndex(9), new LogIndex(10), new LogIndex(8), null),
        new AppendReply(From, To, new Term(3), default, default, default, new AppendRejection(new LogIndex(9), new LogIndex(7), null, default)),
        new AppendReply(From, To, new Term(3), default, default, default, new AppendRejection(new LogIndex(9), new LogIndex(7), new Term(1), new LogIndex(5))),
        new VoteRequest(From, To, new Term(3), new LogIndex(9), new Term(2), IsPreVote: true, IsTransfer: false),
        new VoteReply(From, To, new Term(3), IsGranted: true, IsPreVote: false),
        new ReadQuorumRequest(From, To, new Term(3), new ReadId(44), new LogIndex(8)),
        new ReadQuorumReply(From, To, new Term(3), new ReadId(44)),
        new TimeoutNow(From, To, new Term(3)),
    ];
}

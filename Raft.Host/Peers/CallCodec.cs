using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Calls and their replies &lt;-&gt; bytes, version 1.</summary>
/// <remarks>
/// A type that we do not know is of a newer release: it is refused, or counts as a reply that says nothing, and the
/// connection lives on. Names in a change of members are not judged here: the leader does that, with an answer.
/// </remarks>
internal static class CallCodec
{
    private const int FixedBytes = 64;
    private const int MinMemberBytes = 23;
    private const int MinServerBytes = 18;

    /// <summary>Not less than the bytes that <see cref="WriteCall"/> takes beside the group's name.</summary>
    public static long SizeBound(LeaderCall call) => call switch
    {
        AddEntryCall add => FixedBytes + add.Command.Length,
        ChangeMembersCall { Change: var change } =>
            FixedBytes + SizeBound(change.Set ?? []) + SizeBound(change.Add) + change.Remove.Sum(server => 32L + SizeBound(server.Node.Value)),
        TransferCall transfer => FixedBytes + SizeBound(transfer.Target?.Value),
        _ => FixedBytes,
    };

    public static void WriteCall(FrameWriter writer, FrameAddress address, ulong id, LeaderCall call)
    {
        writer.Begin(FrameKind.Call, address);
        writer.UInt64(id);
        switch (call)
        {
            case AddEntryCall add:
                writer.Byte(1);
                writer.Int32(add.TimeoutMs);
                writer.Byte((byte)add.Kind);
                writer.Bytes(add.Command.Span);
                break;
            case ReadBarrierCall read:
                writer.Byte(2);
                writer.Int32(read.TimeoutMs);
                break;
            case ChangeMembersCall change:
                writer.Byte(3);
                writer.Int32(change.TimeoutMs);
                WriteChange(writer, change.Change);
                break;
            case TransferCall transfer:
                writer.Byte(4);
                writer.Int32(transfer.TimeoutMs);
                writer.Bool(transfer.Target is not null);
                if (transfer.Target is { } target)
                    writer.Text(target.Value);
                break;
            default:
                throw new NotSupportedException($"{call.GetType().Name} has no wire format.");
        }

        writer.End();
    }

    /// <summary>Without a call: this release does not know it.</summary>
    /// <exception cref="BadFrameException">It is one that this release knows, and broken.</exception>
    public static (ulong Id, LeaderCall? Call) ReadCall(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        ulong id = reader.UInt64();
        byte type = reader.Byte();
        if (type is 0 or > 4)
            return (id, null);

        int timeoutMs = reader.Int32();
        LeaderCall? call = type switch
        {
            1 => ReadAdd(ref reader, timeoutMs),
            2 => new ReadBarrierCall(timeoutMs),
            3 => new ChangeMembersCall(ReadChange(ref reader), timeoutMs),
            _ => new TransferCall(reader.Bool() ? new NodeId(reader.Text()) : null, timeoutMs),
        };
        if (call is not null)
            reader.End();
        return (id, call);
    }

    /// <param name="writer">Where to.</param>
    /// <param name="address">Whose, for whom.</param>
    /// <param name="id">The call's.</param>
    /// <param name="reply">Null: the call failed here and may have had an effect.</param>
    public static void WriteReply(FrameWriter writer, FrameAddress address, ulong id, LeaderReply? reply)
    {
        writer.Begin(FrameKind.CallReply, address);
        writer.UInt64(id);
        switch (reply)
        {
            case null or CallFailedReply:
                writer.Byte(0);
                break;
            case EntryAddedReply added:
                writer.Byte(1);
                writer.Int64(added.Entry.Index.Value);
                writer.Int64(added.Entry.Term.Value);
                break;
            case ReadBarrierReply read:
                writer.Byte(2);
                writer.Int64(read.Index.Value);
                break;
            case NotLeaderReply other:
                writer.Byte(3);
                writer.Int64(other.Term.Value);
                MessageCodec.WriteServer(writer, other.Leader);
                break;
            case CallRefusedReply refused:
                writer.Byte(4);
                writer.Byte((byte)refused.Reason);
                writer.Text(refused.Detail);
                break;
            case TransferDoneReply done:
                writer.Byte(5);
                MessageCodec.WriteServer(writer, done.Leader);
                break;
            default:
                throw new NotSupportedException($"{reply.GetType().Name} has no wire format.");
        }

        writer.End();
    }

    /// <summary>Without a reply: the call may have had an effect. A reply that this release does not know says the same.</summary>
    /// <exception cref="BadFrameException">It is one that this release knows, and broken.</exception>
    public static (ulong Id, LeaderReply? Reply) ReadReply(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        ulong id = reader.UInt64();
        byte type = reader.Byte();
        if (type > 5)
            return (id, null);

        LeaderReply? reply = type switch
        {
            0 => null,
            1 => new EntryAddedReply(new EntryId(reader.Index(), reader.Term())),
            2 => new ReadBarrierReply(reader.Index()),
            3 => ReadNotLeader(ref reader),
            4 => new CallRefusedReply(ReadRefusal(ref reader), reader.Text()),
            _ => new TransferDoneReply(MessageCodec.ReadServer(ref reader)),
        };
        reader.End();
        return (id, reply);
    }

    /// <summary>Null: a kind of entry of a newer release.</summary>
    private static AddEntryCall? ReadAdd(ref PayloadReader reader, int timeoutMs)
    {
        var kind = (EntryKind)reader.Byte();
        ReadOnlyMemory<byte> command = reader.Slice(reader.Left);
        return kind is EntryKind.Command or EntryKind.System ? new AddEntryCall(command, timeoutMs) { Kind = kind } : null;
    }

    private static void WriteChange(FrameWriter writer, MembershipChange change)
    {
        writer.Bool(change.Set is not null);
        if (change.Set is not null)
            WriteMembers(writer, change.Set);
        WriteMembers(writer, change.Add);
        writer.Int32(change.Remove.Count);
        foreach (ServerId server in change.Remove)
            writer.Server(server);
        writer.Bool(change.IsForced);
        writer.Int64(change.ExpectedIndex?.Value ?? -1);
    }

    private static MembershipChange ReadChange(ref PayloadReader reader)
    {
        List<Member>? set = reader.Bool() ? ReadMembers(ref reader) : null;
        List<Member> add = ReadMembers(ref reader);
        var remove = new ServerId[reader.Items(MinServerBytes)];
        for (int i = 0; i < remove.Length; i++)
            remove[i] = new ServerId(new NodeId(reader.Text()), new StorageId(reader.UInt128()));

        bool isForced = reader.Bool();
        long expected = reader.Int64();
        return new MembershipChange
        {
            Set = set,
            Add = add,
            Remove = remove,
            IsForced = isForced,
            ExpectedIndex = expected < 0 ? null : new LogIndex(expected),
        };
    }

    private static void WriteMembers(FrameWriter writer, IReadOnlyList<Member> members)
    {
        writer.Int32(members.Count);
        foreach (Member member in members)
        {
            writer.Server(member.Id);
            writer.Byte((byte)member.Kind);
            writer.Text(member.PeerUrl);
            writer.Text(member.ApiUrl);
        }
    }

    private static List<Member> ReadMembers(ref PayloadReader reader)
    {
        int count = reader.Items(MinMemberBytes);
        var members = new List<Member>(count);
        for (int i = 0; i < count; i++)
        {
            var node = new NodeId(reader.Text());
            var storage = new StorageId(reader.UInt128());
            var kind = (MemberKind)reader.Byte();
            if (kind is < MemberKind.Voter or > MemberKind.Joining)
                throw BadFrameException.Malformed($"{(byte)kind} is no kind of member");
            members.Add(new Member(node, storage, kind, PeerUrl: reader.Text(), ApiUrl: reader.Text()));
        }

        return members;
    }

    private static long SizeBound(IReadOnlyList<Member> members)
    {
        long size = 0;
        foreach (Member member in members)
            size += 32 + SizeBound(member.Node.Value) + SizeBound(member.PeerUrl) + SizeBound(member.ApiUrl);
        return size;
    }

    /// <summary>Each character is at most three bytes of UTF-8.</summary>
    private static long SizeBound(string? text) => 2 + (3L * (text?.Length ?? 0));

    private static NotLeaderReply ReadNotLeader(ref PayloadReader reader)
    {
        Term term = reader.Term();
        return new NotLeaderReply(MessageCodec.ReadServer(ref reader), term);
    }

    /// <summary>A reason that only a newer release knows: nothing was done there, and its text says why.</summary>
    private static CallRefusal ReadRefusal(ref PayloadReader reader)
    {
        byte reason = reader.Byte();
        return reason is >= (byte)CallRefusal.Overloaded and <= (byte)CallRefusal.OutOfMemoryBudget ? (CallRefusal)reason : CallRefusal.Stopped;
    }
}

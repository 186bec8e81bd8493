using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Message &lt;-&gt; bytes, version 1. From and To are not in the payload: the handshake names them. Hot path.</summary>
internal static class MessageCodec
{
    private const int EntryHeaderBytes = 29;
    private const int FixedBytes = 96;

    /// <summary>Not less than the bytes that <see cref="Write"/> takes beside the group's name.</summary>
    public static long SizeBound(Message message)
    {
        if (message is not AppendRequest append)
            return FixedBytes;

        long size = FixedBytes;
        for (int i = 0; i < append.Entries.Count; i++)
            size += EntryHeaderBytes + append.Entries[i].Payload.Length;

        return size;
    }

    public static void Write(FrameWriter writer, FrameAddress address, Message message)
    {
        writer.Begin(KindOf(message), address);
        writer.Int64(message.Term.Value);
        switch (message)
        {
            case AppendRequest append:
                WriteAppend(writer, append);
                break;
            case AppendReply reply:
                writer.Int64(reply.MatchIndex.Value);
                writer.Int64(reply.ReceivedIndex.Value);
                writer.Int64(reply.CommitIndex.Value);
                WriteRejection(writer, reply.Rejection);
                break;
            case VoteRequest request:
                writer.Int64(request.LastIndex.Value);
                writer.Int64(request.LastTerm.Value);
                writer.Bool(request.IsPreVote);
                writer.Bool(request.IsTransfer);
                break;
            case VoteReply reply:
                writer.Bool(reply.IsGranted);
                writer.Bool(reply.IsPreVote);
                break;
            case ReadQuorumRequest request:
                writer.Int64(request.ReadId.Value);
                writer.Int64(request.CommitIndex.Value);
                break;
            case ReadQuorumReply reply:
                writer.Int64(reply.ReadId.Value);
                break;
        }

        writer.End();
    }

    /// <summary>The message of a frame. Entries are slices of the frame's bytes: it must be an owned one.</summary>
    /// <exception cref="BadFrameException">It is none.</exception>
    public static Message Read(FrameKind kind, ReadOnlyMemory<byte> payload, ServerId from, ServerId to, long start)
    {
        var reader = new PayloadReader(payload);
        Term term = reader.Term();
        Message message = kind switch
        {
            FrameKind.AppendRequest => ReadAppend(ref reader, from, to, term, start),
            FrameKind.AppendReply => new AppendReply(from, to, term, reader.Index(), reader.Index(), reader.Index(), ReadRejection(ref reader)) { SenderStart = start },
            FrameKind.VoteRequest => new VoteRequest(from, to, term, reader.Index(), reader.Term(), reader.Bool(), reader.Bool()) { SenderStart = start },
            FrameKind.VoteReply => new VoteReply(from, to, term, reader.Bool(), reader.Bool()) { SenderStart = start },
            FrameKind.ReadQuorumRequest => new ReadQuorumRequest(from, to, term, new ReadId(reader.Int64()), reader.Index()) { SenderStart = start },
            FrameKind.ReadQuorumReply => new ReadQuorumReply(from, to, term, new ReadId(reader.Int64())) { SenderStart = start },
            FrameKind.TimeoutNow => new TimeoutNow(from, to, term) { SenderStart = start },
            _ => throw BadFrameException.Malformed($"{(byte)kind} is no kind of message"),
        };
        reader.End();
        return message;
    }

    public static void WriteNoSuchGroup(FrameWriter writer, FrameAddress address, ulong id)
    {
        writer.Begin(FrameKind.NoSuchGroup, address);
        writer.UInt64(id);
        writer.End();
    }

    public static ulong ReadNoSuchGroup(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        ulong id = reader.UInt64();
        reader.End();
        return id;
    }

    public static void WriteServer(FrameWriter writer, ServerId? server)
    {
        writer.Bool(server is not null);
        if (server is { } known)
            writer.Server(known);
    }

    public static ServerId? ReadServer(ref PayloadReader reader) => reader.Bool() ? reader.Server() : null;

    private static FrameKind KindOf(Message message) => message switch
    {
        AppendRequest => FrameKind.AppendRequest,
        AppendReply => FrameKind.AppendReply,
        VoteRequest => FrameKind.VoteRequest,
        VoteReply => FrameKind.VoteReply,
        ReadQuorumRequest => FrameKind.ReadQuorumRequest,
        ReadQuorumReply => FrameKind.ReadQuorumReply,
        TimeoutNow => FrameKind.TimeoutNow,
        _ => throw new NotSupportedException($"{message.GetType().Name} has no wire format."),
    };

    private static void WriteAppend(FrameWriter writer, AppendRequest append)
    {
        writer.Int64(append.PreviousIndex.Value);
        writer.Int64(append.PreviousTerm.Value);
        writer.Int64(append.CommitIndex.Value);
        writer.Int32(append.Entries.Count);
        for (int i = 0; i < append.Entries.Count; i++)
        {
            Entry entry = append.Entries[i];
            writer.Int64(entry.Index.Value);
            writer.Int64(entry.Term.Value);
            writer.Byte((byte)entry.Kind);
            writer.Int64(entry.TimeMs);
            writer.Int32(entry.Payload.Length);
            writer.Bytes(entry.Payload.Span);
        }
    }

    private static AppendRequest ReadAppend(ref PayloadReader reader, ServerId from, ServerId to, Term term, long start)
    {
        LogIndex previousIndex = reader.Index();
        Term previousTerm = reader.Term();
        LogIndex commitIndex = reader.Index();
        int count = reader.Int32();
        // Before anything of that size is allocated.
        if (count < 0 || count > reader.Left / EntryHeaderBytes)
            throw BadFrameException.Malformed($"an append claims {count} entries in {reader.Left} bytes");

        Entry[] entries = count == 0 ? [] : new Entry[count];
        for (int i = 0; i < entries.Length; i++)
            entries[i] = ReadEntry(ref reader);

        return new AppendRequest(from, to, term, previousIndex, previousTerm, commitIndex, entries) { SenderStart = start };
    }

    private static Entry ReadEntry(ref PayloadReader reader)
    {
        LogIndex index = reader.Index();
        Term term = reader.Term();
        var kind = (EntryKind)reader.Byte();
        if (kind is < EntryKind.Command or > EntryKind.System)
            throw BadFrameException.Malformed($"{(byte)kind} is no kind of entry");

        long timeMs = reader.Int64();
        return new Entry(index, term, kind, timeMs, reader.Slice(reader.Int32()));
    }

    private static void WriteRejection(FrameWriter writer, AppendRejection? rejection)
    {
        writer.Bool(rejection is not null);
        if (rejection is null)
            return;

        writer.Int64(rejection.PreviousIndex.Value);
        writer.Int64(rejection.LastIndex.Value);
        writer.Int64(rejection.ConflictTerm?.Value ?? -1);
        writer.Int64(rejection.ConflictFirstIndex.Value);
    }

    private static AppendRejection? ReadRejection(ref PayloadReader reader)
    {
        if (!reader.Bool())
            return null;

        LogIndex previous = reader.Index();
        LogIndex last = reader.Index();
        long conflictTerm = reader.Int64();
        if (conflictTerm < -1)
            throw BadFrameException.Malformed($"{conflictTerm} is no term");

        return new AppendRejection(previous, last, conflictTerm < 0 ? null : new Term(conflictTerm), reader.Index());
    }
}

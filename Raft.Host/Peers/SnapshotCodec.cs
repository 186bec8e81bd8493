using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Chunks of snapshots and their answers &lt;-&gt; bytes, version 1.</summary>
internal static class SnapshotCodec
{
    /// <summary>A frame but for the chunk's own bytes, which follow it on the wire: they are never copied into a frame.</summary>
    public static void WriteHead(FrameWriter writer, FrameAddress address, ulong id, SnapshotChunk chunk)
    {
        writer.Begin(FrameKind.SnapshotChunk, address);
        writer.UInt64(id);
        writer.Int64(chunk.Term.Value);
        writer.Int64(chunk.CommitIndex.Value);
        WriteDescriptor(writer, chunk.Snapshot);
        writer.Int64(chunk.Offset);
        writer.End(follows: chunk.Bytes.Length);
    }

    /// <summary>The chunk's bytes are a slice of the payload.</summary>
    /// <exception cref="BadFrameException">It is no chunk.</exception>
    public static (ulong Id, SnapshotChunk Chunk) ReadChunk(ReadOnlyMemory<byte> payload, long start)
    {
        var reader = new PayloadReader(payload);
        ulong id = reader.UInt64();
        Term term = reader.Term();
        LogIndex commitIndex = reader.Index();
        SnapshotDescriptor snapshot = ReadDescriptor(ref reader);
        long offset = reader.Count();
        // Compared so, it cannot overflow.
        if (offset > snapshot.SizeBytes || reader.Left > snapshot.SizeBytes - offset)
            throw BadFrameException.Malformed($"a chunk of {reader.Left} bytes at {offset} does not fit into {snapshot.SizeBytes} bytes");

        return (id, new SnapshotChunk(term, commitIndex, snapshot, offset, reader.Slice(reader.Left)) { SenderStart = start });
    }

    /// <param name="writer">Where to.</param>
    /// <param name="address">Whose, for whom.</param>
    /// <param name="id">The chunk's.</param>
    /// <param name="reply">Null: the handler failed.</param>
    public static void WriteReply(FrameWriter writer, FrameAddress address, ulong id, SnapshotReply? reply)
    {
        writer.Begin(FrameKind.SnapshotReply, address);
        writer.UInt64(id);
        writer.Byte((byte)(reply?.Status ?? 0));
        if (reply is not null)
        {
            writer.Int64(reply.Term.Value);
            writer.Int64(reply.NextOffset);
            writer.Int64(reply.MatchIndex.Value);
        }

        writer.End();
    }

    /// <exception cref="BadFrameException">It is no answer.</exception>
    public static (ulong Id, SnapshotReply? Reply) ReadReply(ReadOnlyMemory<byte> payload)
    {
        var reader = new PayloadReader(payload);
        ulong id = reader.UInt64();
        byte status = reader.Byte();
        SnapshotReply? reply = null;
        if (status is >= (byte)SnapshotStatus.Continue and <= (byte)SnapshotStatus.Refused)
            reply = new SnapshotReply(reader.Term(), (SnapshotStatus)status, reader.Count(), reader.Index());
        else if (status != 0)
            throw BadFrameException.Malformed($"{status} is no answer to a chunk");

        reader.End();
        return (id, reply);
    }

    private static void WriteDescriptor(FrameWriter writer, SnapshotDescriptor snapshot)
    {
        byte[] configuration = snapshot.Configuration.Encode();
        writer.Text(snapshot.SnapshotId);
        writer.Int64(snapshot.Index.Value);
        writer.Int64(snapshot.Term.Value);
        writer.Int64(snapshot.ConfigurationIndex.Value);
        writer.Int64(snapshot.SizeBytes);
        writer.UInt128(snapshot.Hash);
        writer.Int64(snapshot.TimeMs);
        writer.Int32(configuration.Length);
        writer.Bytes(configuration);
    }

    private static SnapshotDescriptor ReadDescriptor(ref PayloadReader reader)
    {
        string id = reader.Text();
        LogIndex index = reader.Index();
        Term term = reader.Term();
        LogIndex configurationIndex = reader.Index();
        long sizeBytes = reader.Count();
        UInt128 hash = reader.UInt128();
        long timeMs = reader.Int64();
        try
        {
            var configuration = Configuration.Decode(reader.Slice(reader.Int32()).Span);
            return new SnapshotDescriptor(id, index, term, configuration, configurationIndex, sizeBytes, hash) { TimeMs = timeMs };
        }
        catch (InvalidDataException error)
        {
            throw BadFrameException.Malformed(error.Message);
        }
    }
}

using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Fuzz.Targets;

/// <summary>Pieces of snapshots and their answers, each behind its kind.</summary>
internal sealed class ChunksTarget : FuzzTarget
{
    public override string Name => "chunks";

    public override IEnumerable<byte[]> Seeds()
    {
        var chunk = new SnapshotChunk(new Term(4), new LogIndex(20), PeerSamples.Snapshot, 10, "content"u8.ToArray());
        yield return
        [
            .. PeerSamples.PayloadOf(writer => SnapshotCodec.WriteHead(writer, FrameAddress.Node, 3, chunk)), .. chunk.Bytes.Span,
        ];
        yield return PeerSamples.PayloadOf(writer => SnapshotCodec.WriteReply(
            writer, FrameAddress.Node, 3, new SnapshotReply(new Term(4), SnapshotStatus.Continue, 17, new LogIndex(5))));
        yield return PeerSamples.PayloadOf(writer => SnapshotCodec.WriteReply(writer, FrameAddress.Node, 3, null));
    }

    private static byte[] WriteReply((ulong Id, SnapshotReply? Reply) said) =>
        PeerSamples.PayloadOf(writer => SnapshotCodec.WriteReply(writer, FrameAddress.Node, said.Id, said.Reply));

    private static byte[] WriteChunk((ulong Id, SnapshotChunk Chunk) said) =>
        [.. PeerSamples.PayloadOf(writer => SnapshotCodec.WriteHead(writer, FrameAddress.Node, said.Id, said.Chunk)), .. said.Chunk.Bytes.Span];

    public override string Run(byte[] input)
    {
        if (input.Length == 0)
            return "empty";
        try
        {
            if ((FrameKind)input[0] == FrameKind.SnapshotReply)
            {
                ComesBack(SnapshotCodec.ReadReply(input.AsMemory(1)), WriteReply, bytes => SnapshotCodec.ReadReply(bytes.AsMemory(1)));
                return Accepted;
            }

            (ulong id, SnapshotChunk chunk) = SnapshotCodec.ReadChunk(input.AsMemory(1), start: 1);
            ComesBack((id, chunk), WriteChunk, bytes => SnapshotCodec.ReadChunk(bytes.AsMemory(1), start: 1));
            Holds(chunk.Offset >= 0 && chunk.Offset + chunk.Bytes.Length <= chunk.Snapshot.SizeBytes, "a chunk is within its snapshot");
            return Accepted;
        }
        catch (BadFrameException bad)
        {
            return bad.Message;
        }
    }
}

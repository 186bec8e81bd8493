using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Fuzz.Targets;

/// <summary>What a liveness frame says of groups.</summary>
internal sealed class LivenessTarget : FuzzTarget
{
    public override string Name => "liveness";

    public override IEnumerable<byte[]> Seeds()
    {
        byte[] groups = PeerSamples.PayloadOf(writer =>
        {
            writer.Begin(FrameKind.Liveness);
            writer.Int32(2);
            writer.Text("default");
            writer.Bool(true);
            writer.Int64(4);
            writer.Bool(true);
            MessageCodec.WriteServer(writer, PeerSamples.From);
            writer.Text("other");
            writer.Bool(false);
            writer.End();
        })[1..];
        return [groups];
    }

    public override string Run(byte[] input)
    {
        try
        {
            var reader = new PayloadReader(input);
            int count = reader.Items(LivenessFrame.MinGroupBytes);
            var groups = new List<(GroupId, GroupStatus?)>(count);
            for (int i = 0; i < count; i++)
                groups.Add(LivenessFrame.ReadGroup(ref reader));
            reader.End();
            return Accepted;
        }
        catch (BadFrameException bad)
        {
            return bad.Message;
        }
    }
}

using Raft.Engine.Plugins;
using Raft.Host.Peers;

namespace Raft.Fuzz.Targets;

/// <summary>Calls of the leader, their replies, and the answer that there is no such group.</summary>
internal sealed class CallsTarget : FuzzTarget
{
    public override string Name => "calls";

    public override IEnumerable<byte[]> Seeds() => PeerSamples.Calls().Append([(byte)FrameKind.NoSuchGroup, 7, 0, 0, 0, 0, 0, 0, 0]);

    private static byte[] WriteCall((ulong Id, LeaderCall? Call) said) =>
        PeerSamples.PayloadOf(writer => CallCodec.WriteCall(writer, FrameAddress.Node, said.Id, said.Call!));

    private static byte[] WriteReply((ulong Id, LeaderReply? Reply) said) =>
        PeerSamples.PayloadOf(writer => CallCodec.WriteReply(writer, FrameAddress.Node, said.Id, said.Reply));

    public override string Run(byte[] input)
    {
        if (input.Length == 0)
            return "empty";
        try
        {
            switch ((FrameKind)input[0])
            {
                case FrameKind.Call:
                    (ulong id, LeaderCall? call) = CallCodec.ReadCall(input.AsMemory(1));
                    if (call is null)
                        return "unknown";
                    byte[] again = ComesBack((id, call), WriteCall, bytes => CallCodec.ReadCall(bytes.AsMemory(1)));
                    Holds(CallCodec.SizeBound(call) >= again.Length, "a call is within its bound");
                    return Accepted;
                case FrameKind.CallReply:
                    ComesBack(CallCodec.ReadReply(input.AsMemory(1)), WriteReply, bytes => CallCodec.ReadReply(bytes.AsMemory(1)));
                    return Accepted;
                case FrameKind.NoSuchGroup:
                    MessageCodec.ReadNoSuchGroup(input.AsMemory(1));
                    return Accepted;
                default:
                    return "no call";
            }
        }
        catch (BadFrameException bad)
        {
            return bad.Message;
        }
    }
}

using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Fuzz.Targets;

/// <summary>Messages of the protocol: the kind, then the payload. What is read is written as it was.</summary>
internal sealed class MessagesTarget : FuzzTarget
{
    public override string Name => "messages";

    public override IEnumerable<byte[]> Seeds() => PeerSamples.Messages();

    public override string Run(byte[] input)
    {
        if (input.Length == 0)
            return "empty";
        Message message;
        try
        {
            message = MessageCodec.Read((FrameKind)input[0], input.AsMemory(1), PeerSamples.From, PeerSamples.To, start: 1);
        }
        catch (BadFrameException bad)
        {
            return bad.Message;
        }

        byte[] again = PeerSamples.PayloadOf(writer => MessageCodec.Write(writer, FrameAddress.Node, message));
        Holds(again.AsSpan().SequenceEqual(input), "a message is written as it was read");
        Holds(again.Length + FrameWriter.LengthBytes + FrameWriter.HeaderBytes <= MessageCodec.SizeBound(message) + 1, "a message is within its bound");
        return Accepted;
    }
}

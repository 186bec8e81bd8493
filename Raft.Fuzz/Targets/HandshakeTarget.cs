using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Peers;

namespace Raft.Fuzz.Targets;

/// <summary>The first frames of both directions, and what is thought of them.</summary>
internal sealed class HandshakeTarget : FuzzTarget
{
    private static readonly NodeIdentity _self = new(new ClusterUid(5), PeerSamples.To.Node, PeerSamples.To.Storage, 1, 2, 3);

    public override string Name => "handshake";

    public override IEnumerable<byte[]> Seeds()
    {
        var caller = new NodeIdentity(new ClusterUid(5), PeerSamples.From.Node, PeerSamples.From.Storage, 1, 2, 3);
        return
        [
            FrameOf(writer => PeerHandshake.Write(writer, new Hello(1, 1, StreamKind.Bulk, caller, PeerSamples.To, "http://n1:1"))),
            FrameOf(writer => PeerHandshake.Write(writer, new Welcome(Refusal.None, "", 1, caller))),
            FrameOf(writer => PeerHandshake.Write(writer, new Welcome(Refusal.OtherCluster, "other", 1, null))),
        ];
    }

    public override string Run(byte[] input)
    {
        if (input.Length < FrameWriter.HeaderBytes || input.Length < FrameWriter.HeaderBytes + input[1])
            return "no frame";
        var frame = new Frame(input, IsOwned: true);
        try
        {
            if (frame.Kind == FrameKind.Welcome)
            {
                Welcome welcome = PeerHandshake.ReadWelcome(frame);
                ComesBack(welcome, said => FrameOf(writer => PeerHandshake.Write(writer, said)), bytes => PeerHandshake.ReadWelcome(new Frame(bytes, IsOwned: true)));
                PeerHandshake.Judge(welcome, PeerSamples.From, _self, new SeenServers());
                return Accepted;
            }

            Hello hello = PeerHandshake.ReadHello(frame);

            // Of another version only the range was read.
            if (hello.MinVersion <= PeerHandshake.MaxVersion && hello.MaxVersion >= PeerHandshake.MinVersion)
                ComesBack(hello, said => FrameOf(writer => PeerHandshake.Write(writer, said)), bytes => PeerHandshake.ReadHello(new Frame(bytes, IsOwned: true)));
            PeerHandshake.Judge(hello, _self, new SeenServers());
            return Accepted;
        }
        catch (BadFrameException bad)
        {
            return bad.Message;
        }
    }

    private static byte[] FrameOf(Action<FrameWriter> write)
    {
        using var writer = new FrameWriter();
        write(writer);
        return writer.Written[FrameWriter.LengthBytes..].ToArray();
    }
}

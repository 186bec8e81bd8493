using System.Globalization;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>The first frame of a stream: who calls, and whom.</summary>
/// <param name="MinVersion">The lowest protocol version that the caller speaks.</param>
/// <param name="MaxVersion">The highest.</param>
/// <param name="Stream">What the stream is for.</param>
/// <param name="Caller">Who calls.</param>
/// <param name="Expected">Whom the caller means; a storage id of zero: any disk.</param>
/// <param name="Url">Where the caller is reached; empty when it does not know.</param>
internal sealed record Hello(ushort MinVersion, ushort MaxVersion, StreamKind Stream, NodeIdentity Caller, ServerId Expected, string Url);

/// <summary>The answer to a <see cref="Hello"/>, the first frame of the response.</summary>
/// <param name="Reason">None: accepted.</param>
/// <param name="Text">With a reason: what is wrong, and what to do.</param>
/// <param name="Version">Accepted: what both will speak.</param>
/// <param name="Responder">Who answers; null when it belongs to no cluster.</param>
internal sealed record Welcome(Refusal Reason, string Text, ushort Version, NodeIdentity? Responder);

/// <summary>How a stream begins: versions, cluster, node, storage, start. Rule 12; docs: identity.</summary>
internal static class PeerHandshake
{
    public const ushort MinVersion = 1;

    /// <summary>1: the first release. 2: a liveness frame tells the sender's wall clock, and whether its memory is used up.</summary>
    public const ushort MaxVersion = 2;

    public const ushort ClockVersion = 2;

    /// <summary>Before a handshake nobody may make us hold more.</summary>
    public const int MaxFrameBytes = 8 << 10;

    private const uint Magic = 0x52465031; // RFP1

    public static void Write(FrameWriter writer, Hello hello)
    {
        writer.Begin(FrameKind.Hello);
        writer.Int32(unchecked((int)Magic));
        writer.UInt16(hello.MinVersion);
        writer.UInt16(hello.MaxVersion);
        writer.Byte((byte)hello.Stream);
        WriteIdentity(writer, hello.Caller);
        writer.Server(hello.Expected);
        writer.Text(hello.Url);
        writer.End();
    }

    /// <exception cref="BadFrameException">It is no hello.</exception>
    public static Hello ReadHello(in Frame frame)
    {
        if (frame.Kind != FrameKind.Hello)
            throw BadFrameException.Malformed("the first frame is no hello");

        var reader = new PayloadReader(frame.Payload);
        if (reader.Int32() != unchecked((int)Magic))
            throw BadFrameException.Malformed("the first frame is no hello");

        ushort minVersion = reader.UInt16();
        ushort maxVersion = reader.UInt16();
        // What follows may look different in a version that we do not know.
        if (minVersion > MaxVersion || maxVersion < MinVersion)
            return new Hello(minVersion, maxVersion, default, Unknown, default, "");

        var stream = (StreamKind)reader.Byte();
        if (stream is not (StreamKind.Control or StreamKind.Bulk or StreamKind.Snapshot))
            throw BadFrameException.Malformed($"{(byte)stream} is no kind of stream");

        return new Hello(minVersion, maxVersion, stream, ReadIdentity(ref reader), reader.Server(), reader.Text());
    }

    public static void Write(FrameWriter writer, Welcome welcome)
    {
        writer.Begin(FrameKind.Welcome);
        writer.Byte((byte)welcome.Reason);
        writer.Text(welcome.Text);
        writer.UInt16(welcome.Version);
        writer.Bool(welcome.Responder is not null);
        if (welcome.Responder is not null)
            WriteIdentity(writer, welcome.Responder);
        writer.End();
    }

    /// <exception cref="BadFrameException">It is no welcome.</exception>
    public static Welcome ReadWelcome(in Frame frame)
    {
        if (frame.Kind != FrameKind.Welcome)
            throw BadFrameException.Malformed("the first frame of the answer is no welcome");

        var reader = new PayloadReader(frame.Payload);
        var reason = (Refusal)reader.Byte();
        return new Welcome(reason, reader.Text(), reader.UInt16(), reader.Bool() ? ReadIdentity(ref reader) : null);
    }

    /// <summary>What we think of a caller. What it may do once it is in is the protocol's business.</summary>
    public static (Refusal Reason, string Text) Judge(Hello hello, NodeIdentity self, SeenServers seen)
    {
        if (hello.MinVersion > MaxVersion || hello.MaxVersion < MinVersion)
        {
            return (Refusal.NoCommonVersion, string.Create(
                CultureInfo.InvariantCulture,
                $"{self.Node} speaks peer protocol {MinVersion} to {MaxVersion}, the caller {hello.MinVersion} to {hello.MaxVersion}: upgrade one release at a time."));
        }

        NodeIdentity caller = hello.Caller;
        if (caller.Cluster != self.Cluster)
        {
            return (Refusal.OtherCluster,
                $"{self.Node} is in cluster {self.Cluster}, {caller.Node} in {caller.Cluster}: correct the address that leads from one to the other, or the data directory that was put there.");
        }

        if (caller.Node == self.Node)
        {
            return (Refusal.SameNodeId, caller.Storage == self.Storage && caller.StartNonce == self.StartNonce
                ? $"{self.Node} has called itself: correct the address book."
                : $"Two nodes have the id {self.Node}: give one of them another NodeId.");
        }

        if (hello.Expected.Node != self.Node)
            return (Refusal.WrongDestination, $"This is {self.Node}, the caller wants {hello.Expected.Node}: correct the address of {hello.Expected.Node}.");

        if (hello.Expected.Storage != default && hello.Expected.Storage != self.Storage)
        {
            return (Refusal.WrongDestination,
                $"{self.Node} is on storage {self.Storage} now, the caller wants {hello.Expected.Storage}: its disk was lost or replaced; have it join again.");
        }

        return seen.Judge(caller);
    }

    /// <summary>What we think of whoever answered our call.</summary>
    public static (Refusal Reason, string Text) Judge(Welcome welcome, ServerId wanted, NodeIdentity self, SeenServers seen)
    {
        if (welcome.Reason != Refusal.None)
            return (welcome.Reason, welcome.Text);
        if (welcome.Responder is not { } responder || welcome.Version is < MinVersion or > MaxVersion)
            return (Refusal.Malformed, "The answer names no server, or a version that was not offered.");
        if (responder.Cluster != self.Cluster)
            return (Refusal.OtherCluster, $"{responder.Node} is in cluster {responder.Cluster}, we are in {self.Cluster}: correct its address.");
        if (responder.Server != wanted)
            return (Refusal.WrongDestination, $"{responder.Server} answered in place of {wanted}: correct its address.");

        return seen.Judge(responder);
    }

    private static readonly NodeIdentity Unknown = new(default, default, default, 0, 0, 0);

    private static void WriteIdentity(FrameWriter writer, NodeIdentity identity)
    {
        writer.UInt128(identity.Cluster.Value);
        writer.Server(identity.Server);
        writer.Int64(identity.StartCount);
        writer.UInt64(identity.StartNonce);
        writer.Int64(identity.OpeningSequence);
    }

    private static NodeIdentity ReadIdentity(ref PayloadReader reader)
    {
        var cluster = new ClusterUid(reader.UInt128());
        ServerId server = reader.Server();
        return new NodeIdentity(cluster, server.Node, server.Storage, reader.Count(), reader.UInt64(), reader.Count());
    }
}

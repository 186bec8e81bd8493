using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Host.Hosting;

/// <summary>Tells a node that comes back whether its directory is the newest that was seen here. Design 4.5.</summary>
/// <remarks>The handshake of every connection judges the same; asked before, the node never takes part with an old directory at all.</remarks>
public sealed class ReturnDesk(FormationDesk desk, PeerTransport peers)
{
    public ReturnAnswer Answer(ReturnQuestion question)
    {
        ClusterUid uid = ClusterUid.Parse(question.Uid);
        if (desk.Uid != uid)
            return new ReturnAnswer(IsRefused: false, Reason: null);       // the handshake says more

        var identity = new NodeIdentity(
            uid, new NodeId(question.NodeId), StorageId.Parse(question.StorageId), question.StartCount,
            ulong.Parse(question.StartNonce, NumberStyles.HexNumber, CultureInfo.InvariantCulture), question.OpeningSequence);
        return peers.JudgeReturn(identity) is { } refusal ? new ReturnAnswer(IsRefused: true, refusal) : new ReturnAnswer(IsRefused: false, Reason: null);
    }
}

using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Who we are, as every connection's handshake says it. Known once formation is over.</summary>
public sealed record NodeIdentity(
    ClusterUid Cluster, NodeId Node, StorageId Storage, long StartCount, ulong StartNonce, long OpeningSequence)
{
    public ServerId Server => new(Node, Storage);
}

using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Who we are, as every connection's handshake says it. Known once formation is over.</summary>
public sealed record NodeIdentity(
    ClusterUid Cluster, NodeId Node, StorageId Storage, long StartCount, ulong StartNonce, long OpeningSequence);

public sealed record PeerSettings
{
    public TimeSpan Ping { get; init; } = TimeSpan.FromMilliseconds(100);
    public TimeSpan LivenessTimeout { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Bytes that may wait for one peer, in each of its streams.</summary>
    public long MaxQueueBytes { get; init; } = 16 << 20;

    /// <summary>A larger frame closes the connection.</summary>
    public int MaxFrameBytes { get; init; } = 12 << 20;
}

/// <summary>All of a node's connections to its peers, for all groups.</summary>
public sealed class PeerTransport : IAsyncDisposable
{
    public PeerTransport(PeerSettings settings, TimeProvider time, ILoggerFactory logs) => throw new NotImplementedException();

    /// <summary>Begins: dials the members of every group's configuration and accepts their streams. Before, streams are refused.</summary>
    /// <param name="identity">Ours.</param>
    /// <param name="durableSequence">The highest durable WAL sequence, written with every flush of the control stream.</param>
    public void Start(NodeIdentity identity, Func<long> durableSequence) => throw new NotImplementedException();

    /// <summary>The network of one group.</summary>
    public IRaftRpc Group(GroupId group) => throw new NotImplementedException();

    public IFailureDetector FailureDetector => throw new NotImplementedException();

    /// <summary>The inbound half: routes of the peer endpoint.</summary>
    public void Map(IEndpointRouteBuilder routes) => throw new NotImplementedException();

    public IReadOnlyList<PeerStatus> Peers => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

/// <summary>One peer as status and metrics show it.</summary>
public sealed record PeerStatus(
    NodeId Node, StorageId Storage, string Url, bool IsConnected, bool IsAlive, TimeSpan? RoundTrip, long QueuedBytes, long? StartCount, string? LastError);

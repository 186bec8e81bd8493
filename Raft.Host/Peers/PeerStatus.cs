using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One peer as status and metrics show it.</summary>
public sealed record PeerStatus(
    NodeId Node, StorageId Storage, string Url, bool IsConnected, bool IsAlive, TimeSpan? RoundTrip, long QueuedBytes, long? StartCount, string? LastError)
{
    /// <summary>Groups that it leads, as its frames say.</summary>
    public int LeadsCount { get; init; }

    /// <summary>Its disk is nearly full: it should lead nothing.</summary>
    public bool LacksSpace { get; init; }

    /// <summary>A configuration names it; false: it is known because it calls us.</summary>
    public bool IsMember { get; init; }

    /// <summary>Where it is dialled, in the order of the attempts.</summary>
    public IReadOnlyList<PeerAddress> Addresses { get; init; } = [];

    /// <summary>The states there take more memory than its budget: its leaders should not make them larger.</summary>
    public bool LacksMemory { get; init; }

    /// <summary>Groups in which it follows a leader.</summary>
    public int FollowsCount { get; init; }
}

namespace Raft.Host.Peers;

/// <summary>Why a stream is refused. Numbers are on the wire and never reused.</summary>
internal enum Refusal : byte
{
    None = 0,

    /// <summary>We belong to no cluster yet, or are not up yet. Try again.</summary>
    Forming = 1,
    Stopping = 2,
    OtherCluster = 3,
    NoCommonVersion = 4,

    /// <summary>The caller means another node, or another disk of ours.</summary>
    WrongDestination = 5,

    /// <summary>The caller has our own node id.</summary>
    SameNodeId = 6,

    /// <summary>That storage id was started more often already: an old copy of its disk.</summary>
    LowerStart = 7,

    /// <summary>Two processes with one storage id and start count: a copied disk.</summary>
    Twin = 8,

    /// <summary>The disk was opened at a sequence below one that it has vouched for: an old disk put back.</summary>
    OldDisk = 9,
    Malformed = 10,
}

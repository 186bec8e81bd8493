using Microsoft.Extensions.Logging;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Shards;

namespace Raft.Engine.Server;

/// <summary>What a server is made of.</summary>
public sealed record RaftServerParts(
    GroupId Group, IShard Shard, IRaftRpc Rpc, IRaftStorage Storage, IStateMachine StateMachine, IFailureDetector FailureDetector, ILogger Logger)
{
    /// <summary>The budget that all groups of the process share; null: each has only its own.</summary>
    public MemoryBudget? Budget { get; init; }

    /// <summary>The value of the label <c>group</c> of this server's metrics; null: the group's id. A process of very many groups
    /// gives the same to all but some, because each value costs whoever keeps the series.</summary>
    public string? MetricsLabel { get; init; }
}

/// <summary>The limits and times of one server.</summary>
public sealed record RaftServerSettings
{
    public required ProtocolSettings Protocol { get; init; }
    public TimeSpan Tick { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Seed of the election timeouts' randomness.</summary>
    public required int RandomSeed { get; init; }
    public int MaxCommandBytes { get; init; } = 1 << 20;

    /// <summary>Admission's budget for this group, bytes. Rule 7.</summary>
    public long MaxUncommittedBytes { get; init; } = 16 << 20;

    /// <summary>A leader whose oldest queued write waits longer than this hands over. Rule 2.</summary>
    public TimeSpan DiskStall { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long after it began a forwarded write may wait in the leader's admission, or a forwarded read for its
    /// quorum. Shorter than the callers' own patience: then they hear that nothing was submitted, instead of never knowing.</summary>
    public TimeSpan ForwardTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>False: a call made on a follower ends with NotLeaderException instead of being forwarded.</summary>
    public bool ForwardCalls { get; init; } = true;

    /// <summary>No snapshot is taken by itself before the log has grown by this many bytes since the last one.</summary>
    public long SnapshotFloorBytes { get; init; } = 32 << 20;

    /// <summary>A snapshot is taken at the latest when the log has grown by this many bytes since the last one, however large that one was.</summary>
    public long MaxLogDiskBytes { get; init; } = 1L << 30;

    /// <summary>Bytes of a snapshot in one chunk.</summary>
    public int SnapshotChunkBytes { get; init; } = 512 << 10;

    /// <summary>Bytes of snapshots that this server sends in a second, to all peers together; 0: as fast as they take them.</summary>
    public long SnapshotSendBytesPerSecond { get; init; } = 64 << 20;

    /// <summary>Commands handed to the state machine in one call, at the most.</summary>
    public int MaxApplyEntries { get; init; } = 1024;

    /// <summary>Bytes of commands handed to the state machine in one call; a single larger one goes alone.</summary>
    public int MaxApplyBytes { get; init; } = 1 << 20;
}

/// <summary>A consistent picture of one server, as of its last poll. Immutable.</summary>
/// <param name="AdmittedBytes">What the leader's admission has charged: appended here, not yet applied here.</param>
/// <param name="AdmissionWaiting">Writers that wait for room.</param>
/// <param name="ApplierQueueEntries">Committed entries that the state machine has not been given or not finished.</param>
/// <param name="ApplierQueueBytes">Their bytes.</param>
/// <param name="PendingCalls">Local calls under way.</param>
/// <param name="Snapshot">The newest in force; null when none was taken.</param>
/// <param name="IsTakingSnapshot">One is being written.</param>
/// <param name="SnapshotTransfers">On the leader: snapshots on their way to peers.</param>
/// <param name="IsMember">The configuration in force names this server.</param>
/// <param name="IsRemoved">It did before, and that it does not any more is committed: this server takes no part now.</param>
public sealed record ServerStatus(
    Role Role, Term Term, ServerId? Leader,
    LogIndex CommitIndex, LogIndex AppliedIndex, LogIndex DurableIndex, LogIndex FirstIndex, LogIndex LastIndex,
    Configuration Configuration, LogIndex ConfigurationIndex,
    IReadOnlyList<PeerProgress> Peers,
    long AdmittedBytes, int AdmissionWaiting, long ApplierQueueEntries, long ApplierQueueBytes, int PendingCalls,
    SnapshotDescriptor? Snapshot, bool IsTakingSnapshot, IReadOnlyList<SnapshotProgress> SnapshotTransfers,
    bool IsMember, bool IsRemoved)
{
    internal static readonly ServerStatus NotStarted = new(
        Role.Follower, Term.Zero, Leader: null,
        LogIndex.Zero, LogIndex.Zero, LogIndex.Zero, new LogIndex(1), LogIndex.Zero,
        Configuration.Empty, LogIndex.Zero, Peers: [],
        AdmittedBytes: 0, AdmissionWaiting: 0, ApplierQueueEntries: 0, ApplierQueueBytes: 0, PendingCalls: 0,
        Snapshot: null, IsTakingSnapshot: false, SnapshotTransfers: [],
        IsMember: false, IsRemoved: false);
}

/// <summary>A snapshot on its way to a peer.</summary>
public readonly record struct SnapshotProgress(ServerId Peer, LogIndex Index, long SentBytes, long SizeBytes);

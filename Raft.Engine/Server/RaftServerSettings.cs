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
public sealed record ServerStatus(
    Role Role, Term Term, ServerId? Leader,
    LogIndex CommitIndex, LogIndex AppliedIndex, LogIndex DurableIndex, LogIndex FirstIndex, LogIndex LastIndex,
    Configuration Configuration, LogIndex ConfigurationIndex,
    IReadOnlyList<PeerProgress> Peers,
    long AdmittedBytes, int AdmissionWaiting, long ApplierQueueEntries, long ApplierQueueBytes, int PendingCalls)
{
    internal static readonly ServerStatus NotStarted = new(
        Role.Follower, Term.Zero, Leader: null,
        LogIndex.Zero, LogIndex.Zero, LogIndex.Zero, new LogIndex(1), LogIndex.Zero,
        Configuration.Empty, LogIndex.Zero, Peers: [],
        AdmittedBytes: 0, AdmissionWaiting: 0, ApplierQueueEntries: 0, ApplierQueueBytes: 0, PendingCalls: 0);
}

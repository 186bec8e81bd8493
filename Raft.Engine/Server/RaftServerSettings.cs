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

    /// <summary>What commands may enter the log, beside the budgets; null: all.</summary>
    public ICommandGate? Gate { get; init; }

    /// <summary>The value of the label <c>group</c> of this server's metrics; null: the group's id. A process of very many groups
    /// gives the same to all but some, because each value costs whoever keeps the series.</summary>
    public string? MetricsLabel { get; init; }

    /// <exception cref="ArgumentException">A part is missing; names it.</exception>
    internal void Verify()
    {
        if (string.IsNullOrEmpty(Group.Value))
            throw new ArgumentException("The group has no name.", nameof(Group));
        ArgumentNullException.ThrowIfNull(Shard);
        ArgumentNullException.ThrowIfNull(Rpc);
        ArgumentNullException.ThrowIfNull(Storage);
        ArgumentNullException.ThrowIfNull(StateMachine);
        ArgumentNullException.ThrowIfNull(FailureDetector);
        ArgumentNullException.ThrowIfNull(Logger);
    }
}

/// <summary>The limits and times of one server.</summary>
public sealed record RaftServerSettings
{
    public required ProtocolSettings Protocol { get; init; }

    /// <summary>1 ms to 1 minute.</summary>
    public TimeSpan Tick { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Seed of the election timeouts' randomness.</summary>
    public required int RandomSeed { get; init; }

    /// <summary>The largest command, bytes: 1 to 1 GiB.</summary>
    public int MaxCommandBytes { get; init; } = 1 << 20;

    /// <summary>Admission's budget for this group, bytes; 1 or more. Rule 7.</summary>
    public long MaxUncommittedBytes { get; init; } = 16 << 20;

    /// <summary>Bytes of calls that may wait beside that: for room, for a leader, for the leader's answer, or for the shard to look at
    /// them; each counts 512 bytes and its command. More are refused with <see cref="Errors.OverloadedException"/>. 1 or more. Rule 7.</summary>
    public long MaxWaitingBytes { get; init; } = 16 << 20;

    /// <summary>Calls of this server's callers that may be under way, of all kinds; more are refused with
    /// <see cref="Errors.OverloadedException"/>. 1 or more. Rule 7.</summary>
    public int MaxPendingCalls { get; init; } = 131_072;

    /// <summary>Writes that may wait for the disk. At the limit a leader admits no more commands, and other servers drop requests that
    /// would make them write: a disk that hangs must not fill memory. 16 or more. Rule 7.</summary>
    public int MaxQueuedBatches { get; init; } = 1_024;

    /// <summary>A leader whose oldest queued write waits longer than this hands over. More than zero. Rule 2.</summary>
    public TimeSpan DiskStall { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>By how much the clock of a leader may differ from the time that a quorum's clocks confirm, or, where no quorum is known,
    /// from the last stamp and the monotonic time since. What is beyond is not stamped.</summary>
    public TimeSpan MaxClockLeap { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>For how long a clock must have run evenly to be believed where no other confirms it: that of a sole voter that leapt.</summary>
    public TimeSpan ClockConfirmation { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long after it began a forwarded write may wait in the leader's admission, or a forwarded read for its
    /// quorum: 1 ms to 24 days. Shorter than the callers' own patience: then they hear that nothing was submitted, instead of never knowing.</summary>
    public TimeSpan ForwardTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>False: a call made on a follower ends with NotLeaderException instead of being forwarded.</summary>
    public bool ForwardCalls { get; init; } = true;

    /// <summary>No snapshot is taken by itself before the log has grown by this many bytes since the last one.</summary>
    public long SnapshotFloorBytes { get; init; } = 32 << 20;

    /// <summary>A snapshot is taken at the latest when the log has grown by this many bytes since the last one, however large that one was.</summary>
    public long MaxLogDiskBytes { get; init; } = 1L << 30;

    /// <summary>After one that found no room on the disk the next snapshot that is due is not tried before this time has passed.</summary>
    public TimeSpan SnapshotRetry { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Bytes of a snapshot in one chunk.</summary>
    public int SnapshotChunkBytes { get; init; } = 512 << 10;

    /// <summary>Bytes of snapshots that this server sends in a second, to all peers together; 0: as fast as they take them.</summary>
    public long SnapshotSendBytesPerSecond { get; init; } = 64 << 20;

    /// <summary>Commands handed to the state machine in one call, at the most.</summary>
    public int MaxApplyEntries { get; init; } = 1024;

    /// <summary>Bytes of commands handed to the state machine in one call; a single larger one goes alone.</summary>
    public int MaxApplyBytes { get; init; } = 1 << 20;

    /// <exception cref="ArgumentOutOfRangeException">A value is out of range; names it, and the range.</exception>
    internal void Verify()
    {
        if (Protocol is null)
            throw new ArgumentException("Protocol is null.", nameof(Protocol));
        Verify(Tick, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(1), nameof(Tick));
        Verify(MaxCommandBytes, 1, 1 << 30, nameof(MaxCommandBytes));
        Verify(MaxUncommittedBytes, 1, long.MaxValue / 4, nameof(MaxUncommittedBytes));
        Verify(MaxWaitingBytes, 1, long.MaxValue / 4, nameof(MaxWaitingBytes));
        Verify(MaxPendingCalls, 1, int.MaxValue / 2, nameof(MaxPendingCalls));
        Verify(MaxQueuedBatches, 16, int.MaxValue / 2, nameof(MaxQueuedBatches));
        Verify(DiskStall, TimeSpan.FromTicks(1), TimeSpan.MaxValue, nameof(DiskStall));
        Verify(ForwardTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromDays(24), nameof(ForwardTimeout));
        Verify(SnapshotFloorBytes, 0, long.MaxValue, nameof(SnapshotFloorBytes));
        Verify(MaxLogDiskBytes, 1, long.MaxValue, nameof(MaxLogDiskBytes));
        Verify(SnapshotChunkBytes, 1, 1 << 30, nameof(SnapshotChunkBytes));
        Verify(SnapshotSendBytesPerSecond, 0, long.MaxValue, nameof(SnapshotSendBytesPerSecond));
        Verify(MaxApplyEntries, 1, int.MaxValue, nameof(MaxApplyEntries));
        Verify(MaxApplyBytes, 1, int.MaxValue, nameof(MaxApplyBytes));
    }

    private static void Verify<T>(T value, T min, T max, string name)
        where T : IComparable<T>
    {
        if (value.CompareTo(min) < 0 || value.CompareTo(max) > 0)
            throw new ArgumentOutOfRangeException(name, value, $"{nameof(RaftServerSettings)}.{name} is {value}; allowed: {min} to {max}.");
    }
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
/// <param name="IsRemoved">It did before, and that it does not any more is committed: this server does not participate now.</param>
public sealed record ServerStatus(
    Role Role, Term Term, ServerId? Leader,
    LogIndex CommitIndex, LogIndex AppliedIndex, LogIndex DurableIndex, LogIndex FirstIndex, LogIndex LastIndex,
    Configuration Configuration, LogIndex ConfigurationIndex,
    IReadOnlyList<PeerProgress> Peers,
    long AdmittedBytes, int AdmissionWaiting, long ApplierQueueEntries, long ApplierQueueBytes, int PendingCalls,
    SnapshotDescriptor? Snapshot, bool IsTakingSnapshot, IReadOnlyList<SnapshotProgress> SnapshotTransfers,
    bool IsMember, bool IsRemoved)
{
    /// <summary>Bytes of calls that wait and are not in the log (<see cref="RaftServerSettings.MaxWaitingBytes"/>).</summary>
    public long WaitingBytes { get; init; }

    /// <summary>Calls that wait for an index to be committed or applied, those that were cancelled included.</summary>
    public int Waiters { get; init; }

    /// <summary>Writes that wait for the disk (<see cref="RaftServerSettings.MaxQueuedBatches"/>).</summary>
    public int QueuedBatches { get; init; }

    /// <summary>Bytes of the entries in them.</summary>
    public long QueuedBatchBytes { get; init; }

    internal static readonly ServerStatus NotStarted = new(
        Role.Follower, Term.Zero, Leader: null,
        LogIndex.Zero, LogIndex.Zero, LogIndex.Zero, new LogIndex(1), LogIndex.Zero,
        Configuration.Empty, LogIndex.Zero, Peers: [],
        AdmittedBytes: 0, AdmissionWaiting: 0, ApplierQueueEntries: 0, ApplierQueueBytes: 0, PendingCalls: 0,
        Snapshot: null, IsTakingSnapshot: false, SnapshotTransfers: [],
        IsMember: false, IsRemoved: false);

    /// <summary>How this server stands to its group, as far as its log and what members told it say.</summary>
    public Standing Standing { get; init; }
}

/// <summary>A snapshot on its way to a peer.</summary>
public readonly record struct SnapshotProgress(ServerId Peer, LogIndex Index, long SentBytes, long SizeBytes);

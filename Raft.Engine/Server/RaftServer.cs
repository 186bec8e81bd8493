using Microsoft.Extensions.Logging;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Shards;

namespace Raft.Engine.Server;

/// <summary>Until when <see cref="RaftServer.AddEntryAsync"/> waits.</summary>
public enum WaitFor : byte
{
    /// <summary>A quorum holds it durably.</summary>
    Committed = 1,

    /// <summary>This server's state machine has applied it.</summary>
    Applied = 2,
}

/// <summary>An entry that was added. <see cref="Result"/> is the own state machine's, when the call waited for apply.</summary>
public readonly record struct AddedEntry(LogIndex Index, Term Term, object? Result)
{
    /// <summary>It is committed, and part of the state here, but this server never saw its result: a snapshot brought the state,
    /// or it was applied long before the leader's reply came. Who needs the result must ask the state.</summary>
    public bool IsResultLost { get; init; }
}

/// <summary>One member of one group: its public calls hop to the shard and return a task. Thread-safe.</summary>
/// <remarks>
/// Parts: IoLoop (output batches: send, persist, complete), ApplierLoop (committed entries and snapshots to the state machine),
/// Writes and Reads (calls of our own callers), Snapshots, Membership and Transfer (what their names say), LeaderCalls (what
/// members ask of each other), Lifecycle (start, tick, stop). Everything that is not public runs on the shard.
/// </remarks>
public sealed partial class RaftServer : IRaftRpcHandler, IAsyncDisposable
{
    // What it is made of
    private readonly IShard _shard;
    private readonly IRaftRpc _rpc;
    private readonly IRaftStorage _storage;
    private readonly IStateMachine _stateMachine;
    private readonly IFailureDetector _failureDetector;
    private readonly IPeerLiveness _liveness;
    private readonly ILogger _logger;
    private readonly ServerMetrics _metrics;
    private readonly MemoryBudget? _budget;
    private readonly ICommandGate? _gate;
    private Term _caughtUpInTerm;                           // leader: all of earlier terms is applied
    private bool _waitsForApplied;                          // commands wait until more of it is

    // Life
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private RaftProtocol? _protocolOrNull;                  // null until the disk is read
    private IDisposable? _tickTimer;
    private volatile string? _stopReason;                   // set once, when it stops
    private volatile ServerStatus _status = ServerStatus.NotStarted;
    private volatile bool _isStarted;
    private int _startCalls;
    private bool _hasRpc;                                   // the network has been given this server

    // I/O loop
    private readonly Queue<PersistingBatch> _persisting = new();
    private bool _isPollDue;
    private RoleChange _lastRole;
    private IReadOnlyList<PeerProgress> _peers = [];
    private bool _arePeersStale;                            // something happened since they were looked at
    private readonly LogClock _clock;
    private long _entryTimeMs;                              // read from it once a batch; 0: not yet
    private long _clockRefusedMs;
    private long _clockAheadMs;
    private long _clockOffsetMs;
    private long _wantedClockOffsetMs;
    private long _persistingBytes;                          // of entries in _persisting
    private readonly long _persistingBytesMax;
    private bool _isDiskStallKnown;                         // reported once a stall
    private bool _isDiskQueueFullKnown;                     // the same
    private int _livenessNews;                              // 1: a hop to the shard is under way

    // Applier loop
    private readonly Queue<ToApply> _toApply = new();
    private readonly List<CommittedCommand> _applying = [];
    private readonly RecentResults _recentResults = new();
    private bool _isApplying;
    private int _toApplyOffset;                             // within the first list of _toApply
    private long _toApplyEntries;
    private long _toApplyBytes;
    private LogIndex _appliedIndex;
    private LogIndex _committedKnown;                       // commit waiters have been told up to here
    private Term _committedTerm;                            // of the entry there
    private readonly Freshness _freshness;
    private static readonly TimeSpan CaughtUpAgeMax = TimeSpan.FromSeconds(1);
    private volatile bool _hasCaughtUp;
    private long _lastTickAt;           // 0: there was none
    private readonly QuietLeader _quiet = new();
    private volatile string? _commandStop;
    private volatile bool _letsDeletionsPass;

    // Snapshots
    private readonly SnapshotTransfers _transfers;
    private readonly SnapshotReception _reception;
    private readonly List<SnapshotCall> _snapshotCalls = [];
    private SnapshotDescriptor? _durableSnapshot;           // the newest that a restart would find
    private bool _isTakingSnapshot;
    private Task _takingSnapshot = Task.CompletedTask;
    private long _bytesSinceSnapshot;                       // of the log, applied since the last one
    private long _snapshotRetryAt;                          // after one that found no room; 0: there was none

    // Membership and leadership
    private readonly List<LocalChange> _changes = [];
    private readonly List<RemoteChange> _waitingRemoteChanges = [];
    private readonly List<ITransferCall> _transferCalls = [];
    private bool _isMember;                                 // of the configuration in force
    private bool _isRemoved;                                // known to be committed

    // Calls
    private readonly HashSet<ILocalCall> _calls = [];
    private readonly HashSet<RemoteWrite> _waitingRemoteWrites = [];
    private readonly Waiters _waiters = new();
    private readonly Admission _admission;
    private readonly Func<LogIndex, Term?> _termAt;
    private readonly List<StateWaiter> _stateWaiters = [];
    private List<LocalWrite> _parkedWrites = [];            // until a leader is known, or the next tick
    private List<LocalRead> _parkedReads = [];
    private List<IReadWaiter> _newReads = [];               // of this poll
    private readonly Dictionary<ReadId, List<IReadWaiter>> _reads = [];
    private readonly List<ForwardedReads> _forwardedReads = [];
    private int _forwardedWrites;                           // under way to the leader, without an answer yet

    public RaftServer(RaftServerParts parts, RaftServerSettings settings)
    {
        ArgumentNullException.ThrowIfNull(parts);
        ArgumentNullException.ThrowIfNull(settings);
        parts.Verify();
        settings.Verify();
        GroupId = parts.Group;
        Settings = settings;
        _shard = parts.Shard;
        _rpc = parts.Rpc;
        _storage = parts.Storage;
        _stateMachine = parts.StateMachine;
        _failureDetector = parts.FailureDetector;
        _liveness = parts.FailureDetector.ViewOf(parts.Group);
        _logger = parts.Logger;
        _budget = parts.Budget;
        _gate = parts.Gate;
        _metrics = new ServerMetrics(parts.MetricsLabel ?? parts.Group.Value, parts.Shard.Time);
        _freshness = new Freshness(parts.Shard.Time);
        _clock = new LogClock(parts.Shard.Time, settings.MaxClockLeap, settings.ClockConfirmation);
        _transfers = new SnapshotTransfers(this, parts, _metrics);
        _reception = new SnapshotReception(this, parts.Storage, _metrics, parts.Logger);
        // More than a leader may have admitted, with what another one may send before it needs an acknowledgement.
        _persistingBytesMax = settings.MaxUncommittedBytes + (2L * settings.Protocol.MaxInFlightBytes) + settings.MaxCommandBytes;
        _termAt = index => _protocol.TermAt(index);
        _waitingBytes = new WaitingBytes(settings.MaxWaitingBytes, parts.Budget);
        _admission = new Admission(settings.MaxUncommittedBytes, parts.Budget, wake: () => Post(static server =>
        {
            server._admission.OnWoken();
            server.SchedulePoll();
        }));
    }

    public ServerId Id => Settings.Protocol.Self;
    public GroupId GroupId { get; }
    public RaftServerSettings Settings { get; }

    // A consistent picture, published after every batch; readable from any thread.
    public ServerStatus Status => _status;
    public Role Role => _status.Role;
    public Term CurrentTerm => _status.Term;
    public ServerId? CurrentLeader => _status.Leader;
    public LogIndex CommitIndex => _status.CommitIndex;
    public LogIndex AppliedIndex => _status.AppliedIndex;
    public LogIndex DurableIndex => _status.DurableIndex;
    public LogIndex LastIndex => _status.LastIndex;
    public Configuration Configuration => _status.Configuration;
    public LogIndex ConfigurationIndex => _status.ConfigurationIndex;
    public IReadOnlyList<PeerProgress> Peers => _status.Peers;

    /// <summary>Why commands are refused here while this server leads (<see cref="OutOfSpaceException"/>); null: they are not. What the group
    /// itself needs, configurations and system entries, goes on, and so does following: a quorum's word must not depend on
    /// it. Any thread; in force from the next command on.</summary>
    public string? CommandStop
    {
        get => _commandStop;
        set => _commandStop = value;
    }

    /// <summary>Whether commands that make room (<see cref="IStateMachine.MakesRoom"/>) pass while others are stopped. Any thread.</summary>
    public bool LetsDeletionsPass
    {
        get => _letsDeletionsPass;
        set => _letsDeletionsPass = value;
    }

    /// <summary>Bytes by which the log has grown, as far as it is applied, since the newest snapshot: about what taking one would let go. Any thread.</summary>
    public long LogBytesSinceSnapshot => Volatile.Read(ref _bytesSinceSnapshot);

    /// <summary>The time since this server last knew that it had applied everything that its leader had committed; null when it
    /// never did. On the leader itself, since a quorum last followed it: it may have been deposed without knowing. While the
    /// leader is idle, the liveness frames keep it low on all (<see cref="IPeerLiveness.QuietWord"/>,
    /// <see cref="IPeerLiveness.IsFollowing"/>); it is exact to the time for which a frame is fresh.</summary>
    public TimeSpan? Staleness => _freshness.Age;

    /// <summary>On the leader: by how much its clock is ahead of (below zero: behind) the time that is confirmed, when that is more than
    /// <see cref="RaftServerSettings.MaxClockLeap"/>: entries are not stamped with it. Zero: it is not. Any thread.</summary>
    public TimeSpan RefusedClockLeap => TimeSpan.FromMilliseconds(Volatile.Read(ref _clockRefusedMs));

    /// <summary>On the leader: by how much the stamps in the log are ahead of the confirmed time, once they have been for
    /// <see cref="RaftServerSettings.ClockConfirmation"/>. Zero: they are not. Any thread.</summary>
    public TimeSpan LogTimeAhead => TimeSpan.FromMilliseconds(Volatile.Read(ref _clockAheadMs));

    /// <summary>With <see cref="LogTimeAhead"/>: the <see cref="ClockOffsetMs"/> with which the log's time would be right; else zero. Any thread.</summary>
    public long WantedClockOffsetMs => Volatile.Read(ref _wantedClockOffsetMs);

    /// <summary>By how much the stamps of this group are ahead of the clocks on purpose, milliseconds: set by the process around the engine
    /// when its state machine corrects them. Any thread; in force from the next entry on.</summary>
    public long ClockOffsetMs
    {
        get => Volatile.Read(ref _clockOffsetMs);
        set => Volatile.Write(ref _clockOffsetMs, value);
    }

    /// <summary>The clocks of all other members of the group are known: none of them runs a release that does not tell its clock.</summary>
    public bool AreClocksKnown
    {
        get
        {
            foreach (Member member in Configuration.All)
            {
                if (member.Id != Id && _liveness.ClockOf(member.Id) is null)
                    return false;
            }

            return true;
        }
    }

    /// <summary>The highest commit index that a leader has named to this server since its start; on the leader, its own. Zero: none yet.</summary>
    public LogIndex LeaderCommitIndex => _freshness.LeaderCommit;

    /// <summary>Since its start this server was level with a leader once: it had applied all that a leader, which had committed an
    /// entry of its own term, had committed a second before. Its state before that may lack any number of acknowledged writes, however small <see cref="CommitIndex"/> makes the lag
    /// look: a server that starts does not know what is committed.</summary>
    public bool HasCaughtUp => _hasCaughtUp;

    /// <summary>Started, and not stopped since.</summary>
    public bool IsAlive => _isStarted && _stopReason is null;

    /// <summary>Ends when the server stopped: faulted with the cause when it stopped by itself, because storage or the
    /// state machine failed or an invariant broke.</summary>
    public Task Stopped => _stopped.Task;

    /// <summary>The protocol, for tests and tools. Only on the shard.</summary>
    internal RaftProtocol Protocol
    {
        get
        {
            _shard.Verify();
            return _protocolOrNull ?? throw new InvalidOperationException("The server has not started.");
        }
    }

    private RaftProtocol _protocol => _protocolOrNull!;     // every path here starts after the disk was read

    /// <summary>Loads, replays nothing yet, and begins to take part. Called once.</summary>
    /// <exception cref="CorruptStorageException">The disk does not hold what it should.</exception>
    /// <exception cref="InvalidOperationException">It was called before; whatever that came to is not changed.</exception>
    public Task StartAsync(CancellationToken cancellation)
    {
        if (Interlocked.Exchange(ref _startCalls, 1) != 0)
            return Task.FromException(new InvalidOperationException($"The server of group {GroupId} was started before. A server that has stopped is not started again: make a new one."));

        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_shard.Post(_ => _ = StartOnShardAsync(started, cancellation), state: null))
            started.SetException(new StoppedException("its shard has stopped", WriteOutcome.NotSubmitted));
        return started.Task;
    }

    /// <summary>Stops at once; every waiting call ends with StoppedException.</summary>
    public Task AbortAsync(string reason)
    {
        ArgumentNullException.ThrowIfNull(reason);
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool isPosted = _shard.Post(
            _ =>
            {
                Stop(reason, cause: null);
                done.SetResult();
            },
            state: null);
        return isPosted ? done.Task : Task.CompletedTask;
    }

    /// <summary>Adds a command, on the leader or forwarded to it.</summary>
    /// <remarks>
    /// Never throws OperationCanceledException: a cancelled token means RaftTimeoutException while nothing was
    /// submitted, and CommitStatusUnknownException after. The command's bytes belong to the log from now on.
    /// An entry that an installed snapshot overtakes ends as the snapshot proves it (rule 11): of the snapshot's own term it
    /// succeeds, of a later one it is dropped, else it is unknown. One that succeeds so, or whose result is gone for another
    /// reason, has no <see cref="AddedEntry.Result"/> and says so by <see cref="AddedEntry.IsResultLost"/>.
    /// </remarks>
    public Task<AddedEntry> AddEntryAsync(ReadOnlyMemory<byte> command, WaitFor wait, CancellationToken cancellation) =>
        AddAsync(EntryKind.Command, command, wait, cancellation);

    /// <summary>As <see cref="AddEntryAsync"/>, for a command of the process around the engine (<see cref="EntryKind.System"/>).</summary>
    public Task<AddedEntry> AddSystemEntryAsync(ReadOnlyMemory<byte> command, WaitFor wait, CancellationToken cancellation) =>
        AddAsync(EntryKind.System, command, wait, cancellation);

    private Task<AddedEntry> AddAsync(EntryKind kind, ReadOnlyMemory<byte> command, WaitFor wait, CancellationToken cancellation)
    {
        Arguments.Verify(wait);
        var write = new LocalWrite(this, kind, command, wait, cancellation);
        Submit(write, command.Length);
        return write.Task;
    }

    /// <summary>Returns when this server has applied everything that was committed when the call was made; the index applied. Rule 9.</summary>
    /// <exception cref="RaftTimeoutException">The token was cancelled before that.</exception>
    public Task<LogIndex> ReadBarrierAsync(CancellationToken cancellation)
    {
        var read = new LocalRead(this, cancellation);
        Submit(read);
        return read.Task;
    }

    /// <summary>Changes the members, on the leader or forwarded to it. Returns once the first entry of the change is committed and
    /// known here: the rest (joining members that catch up, the way out of a joint configuration) goes on by itself and is seen in
    /// <see cref="Configuration"/>. Returns the index of the configuration in force when there was nothing to do. Rule 8.</summary>
    /// <remarks>A change that was asked for twice is one change, so a connection that breaks is no reason to end: it is asked again
    /// until the token is cancelled.</remarks>
    /// <exception cref="ConfigurationChangeInProgressException">Another change is not done.</exception>
    /// <exception cref="ConfigurationMovedException">The configuration has another index than the change expects.</exception>
    /// <exception cref="InvalidConfigurationException">It makes no sense, or would obviously lose the quorum.</exception>
    /// <exception cref="CommitStatusUnknownException">It may or may not happen; asking again is safe.</exception>
    public Task<LogIndex> ChangeMembersAsync(MembershipChange change, CancellationToken cancellation) =>
        ChangeAsync(change, isUntilSettled: false, cancellation);

    /// <summary>Makes these the members; returns when all of it is done: committed, not joint, every voter of the set a voter.</summary>
    /// <exception cref="RaftTimeoutException">With an unknown outcome: the change is committed and goes on by itself.</exception>
    public Task SetConfigurationAsync(IReadOnlyList<Member> members, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(members);
        return ChangeAsync(new MembershipChange { Set = members }, isUntilSettled: true, cancellation);
    }

    /// <summary>Adds and removes members; returns when all of it is done.</summary>
    /// <exception cref="RaftTimeoutException">With an unknown outcome: the change is committed and goes on by itself.</exception>
    public Task ModifyConfigurationAsync(IReadOnlyList<Member> add, IReadOnlyList<ServerId> remove, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(add);
        ArgumentNullException.ThrowIfNull(remove);
        return ChangeAsync(new MembershipChange { Add = add, Remove = remove }, isUntilSettled: true, cancellation);
    }

    private Task<LogIndex> ChangeAsync(MembershipChange change, bool isUntilSettled, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(change);
        MembershipChange own = Arguments.Copy(change);
        if (Arguments.FaultOf(own) is { } fault)
            return Task.FromException<LogIndex>(new InvalidConfigurationException(fault));

        var call = new LocalChange(this, own, isUntilSettled, cancellation);
        Submit(call);
        return call.Task;
    }

    /// <summary>Hands leadership over, to the node named or to the most caught-up voter that is alive; on any member. Rule 10.</summary>
    /// <returns>Who leads now, as far as the former leader knows.</returns>
    /// <exception cref="InvalidTransferTargetException">The node cannot lead.</exception>
    /// <exception cref="NoOtherVoterException">There is nobody to hand over to.</exception>
    /// <exception cref="RaftTimeoutException">The target did not take over in time; the leader serves on. With an unknown outcome:
    /// the leader was asked and did not answer.</exception>
    public Task<ServerId?> TransferLeadershipAsync(NodeId? target, TimeSpan timeout, CancellationToken cancellation) =>
        HandOverAsync(target, isStepDown: false, timeout, cancellation);

    /// <summary>If this server leads, hands over to the best voter; returns at once when it does not lead.</summary>
    /// <exception cref="NoOtherVoterException">There is nobody to hand over to; it leads on.</exception>
    /// <exception cref="RaftTimeoutException">Nobody took over in time; it leads on.</exception>
    public Task StepDownAsync(TimeSpan timeout, CancellationToken cancellation) =>
        HandOverAsync(target: null, isStepDown: true, timeout, cancellation);

    private Task<ServerId?> HandOverAsync(NodeId? target, bool isStepDown, TimeSpan timeout, CancellationToken cancellation)
    {
        Arguments.Verify(timeout);
        if (target is { } named && Arguments.FaultOf(named) is { } fault)
            return Task.FromException<ServerId?>(new InvalidTransferTargetException(fault));

        var call = new LocalTransfer(this, target, isStepDown, timeout, cancellation);
        Submit(call);
        return call.Task;
    }

    /// <summary>Takes a snapshot of what is applied, and lets the log before it go (but for the trailing entries). Returns when
    /// its descriptor is durable; the newest one when nothing was applied since. Null when nothing was ever applied. Rule 6.</summary>
    /// <exception cref="RaftTimeoutException">The token was cancelled before that; the snapshot is taken all the same.</exception>
    public Task<SnapshotDescriptor?> TriggerSnapshotAsync(CancellationToken cancellation)
    {
        var call = new SnapshotCall(this, cancellation);
        Submit(call);
        return call.Task;
    }

    /// <summary>Returns the leader as soon as one is known.</summary>
    /// <exception cref="RaftTimeoutException">The token was cancelled before that; names the voters that are not alive.</exception>
    public Task<ServerId> WaitForLeaderAsync(CancellationToken cancellation) => WaitForState(untilLeader: true, cancellation);

    /// <summary>Returns at the next change of role, term or leader.</summary>
    /// <exception cref="RaftTimeoutException">The token was cancelled before that.</exception>
    public Task WaitForStateChangeAsync(CancellationToken cancellation) => WaitForState(untilLeader: false, cancellation);

    private Task<ServerId> WaitForState(bool untilLeader, CancellationToken cancellation)
    {
        var waiter = new StateWaiter(this, untilLeader) { Token = cancellation };
        Submit(waiter);
        return waiter.Task;
    }

    public void Receive(IReadOnlyList<Message> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        _shard.Post(_ => OnShard(() => StepAll(messages)), state: null);
    }

    public Task<LeaderReply> ReceiveCallAsync(ServerId from, LeaderCall call)
    {
        RemoteCall remote;
        int commandBytes = NoCommand;
        switch (call)
        {
            case AddEntryCall add:
                remote = new RemoteWrite(this, from, add);
                commandBytes = add.Command.Length;
                break;
            case ReadBarrierCall barrier:
                remote = new RemoteRead(this, from) { Deadline = DeadlineIn(barrier.TimeoutMs) };
                break;
            case ChangeMembersCall { Change: { } change } when Arguments.FaultOf(change) is { } fault:
                return Task.FromResult<LeaderReply>(new CallRefusedReply(CallRefusal.InvalidConfiguration, fault));
            case ChangeMembersCall { Change: { } change, TimeoutMs: var timeoutMs }:
                remote = new RemoteChange(this, from, change, DeadlineIn(timeoutMs));
                break;
            case TransferCall { Target: { } target } when Arguments.FaultOf(target) is { } fault:
                return Task.FromResult<LeaderReply>(new CallRefusedReply(CallRefusal.InvalidTarget, fault));
            case TransferCall transfer:
                remote = new RemoteTransfer(this, from, transfer.Target, DeadlineIn(transfer.TimeoutMs));
                break;
            default:
                return Task.FromResult<LeaderReply>(new CallRefusedReply(CallRefusal.Stopped, $"This release does not know {call?.GetType().Name}."));
        }

        Submit(remote, commandBytes);
        return remote.Task;
    }

    public Task<SnapshotReply> ReceiveSnapshotAsync(ServerId from, SnapshotChunk chunk)
    {
        ArgumentNullException.ThrowIfNull(chunk);
        ArgumentNullException.ThrowIfNull(chunk.Snapshot);
        var remote = new RemoteChunk(this, from, chunk);
        if (!_shard.Post(_run, remote))
            remote.Refuse();
        return remote.Task;
    }

    public void Unreachable(ServerId server) =>
        _shard.Post(
            _ => OnShard(() =>
            {
                _protocol.OnUnreachable(server);
                SchedulePoll();
            }),
            state: null);

    public void LivenessChanged()
    {
        // Several pieces of news are one hop: the view is asked, not the news.
        if (Interlocked.Exchange(ref _livenessNews, 1) == 1)
            return;

        Post(static server =>
        {
            Volatile.Write(ref server._livenessNews, 0);
            server._arePeersStale = true;
            server._protocol.OnLivenessChanged();
            server.SchedulePoll();
        });
    }

    public async ValueTask DisposeAsync()
    {
        await AbortAsync("it was disposed");
        _stopping.Dispose();
    }
}

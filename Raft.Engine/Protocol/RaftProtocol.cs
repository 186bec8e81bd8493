namespace Raft.Engine.Protocol;

/// <summary>
/// The protocol of one server of one group as a deterministic state machine: no I/O, no clock, no thread, no await.
/// Messages, ticks and completions go in; <see cref="TakeOutput"/> gives what is to be done. Replication is lazy:
/// entries added between two polls leave together. docs: ARCHITECTURE.md; rules: cited by number.
/// </summary>
public sealed partial class RaftProtocol
{
    private readonly ProtocolSettings _settings;
    private readonly ServerId _self;
    private readonly IPeerLiveness _liveness;
    private readonly Random _random;
    private readonly RaftLog _log;

    // Term and vote: as of now, as handed to storage, and as durable. Rule 1
    private Term _term;
    private ServerId? _vote;
    private TermAndVote _handedTermAndVote;
    private TermAndVote _durableTermAndVote;

    // Role, and the leader with what makes it count as alive. Rule 4
    private Role _role;
    private ServerId? _leader;
    private long _leaderStart;
    private long _ticksSinceAppend;              // long: an idle group ticks for years
    private bool _hasLeaderSign;
    private long _electionElapsed;
    private long _electionTimeout;
    private long _standingTicks;                 // for so long the election clock stands by now
    private long _diskTicks;                     // and so long it stood the last time, while no leader was known
    private VoteTally _preVotes = new();
    private VoteTally _votes = new();            // of the current term
    private bool _hasOpenElection;               // it asked for votes of the current term, and they still count
    private bool _hasGivenWay;                   // to another one's campaign, since our last one
    private long _campaignBatch;                 // the last requests for votes leave when this one is durable

    // _applied <= _handedToApply <= min(_commitIndex, _durableIndex); _durableIndex <= _handedIndex <= last
    private LogIndex _commitIndex;
    private LogIndex _durableIndex;
    private LogIndex _handedIndex;
    private LogIndex _handedToApply;
    private LogIndex _appliedIndex;
    private LogIndex? _truncateFrom;             // of what was handed to storage, lowest since the last poll
    private LogIndex? _deleteThrough;            // of the log, since the last poll
    private bool _isSnapshotDue;                 // the descriptor in force has not been handed to storage
    private bool _isResetDue;                    // it took the place of the whole log
    private long _durableBatch;
    private readonly List<BatchUnderWay> _underWay = [];
    private long _batchNumber;

    // Follower: what is verified to match the log of this term's leader; 0 in a new term.
    private LogIndex _matchedIndex;

    // Every configuration of the log with its index; the last one is in force, so truncation can restore. Rule 8
    private readonly List<(LogIndex Index, Configuration Configuration)> _configurations = [];

    // Leader only.
    private ProgressTracker? _tracker;
    private ReadRound? _readRound;
    private ReadId? _readWaiting;
    private long _lastReadId;
    private ServerId? _transferTarget;
    private long _transferTicks;
    private int _transferTicksMax;
    private bool _isTimeoutNowSent;
    private int _failedTransfers;                // of a leader that was removed

    // What the next poll gives.
    private readonly List<Message> _sendAtOnce = [];
    private readonly List<Message> _sendWhenDurable = [];
    private readonly List<ReadReady> _readsReady = [];
    private readonly List<ReadId> _readsFailed = [];
    private readonly List<EntriesWanted> _entriesWanted = [];
    private readonly List<SnapshotToSend> _snapshotsToSend = [];
    private readonly List<ServerId> _lostData = [];
    private readonly List<Entry> _readToApply = [];
    private SnapshotDescriptor? _snapshotToLoad;
    private long _snapshotBatch;                 // it is loaded when this one is durable
    private bool _isApplyReading;
    private bool _isApplyReadBlocked;            // the last one failed; the next one is tried after a tick
    private LogIndex _applyGate;                 // the next hand-over to the applier waits until this was applied
    private bool _hasAbortedTransfers;
    private int _acknowledgementSlot = -1;       // in _sendWhenDurable: a later acknowledgement replaces it
    private bool _isReplicationDue;
    private LogIndex _reportedCommit;
    private RoleChange _reportedRole;
    private Configuration _reportedConfiguration;

    private struct BatchUnderWay
    {
        public long Number;
        public LogIndex LastIndex;               // lowered by every later truncation. Rule 1
        public TermAndVote TermAndVote;
    }

    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public RaftProtocol(ProtocolSettings settings, PersistedState state, IPeerLiveness liveness, Random random)
    {
        settings.Validate();
        _settings = settings;
        _self = settings.Self;
        _liveness = liveness;
        _random = random;
        _log = new RaftLog(state, settings.MaxCacheBytes);

        _term = state.TermAndVote.Term;
        _vote = state.TermAndVote.Vote;
        _handedTermAndVote = _durableTermAndVote = state.TermAndVote;
        _durableIndex = _handedIndex = _log.LastIndex;
        _commitIndex = _matchedIndex = _handedToApply = _reportedCommit = state.Snapshot?.Index ?? LogIndex.Zero;
        _snapshotToLoad = Snapshot = state.Snapshot; // the state machine begins with it
        Invariant.Holds(_log.LastTerm <= _term);

        _configurations.Add((state.Snapshot?.ConfigurationIndex ?? LogIndex.Zero, state.Snapshot?.Configuration ?? Configuration.Empty));
        foreach (Entry entry in state.ConfigurationEntries)
        {
            var configuration = Configuration.Decode(entry.Payload.Span);
            _wasMember |= entry.Index <= _log.LastIndex && configuration.Contains(_self);
            if (entry.Index > _commitIndex && entry.Index <= _log.LastIndex)
                _configurations.Add((entry.Index, configuration));
        }

        _wasMember |= _configurations[0].Configuration.Contains(_self);

        _reportedConfiguration = Configuration;
        _reportedRole = new RoleChange(_role, _term, _leader);
        ResetElectionClock();
    }

    public Role Role => _role;
    public Term CurrentTerm => _term;

    /// <summary>The leader of the current term, when one is known and counts as alive.</summary>
    public ServerId? Leader => _leader;
    public LogIndex CommitIndex => _commitIndex;

    /// <summary>The last index that this server's disk holds for certain.</summary>
    public LogIndex DurableIndex => _durableIndex;
    public LogIndex LastIndex => _log.LastIndex;
    public LogIndex FirstIndex => _log.FirstIndex;

    /// <summary>No entry of the log, or of what a snapshot covers before it, has a later time stamp.</summary>
    public long LastTimeMs => _log.LastTimeMs;

    /// <summary>In force: the last one in the log, committed or not.</summary>
    public Configuration Configuration => _configurations[^1].Configuration;
    public LogIndex ConfigurationIndex => _configurations[^1].Index;

    /// <summary>The term of an entry; null above the log and below what is known.</summary>
    public Term? TermAt(LogIndex index) => _log.TermAt(index);

    /// <summary>How the leader sees its peers; empty on others.</summary>
    public IReadOnlyList<PeerProgress> Peers => _tracker is null ? [] : [.. _tracker.Peers.Select(peer => new PeerProgress(
        peer.Id,
        peer.IsReading ? "Reading" : peer.State.ToString(),
        peer.MatchIndex,
        peer.NextIndex,
        peer.InFlightCount,
        peer.InFlightBytes,
        _liveness.IsAlive(peer.Id),
        peer.CaughtUpRounds))];

    /// <summary>Takes a message from another server. Any message, at any time, in any order, is safe.</summary>
    public void Step(Message message)
    {
        // What is meant for another disk under our name must not be read. Rule 12
        if (message.To != _self || message.From == _self || message.From.Node.Value is null)
            return;
        HearFrom(message);
        switch (message)
        {
            case VoteRequest request:
                OnVoteRequest(request);
                break;
            case AppendRequest { IsRemovalNotice: true } notice:
                OnRemovalNotice(notice);
                break;
            case AppendRequest request when request.Term < _term:
                // An old leader must learn of the newer term, and so must a new one that is not yet sure. PhD 3.3
                Answer(RejectionOf(request));
                break;
            case ReadQuorumRequest request when request.Term < _term:
                Answer(new ReadQuorumReply(_self, request.From, _term, request.ReadId));
                break;
            case AppendRequest or ReadQuorumRequest or TimeoutNow when message.Term >= _term:
                if (message.Term > _term)
                    BecomeFollower(message.Term);
                OnLeaderMessage(message);
                break;
            case VoteReply reply:
                OnVoteReply(reply);
                break;
            case AppendReply or ReadQuorumReply when message.Term > _term:
                StepDownFor(message);
                break;
            case AppendReply reply when reply.Term == _term && _role == Role.Leader:
                OnAppendReply(reply);
                break;
            case ReadQuorumReply reply when reply.Term == _term && _role == Role.Leader:
                OnReadQuorumReply(reply);
                break;
        }
    }

    /// <summary>The entry is here, and of the current term. A leader that says it is committed knows all that was committed before;
    /// until then it may not (dissertation, 6.4).</summary>
    public bool IsOfCurrentTerm(LogIndex index) => _log.TermAt(index) == _term;

    /// <summary>As of the last tick: this server leads, and a quorum has followed it since the tick before.</summary>
    public bool IsFollowedByQuorum => _role == Role.Leader && _tracker!.IsQuorum(0, static (voter, _) => !voter.IsInDoubt);

    /// <summary>One tick of logical time.</summary>
    public void Tick()
    {
        _isApplyReadBlocked = false;
        if (_role == Role.Leader)
            TickLeader();
        else
            TickOther();
    }

    /// <summary>Appends on the leader; null when this server does not lead or hands over leadership. Replicated at the next poll.</summary>
    /// <exception cref="ArgumentException">The kind is <see cref="EntryKind.Configuration"/>: see <see cref="ProposeChange"/>.</exception>
    public EntryId? AddEntry(EntryKind kind, ReadOnlyMemory<byte> payload, long timeMs)
    {
        if (kind is EntryKind.Configuration or < EntryKind.Command or > EntryKind.System)
            throw new ArgumentException($"An entry of kind {kind} cannot be added; the members are changed by {nameof(ProposeChange)}.", nameof(kind));
        return AddEntry(kind, payload, timeMs, configuration: null);
    }

    private EntryId? AddEntry(EntryKind kind, ReadOnlyMemory<byte> payload, long timeMs, Configuration? configuration)
    {
        if (_role != Role.Leader || _transferTarget is not null)
            return null;

        var entry = new Entry(_log.LastIndex.Next, _term, kind, Math.Max(timeMs, _log.LastTimeMs), payload);
        Append(entry, configuration);
        _isReplicationDue = true;
        return entry.Id;
    }

    /// <summary>Storage has completed the batch of this number, and so all before it. Rule 1.</summary>
    public void OnDurable(long batchNumber)
    {
        Invariant.Holds(batchNumber <= _batchNumber);
        _durableBatch = Math.Max(_durableBatch, batchNumber);
        int done = 0;
        while (done < _underWay.Count && _underWay[done].Number <= batchNumber)
            done++;
        if (done == 0)
            return;

        BatchUnderWay last = _underWay[done - 1];
        _underWay.RemoveRange(0, done);
        _durableIndex = LogIndex.Max(_durableIndex, last.LastIndex);
        _durableTermAndVote = last.TermAndVote;
        Invariant.Holds(_durableIndex <= _handedIndex);
        ReleaseMemory();

        if (_hasOpenElection)
            CountOwnVote();
        else if (_role == Role.Leader && _tracker!.Self.Acknowledge(_durableIndex)) // a leader has a tracker
            AdvanceCommitIndex();
    }

    /// <summary>The state machine has applied, or loaded, all up to here.</summary>
    public void OnApplied(LogIndex index)
    {
        Invariant.Holds(index <= _handedToApply);
        _appliedIndex = LogIndex.Max(_appliedIndex, index);
    }

    /// <summary>A liveness frame brought news, or a connection ended: ask the view again now and not at the next tick.</summary>
    public void OnLivenessChanged() => ReviewLeader();

    /// <summary>A restart would find the current term.</summary>
    internal bool IsTermDurable => _durableTermAndVote.Term == _term;

    private bool IsTermAndVoteDurable => _durableTermAndVote == new TermAndVote(_term, _vote);

    /// <summary>What is committed and durable can be read from the disk, for a lagging peer and for a lagging state machine.</summary>
    private void ReleaseMemory() => _log.Release(LogIndex.Min(_commitIndex, _durableIndex));

    private void BecomeFollower(Term term)
    {
        Invariant.Holds(term >= _term);
        if (term > _term)
        {
            _term = term;
            _vote = null;
            _matchedIndex = _commitIndex;        // every later leader's log has it. PhD 3.6.3
        }

        _hasOpenElection = false;
        if (_role == Role.Leader)
            StopLeading();
        if (_role != Role.Follower)
            ResetElectionClock();
        _role = Role.Follower;
        _leader = null;
    }

    /// <summary>A reply of a higher term: only who counts answers needs to care, and only members count. Rules 4, 12</summary>
    private void StepDownFor(Message reply)
    {
        if (_role != Role.Follower && Configuration.Contains(reply.From))
            BecomeFollower(reply.Term);
    }

    /// <summary>Puts an entry behind the log; a configuration counts from here on. PhD 4.1</summary>
    private void Append(Entry entry, Configuration? configuration)
    {
        _log.Append(entry);
        if (configuration is not null)
        {
            _configurations.Add((entry.Index, configuration));
            OnConfigurationInForce();
        }
    }

    /// <summary>Forgets a tail that the leader of this term does not have; a configuration in it is undone. Rules 1, 8</summary>
    private void TruncateFrom(LogIndex index)
    {
        Invariant.Holds(_role == Role.Follower);
        Invariant.Holds(index > _commitIndex);
        Invariant.Holds(index > _matchedIndex);
        _log.TruncateFrom(index);
        ForgetOnDisk(index);
        UndoConfigurationsFrom(index);
    }

    /// <summary>Nothing from this index on is, or will be, on the disk.</summary>
    private void ForgetOnDisk(LogIndex index)
    {
        // What is still under way to the disk will be overwritten there: its completion says nothing about the new tail.
        LogIndex left = index.Previous;
        for (int i = 0; i < _underWay.Count; i++)
        {
            BatchUnderWay batch = _underWay[i];
            batch.LastIndex = LogIndex.Min(batch.LastIndex, left);
            _underWay[i] = batch;
        }

        if (index <= _handedIndex)
        {
            _truncateFrom = _truncateFrom is { } earlier ? LogIndex.Min(earlier, index) : index;
            _handedIndex = left;
        }

        _durableIndex = LogIndex.Min(_durableIndex, left);
    }

    private void UndoConfigurationsFrom(LogIndex index)
    {
        int kept = _configurations.Count;
        while (_configurations[kept - 1].Index >= index && kept > 1)
            kept--;
        if (kept < _configurations.Count)
        {
            _configurations.RemoveRange(kept, _configurations.Count - kept);
            OnConfigurationInForce();
        }
    }

    private void OnConfigurationInForce()
    {
        Invariant.Holds(Configuration.HasVoters || Configuration.Current.Count == 0); // empty: of a server that knows none yet
        Invariant.Holds(ConfigurationIndex <= _log.LastIndex);
        _wasMember |= Configuration.Contains(_self);
        if (_tracker is { } tracker)
        {
            tracker.Configure(Configuration, _log.LastIndex.Next);
            foreach (Progress departing in tracker.Departing)
            {
                if (departing.DepartingTicks > 0)
                    continue;
                departing.DepartingTicks = DepartingElections * _settings.ElectionTicks;
                departing.DepartedAt = ConfigurationIndex;
            }
        }

        RenumberReadRound();
    }

    private void SetCommitIndex(LogIndex index)
    {
        Invariant.Holds(index > _commitIndex);
        Invariant.Holds(index <= _log.LastIndex);
        bool commitsConfiguration = ConfigurationIndex > _commitIndex && ConfigurationIndex <= index;
        _commitIndex = index;
        ReleaseMemory();
        if (commitsConfiguration)
            RenumberReadRound();
    }
}

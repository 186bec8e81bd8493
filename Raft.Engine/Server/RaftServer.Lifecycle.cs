using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Shards;

namespace Raft.Engine.Server;

// Start, tick, stop; and the way in to the shard.
public sealed partial class RaftServer
{
    private async Task StartOnShardAsync(TaskCompletionSource started, CancellationToken cancellation)
    {
        try
        {
            if (_stopReason is { } aborted)
                throw new StoppedException(aborted, WriteOutcome.NotSubmitted);

            PersistedState state = await LoadAsync(cancellation);
            if (_stopReason is { } reason)
                throw new StoppedException(reason, WriteOutcome.NotSubmitted);

            _protocolOrNull = new RaftProtocol(Settings.Protocol, state, _liveness, new Random(Settings.RandomSeed));
            _lastRole = new RoleChange(_protocol.Role, _protocol.CurrentTerm, _protocol.Leader);
            _durableSnapshot = state.Snapshot;              // the first batch has it loaded; until then nothing is applied
            _committedKnown = state.Snapshot?.Index ?? LogIndex.Zero;
            _committedTerm = state.Snapshot?.Term ?? Term.Zero;
            OnMembershipInForce(_protocol.Configuration);
            _hasRpc = true;
            _rpc.Start(this);
            _rpc.ConfigurationChanged(_protocol.Configuration);
            _tickTimer = _shard.StartTimer(Settings.Tick, OnTick);
            _isStarted = true;
            Announce();
            Publish();
            SchedulePoll();
            _logger.Started(GroupId, Id, _protocol.CurrentTerm, _protocol.LastIndex);
            started.SetResult();
        }
        catch (Exception error)
        {
            Stop(error.Message, cause: error);
            started.SetException(error);
        }
    }

    /// <summary>What the disk holds, the last entry always with it: the log's time continues from its stamp. The storage contract asks
    /// for that; this is the one place that every state passes, also one that was read before by somebody else or that a storage
    /// returned without it.</summary>
    private async ValueTask<PersistedState> LoadAsync(CancellationToken cancellation)
    {
        PersistedState state = await _storage.LoadAsync(Settings.Protocol.MaxCacheBytes, cancellation);
        if (state.RecentEntries.Count > 0 || state.LastIndex < state.FirstIndex)
            return state;

        IReadOnlyList<Entry> last = await _storage.ReadEntriesAsync(state.LastIndex, state.LastIndex, 1, cancellation);
        Invariant.Holds(last.Count == 1);
        return state with { RecentEntries = last };
    }

    private void OnTick()
    {
        if (!IsReady)
            return;

        try
        {
            Tick();
        }
        catch (Exception error)
        {
            Fail(error);
        }
    }

    /// <summary>Hot path of a process with many idle groups: allocates nothing when nothing has changed.</summary>
    private void Tick()
    {
        // With a full queue an election could only make it longer: what it sends waits for the disk.
        if (_protocol.Role == Role.Leader || !IsDiskQueueFull)
            _protocol.Tick();
        _quiet.OnTick(_protocol);
        ReviewClock();
        Announce();
        NoteQuietLeader();
        long now = _shard.Time.GetTimestamp();
        NoteOwnLead(now);
        NoteCaughtUp();
        CheckDiskStall(now);
        ExpireWaiting(now);
        RetryParked();
        ReviewTransfers(now);
        ReviewMembership();     // a removed server may be notified of it by a message that changes nothing else
        _transfers.OnTick(now);
        _reception.CloseOutdated();
        RefreshPeers();
        SchedulePoll();
    }

    /// <summary>A tick and its poll, for measuring. Only on the shard.</summary>
    internal void TickNow()
    {
        _shard.Verify();
        _isPollDue = true;      // it follows at once
        OnTick();
        Poll();
    }

    private void RefreshPeers()
    {
        // That a peer falls silent is no event: nothing comes.
        for (int i = 0; i < _peers.Count && !_arePeersStale; i++)
            _arePeersStale = _peers[i].Server != Id && _peers[i].IsAlive != _liveness.IsAlive(_peers[i].Server);
        if (!_arePeersStale)
            return;

        _arePeersStale = false;
        _peers = _protocol.Peers;
    }

    private void Announce() => _failureDetector.Announce(
        GroupId,
        new GroupStatus(_protocol.CurrentTerm, _protocol.Role == Role.Leader, _protocol.Role == Role.Follower ? _protocol.Leader : null)
        {
            QuietCommit = _quiet.Commit,
        });

    /// <summary>No message comes while nothing happens: the frames say that it is so.</summary>
    private void NoteQuietLeader()
    {
        if (_protocol.Role == Role.Follower && _protocol.Leader is { } leader && _liveness.QuietWord(leader, _protocol.CurrentTerm) is { } word)
            _freshness.OnLeaderCommit(word.Commit, _appliedIndex, word.Age);
    }

    /// <summary>What follows us has elected nobody else.</summary>
    private void NoteOwnLead(long now)
    {
        if (_protocol.IsFollowedByQuorum && _protocol.IsOfCurrentTerm(_protocol.CommitIndex))
            _freshness.OnLeaderCommit(_protocol.CommitIndex, _appliedIndex, SinceLastTick(now));
        _lastTickAt = now;
    }

    /// <summary>What a leader says counts only once it has committed an entry of its own term (<see cref="NoteLeaderCommit"/>): before,
    /// it knows a commit index of before its election, or none.</summary>
    private void NoteCaughtUp()
    {
        if (!_hasCaughtUp && _protocol.Leader is not null && _freshness.Age <= CaughtUpAgeMax)
            _hasCaughtUp = true;
    }

    /// <summary>A message may have waited since then: the process may have stood still.</summary>
    private TimeSpan SinceLastTick(long now) => _lastTickAt == 0 ? TimeSpan.Zero : _shard.Time.GetElapsedTime(_lastTickAt, now);

    private void Post(Action<RaftServer> work) => _shard.Post(_ => OnShard(() => work(this)), state: null);

    /// <summary>Every way in from outside: nothing happens before the start or after the stop, and what goes wrong stops the server.</summary>
    private void OnShard(Action work)
    {
        if (_stopReason is not null || _protocolOrNull is null)
            return;

        try
        {
            work();
        }
        catch (Exception error)
        {
            Fail(error);
        }
    }

    /// <summary>Watches over a task that nobody awaits.</summary>
    private async Task StopOnFailureAsync(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception error)
        {
            Fail(error);
        }
    }

    internal void StopOnFailure(Task task) => _ = StopOnFailureAsync(task);

    internal void Begin(StateWaiter waiter)
    {
        if (!TryBegin(waiter))
            return;

        if (waiter.UntilLeader && _protocol.Leader is { } leader)
            End(waiter, leader);
        else if (waiter.UntilLeader && IsOutside)
            End(waiter, OutsideError());
        else
            _stateWaiters.Add(waiter);
    }

    internal void End(StateWaiter waiter, RaftException error)
    {
        Forget(waiter);
        _stateWaiters.Remove(waiter);
        waiter.TrySetException(error);
    }

    private void End(StateWaiter waiter, ServerId leader)
    {
        Forget(waiter);
        waiter.TrySetResult(leader);
    }

    private void EndStateWaiters()
    {
        for (int i = _stateWaiters.Count - 1; i >= 0; i--)
        {
            StateWaiter waiter = _stateWaiters[i];
            if (waiter.UntilLeader && _protocol.Leader is null)
                continue;

            _stateWaiters.RemoveAt(i);
            End(waiter, _protocol.Leader ?? default);
        }
    }

    /// <summary>For whoever waited in vain: which voters are not alive, when too few are.</summary>
    internal string DescribeQuorum()
    {
        if (_protocolOrNull is null)
            return "";

        string missing = Describe(Configuration.Current);
        return missing.Length > 0 || !Configuration.IsJoint ? missing : Describe(Configuration.Previous);

        string Describe(IReadOnlyList<Member> members)
        {
            int voters = 0;
            List<string> silent = [];
            foreach (Member member in members)
            {
                if (member.Kind != MemberKind.Voter)
                    continue;

                voters++;
                if (member.Id != Id && !_liveness.IsAlive(member.Id))
                    silent.Add(member.Node.Value);
            }

            return voters - silent.Count > voters / 2
                ? ""
                : $"A quorum is missing: of {voters} voters these are not alive: {string.Join(", ", silent)}.";
        }
    }

    private void Fail(Exception error)
    {
        if (_stopReason is not null)
            return;     // what breaks while stopping is no news

        Quietly(() =>
        {
            if (error is CorruptStorageException corrupt)
                _logger.StorageFailed(error, GroupId, corrupt.Remedy);
            else
                _logger.Failed(error, GroupId);
        });
        Stop($"it failed: {error.Message}", cause: error);
    }

    /// <summary>Ends everything; the shard may still run what was posted before, which does nothing any more.</summary>
    /// <remarks>Whatever a plug-in or a callback of a token throws here, every call ends.</remarks>
    private void Stop(string reason, Exception? cause)
    {
        if (_stopReason is not null)
            return;

        _stopReason = reason;
        _tickTimer?.Dispose();
        if (_hasRpc)
            Quietly(_rpc.Stop);
        Quietly(_stopping.Cancel);

        ILocalCall[] calls = [.. _calls];
        _calls.Clear();
        foreach (ILocalCall call in calls)
            call.Stop(reason);
        foreach (RemoteWrite write in _waitingRemoteWrites)
            write.Stop(reason);
        foreach (List<IReadWaiter> round in _reads.Values.Append(_newReads))
        {
            foreach (IReadWaiter read in round)
                (read as RemoteRead)?.Stop(reason);
        }

        foreach (RemoteChange change in _waitingRemoteChanges)
            change.Stop(reason);
        foreach (ITransferCall transfer in _transferCalls)
            (transfer as RemoteTransfer)?.Stop(reason);
        _transfers.AbortAll();
        _reception.Stop();

        _waitingRemoteWrites.Clear();
        _reads.Clear();
        _newReads.Clear();
        _snapshotCalls.Clear();
        _changes.Clear();
        _waitingRemoteChanges.Clear();
        _transferCalls.Clear();
        _stateWaiters.Clear();
        _parkedWrites.Clear();
        _parkedReads.Clear();
        _waiters.Clear();
        _recentResults.Clear();
        _toApply.Clear();
        Quietly(_admission.Dispose);        // wakes other groups

        Quietly(() => _logger.Stopped(GroupId, reason));
        if (cause is null)
        {
            _stopped.TrySetResult();
        }
        else
        {
            _stopped.TrySetException(cause);
            _ = _stopped.Task.Exception;    // seen: whoever does not look at Stopped must not crash for it
        }
    }

    /// <summary>Runs what belongs to others: callbacks of tokens, plug-ins. What they throw is theirs.</summary>
    internal void Quietly(Action foreign)
    {
        try
        {
            foreign();
        }
        catch (Exception error)
        {
            try
            {
                _logger.ForeignCodeFailed(error, GroupId);
            }
            catch (Exception)
            {
                // It is the logger that throws.
            }
        }
    }
}

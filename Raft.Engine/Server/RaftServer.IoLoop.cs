using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// Output batches, in order: send, persist, complete. The promise leaves after the proof. Rule 1.
public sealed partial class RaftServer
{
    private readonly record struct PersistingBatch(OutputBatch Batch, Task Durable, long Since, long Bytes);

    /// <summary>Too much waits for the disk. A leader appends no more commands then. Another server drops what would make it write or
    /// promise something: to the others that looks like a network that loses messages, which costs no safety. What a leader
    /// learns from replies (that another term has come, that a quorum is missing) is never dropped, and it ticks: so it steps
    /// down. The liveness frames of all leave as ever. Rules 4, 7.</summary>
    private bool IsDiskQueueFull => _persisting.Count >= Settings.MaxQueuedBatches || _persistingBytes >= _persistingBytesMax;

    /// <summary>Whatever touched the protocol calls this: one poll then takes all that came together.</summary>
    internal void SchedulePoll()
    {
        if (_isPollDue)
            return;

        _isPollDue = true;
        _shard.Defer(static state => ((RaftServer)state!).Poll(), this);
    }

    private void Poll()
    {
        _isPollDue = false;
        if (_stopReason is not null)
            return;

        try
        {
            _admission.ReleaseTruncated(_protocol.LastIndex, _termAt);
            AdmitWaiting();
            FlushNewReads();
            _entryTimeMs = 0;
            if (_protocol.HasOutput)
                Handle(_protocol.TakeOutput());
            else
                Publish();
        }
        catch (Exception error)
        {
            Fail(error);
        }
    }

    private void Handle(OutputBatch batch)
    {
        _metrics.OnBatch(batch, _protocol.Role == Role.Leader ? _protocol.LastIndex : null);
        _arePeersStale |= batch.SendAtOnce.Count > 0 || batch.Persist is not null || batch.CommitIndex is not null
            || batch.RoleChange is not null || batch.ConfigurationInForce is not null || batch.SnapshotsToSend.Count > 0;
        if (batch.AbortTransfers)
            _transfers.AbortAll();                  // before anything of the new term leaves. Rule 6
        if (batch.ConfigurationInForce is { } configuration)
            OnConfiguration(configuration);

        if (_quiet.Ends(_protocol))
            Announce();                             // before anything new can be committed
        Send(batch.SendAtOnce);                     // on the wire while our disk still writes. PhD 10.2.1
        Persist(batch);
        Publish();                                  // before anybody who waits can look
        if (batch.RoleChange is { } change)
            OnRoleChange(change);
        if (batch.CommitIndex is { } commitIndex)
            OnCommitted(commitIndex);               // a quorum decides, not our own disk
        CompleteReads(batch.ReadsReady, batch.ReadsFailed);
        foreach (EntriesWanted wanted in batch.EntriesWanted)
            StopOnFailure(ReadForPeerAsync(wanted));
        foreach (ServerId member in batch.LostData)
            _logger.LostData(GroupId, member);
        foreach (SnapshotToSend snapshot in batch.SnapshotsToSend)
            _transfers.Start(snapshot);
        EnqueueToApply(batch.SnapshotToLoad, batch.ToApply);    // never waits: a slow state machine slows only itself
    }

    private void Send(IReadOnlyList<Message> messages)
    {
        if (messages.Count == 0)
            return;

        _metrics.OnMessages(messages, areSent: true);
        _rpc.Send(messages);
    }

    private void Persist(OutputBatch batch)
    {
        if (batch.Persist is null && batch.SendWhenDurable.Count == 0)
            return;

        // With nothing to store and nothing on its way, all that the messages lean on is durable already: no round
        // trip through the storage's thread.
        if (batch.Persist is null && _persisting.Count == 0)
        {
            _protocol.OnDurable(batch.Number);
            Send(batch.SendWhenDurable);
            if (_protocol.HasOutput)
                SchedulePoll();
            return;
        }

        long bytes = 0;
        for (int i = 0; i < batch.Persist?.Entries.Count; i++)
            bytes += batch.Persist.Entries[i].CostBytes;
        Task durable = _storage.PersistAsync(batch.Persist);
        _persisting.Enqueue(new PersistingBatch(batch, durable, _shard.Time.GetTimestamp(), bytes));
        _persistingBytes += bytes;
        StopOnFailure(FinishWhenDurableAsync(durable));
    }

    /// <summary>Storage completes in the order of the calls; one sync often completes several, and the first to come
    /// back finishes them all.</summary>
    private async Task FinishWhenDurableAsync(Task durable)
    {
        await durable;
        if (_stopReason is not null)
            return;

        long lastNumber = 0;
        int finished = 0;
        foreach (PersistingBatch persisting in _persisting)
        {
            if (!persisting.Durable.IsCompletedSuccessfully)
                break;
            lastNumber = persisting.Batch.Number;
            finished++;
        }

        if (finished == 0)
            return;

        _protocol.OnDurable(lastNumber);            // first: a candidate leads only by its durable vote
        _isDiskStallKnown = _isDiskQueueFullKnown = false;
        for (; finished > 0; finished--)
        {
            (OutputBatch batch, _, _, long bytes) = _persisting.Dequeue();
            _persistingBytes -= bytes;
            Send(batch.SendWhenDurable);
            if (batch.Persist?.Snapshot is { } snapshot)
                OnSnapshotDurable(snapshot);
        }

        _metrics.OnDurable(_protocol.DurableIndex);
        _reception.Review();
        SchedulePoll();
    }

    private async Task ReadForPeerAsync(EntriesWanted wanted)
    {
        IReadOnlyList<Entry> entries = await _storage.ReadEntriesAsync(wanted.From, wanted.To, wanted.MaxBytes, _stopping.Token);
        if (_stopReason is not null)
            return;

        _protocol.OnEntriesRead(wanted.Peer, wanted.From, entries);
        SchedulePoll();
    }

    private void StepAll(IReadOnlyList<Message> messages)
    {
        _arePeersStale = true;
        _metrics.OnMessages(messages, areSent: false);
        foreach (Message message in messages)
        {
            if (message.To != Id)
                _metrics.OnMisdirected();       // another disk under this node id. Rule 12
            else if (_protocol.Role != Role.Leader && IsDiskQueueFull && MayNeedTheDisk(message))
                OnDiskQueueFull();
            else
                _protocol.Step(message);
        }

        NoteLeaderCommit(messages);
        SchedulePoll();
    }

    /// <summary>An answer to a leader that asks for a quorum of readers is a promise, too, while the term is on the way to the disk.</summary>
    private bool MayNeedTheDisk(Message message) =>
        message is AppendRequest or VoteRequest or TimeoutNow
        || (message is ReadQuorumRequest && (message.Term > _protocol.CurrentTerm || !_protocol.IsTermDurable));

    private void OnDiskQueueFull()
    {
        _metrics.OnDiskQueueFull();
        if (_isDiskQueueFullKnown)
            return;

        _isDiskQueueFullKnown = true;
        _logger.DiskQueueFull(GroupId, _persisting.Count, _persistingBytes);
    }

    private void NoteLeaderCommit(IReadOnlyList<Message> messages)
    {
        for (int i = messages.Count - 1; i >= 0; i--)
        {
            if (messages[i] is AppendRequest request && request.Term == _protocol.CurrentTerm && request.From == _protocol.Leader)
            {
                if (_protocol.IsOfCurrentTerm(request.CommitIndex))
                    _freshness.OnLeaderCommit(request.CommitIndex, _appliedIndex, SinceLastTick(_shard.Time.GetTimestamp()));
                return;
            }
        }
    }

    private void OnConfiguration(Configuration configuration)
    {
        _rpc.ConfigurationChanged(configuration);
        _transfers.AbortLeavers(configuration);
        _metrics.OnConfiguration();
        OnMembershipInForce(configuration);
        _logger.ConfigurationInForce(GroupId, _protocol.ConfigurationIndex, configuration.Current.Count, configuration.IsJoint);
    }

    private void OnRoleChange(RoleChange change)
    {
        RoleChange before = _lastRole;
        _lastRole = change;
        Announce();
        _metrics.OnRoleChange(before, change);
        if (change.Role == Role.Leader && (before.Role != Role.Leader || before.Term != change.Term))
            _logger.BecameLeader(GroupId, change.Term);
        else if (before.Role == Role.Leader && change.Role != Role.Leader)
            LogSteppedDown(change);
        else if (change.Leader is { } leader && (before.Leader != leader || before.Term != change.Term))
            _logger.Follows(GroupId, leader, change.Term);

        _reception.CloseOutdated();
        ReviewTransfers(now: null);
        ReviewMembership();
        EndStateWaiters();
        AdmitWaiting();         // who waited for room on a leader that is none any more goes elsewhere
        RerouteForwardedReads();
        if (change.Leader is not null)
            RetryParked();
    }

    private void LogSteppedDown(RoleChange change)
    {
        string quorum = DescribeQuorum();
        if (quorum.Length > 0)
            _logger.LostQuorum(GroupId, change.Term, quorum);
        else
            _logger.SteppedDown(GroupId, change.Term);
    }

    /// <summary>A leader whose disk hangs has a live shard and live followers, but should not be trusted with what comes
    /// next: it hands over, and tries again at every tick until it leads no more or the disk goes on. Rule 2.</summary>
    private void CheckDiskStall(long now)
    {
        if (_protocol.Role != Role.Leader || !_persisting.TryPeek(out PersistingBatch oldest))
            return;

        TimeSpan waited = _shard.Time.GetElapsedTime(oldest.Since, now);
        if (waited < Settings.DiskStall)
            return;

        if (!_isDiskStallKnown)
            _logger.DiskStalled(GroupId, waited.TotalSeconds);
        _isDiskStallKnown = true;
        _protocol.BeginTransfer(target: null, ticks: Settings.Protocol.ElectionTicks);
    }

    private void Publish()
    {
        ServerStatus before = _status;
        RaftProtocol protocol = _protocol;
        if (before.CommitIndex == protocol.CommitIndex && before.AppliedIndex == _appliedIndex && before.LastIndex == protocol.LastIndex
            && before.DurableIndex == protocol.DurableIndex && before.Term == protocol.CurrentTerm && before.Role == protocol.Role
            && before.Leader == protocol.Leader && ReferenceEquals(before.Peers, _peers) && before.PendingCalls == _calls.Count
            && before.AdmittedBytes == _admission.ChargedBytes && before.AdmissionWaiting == _admission.WaitingCount
            && before.ApplierQueueEntries == _toApplyEntries && ReferenceEquals(before.Configuration, protocol.Configuration)
            && before.ConfigurationIndex == protocol.ConfigurationIndex && before.FirstIndex == protocol.FirstIndex
            && ReferenceEquals(before.Snapshot, protocol.Snapshot) && before.IsTakingSnapshot == _isTakingSnapshot
            && ReferenceEquals(before.SnapshotTransfers, _transfers.Progress) && before.IsRemoved == _isRemoved
            && before.Standing == protocol.Standing
            && before.WaitingBytes == _waitingBytes.Value && before.Waiters == _waiters.Count && before.QueuedBatches == _persisting.Count)
        {
            return;
        }

        _status = new ServerStatus(
            protocol.Role, protocol.CurrentTerm, protocol.Leader,
            protocol.CommitIndex, _appliedIndex, protocol.DurableIndex, protocol.FirstIndex, protocol.LastIndex,
            protocol.Configuration, protocol.ConfigurationIndex, _peers,
            _admission.ChargedBytes, _admission.WaitingCount, _toApplyEntries, _toApplyBytes, _calls.Count,
            protocol.Snapshot, _isTakingSnapshot, _transfers.Progress, _isMember, _isRemoved)
        {
            Standing = protocol.Standing,
            WaitingBytes = _waitingBytes.Value,
            Waiters = _waiters.Count,
            QueuedBatches = _persisting.Count,
            QueuedBatchBytes = _persistingBytes,
        };
    }
}

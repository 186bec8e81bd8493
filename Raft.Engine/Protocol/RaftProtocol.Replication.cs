namespace Raft.Engine.Protocol;

// The leader's side of replication: append requests, commit, and whether it may go on leading. PhD 3.5, 3.6; rules 2, 4, 5.
public sealed partial class RaftProtocol
{
    /// <summary>The transport could not deliver to this server: back to PROBE. Rule 5.</summary>
    public void OnUnreachable(ServerId server)
    {
        if (_tracker?.Find(server) is not { State: not ProgressState.Snapshot } peer)
            return; // a transfer finds out for itself
        peer.StartProbing(peer.MatchIndex.Next);
        peer.IsProbeUnderWay = true; // not at once: the next tick is soon enough for a peer that is down
    }

    /// <summary>Tells this peer of commit progress at once from now on, while it waits for forwarded calls. Rule 5.</summary>
    public void OnPeerWaits(ServerId server, LogIndex index)
    {
        if (_tracker?.Find(server) is not { } peer)
            return;
        peer.WaitsFor = LogIndex.Max(peer.WaitsFor, index);
        _isReplicationDue = true;
    }

    /// <summary>Leader: only an answer of this term to what it asked says that the sender follows it. A request for votes says the
    /// opposite: whoever does not get our messages any more, and sends some, must not keep us in office. Rule 4</summary>
    private void HearFrom(Message message)
    {
        if (_tracker?.Find(message.From) is not { } peer)
            return;
        peer.OnStart(message.SenderStart);
        if (message is AppendReply or ReadQuorumReply && message.Term == _term)
            peer.OnAnswer();
    }

    private void TickLeader()
    {
        ProgressTracker tracker = _tracker!; // a leader has one
        foreach (Progress peer in tracker.Peers)
        {
            bool isAlive = _liveness.IsAlive(peer.Id) && (!peer.IsAnswerDue || peer.WasHeard);
            peer.DeadTicks = isAlive ? 0 : peer.DeadTicks + 1;
            TickPeer(peer);
            ReviewRound(peer, isTick: true);
            peer.WasHeard = false;
            peer.HasAcknowledged = false;
        }

        TickDeparting();

        if (!tracker.IsQuorum(_settings.ElectionTicks, static (voter, limit) => voter.DeadTicks < limit))
        {
            BecomeFollower(_term); // nobody may be following any more: readers and writers must not be kept waiting
            return;
        }

        ResendReadRound();
        TickTransfer();
        TickMembership();
    }

    private void TickPeer(Progress peer)
    {
        peer.IsReadBlocked = false;

        // The heartbeat of rule 4; and an answer that did not come (perhaps to a read round that others have ended): it is
        // asked for again, or a live voter would count as dead for one lost message as long as nothing else happens.
        bool isFollowing = _liveness.IsFollowing(peer.Id, _term);
        bool isHeartbeatDue = !isFollowing || (peer.IsAnswerDue && !peer.WasHeard);
        peer.IsInDoubt = !isFollowing && !peer.WasHeard;
        switch (peer.State)
        {
            case ProgressState.Probe:
                peer.IsProbeUnderWay = false;
                _isReplicationDue = true;
                return;
            case ProgressState.Snapshot:
                peer.IsSnapshotBlocked = false;
                peer.IsEmptyAppendDue |= isHeartbeatDue;
                _isReplicationDue = true;
                return;
        }

        // Three reasons for an empty append: the heartbeat; commit progress that nothing else will tell; appends that may be
        // lost, which one behind them uncovers.
        bool lagsOnCommit = peer.CommitKnown < LogIndex.Min(_commitIndex, peer.MatchIndex)
            && (peer.CommitSent < _commitIndex || peer.InFlightCount == 0);
        peer.IsEmptyAppendDue |= isHeartbeatDue || lagsOnCommit;
        peer.IsLossCheckDue = peer.NextIndex > peer.MatchIndex.Next && !peer.HasAcknowledged;
        _isReplicationDue |= peer.IsEmptyAppendDue || peer.IsLossCheckDue || peer.NextIndex <= _log.LastIndex; // else an idle group costs no poll
    }

    private void Replicate()
    {
        foreach (Progress peer in _tracker!.Peers) // a leader has one
            Replicate(peer);
        foreach (Progress departing in _tracker.Departing)
            Replicate(departing);
    }

    private void Replicate(Progress peer)
    {
        switch (peer.State)
        {
            case ProgressState.Probe when !peer.IsProbeUnderWay:
                SendProbe(peer);
                break;
            case ProgressState.Pipeline:
                FillPipeline(peer);
                break;
        }

        // Also for one that has just been found to need it.
        if (peer.State == ProgressState.Snapshot)
            ReplicateSnapshot(peer);
    }

    private void SendProbe(Progress peer)
    {
        // Entries only for somebody who is there; a dead peer costs an empty message per tick.
        bool withEntries = peer.NextIndex <= _log.LastIndex && peer.NextIndex >= _log.FirstInMemory && _liveness.IsAlive(peer.Id);
        Entry[] entries = withEntries ? _log.Copy(peer.NextIndex, _log.LastIndex, _settings.MaxAppendBytes, out _) : [];
        peer.IsProbeUnderWay = SendAppend(peer, peer.NextIndex.Previous, entries);
    }

    private void FillPipeline(Progress peer)
    {
        bool isToldNow = peer.IsEmptyAppendDue || (_commitIndex > peer.CommitSent && peer.CommitSent < peer.WaitsFor);
        while (peer.NextIndex <= _log.LastIndex
            && peer.InFlightCount < _settings.MaxInFlightAppends
            && peer.InFlightBytes < _settings.MaxInFlightBytes
            && !peer.IsReading)
        {
            if (_log.TermAt(peer.NextIndex.Previous) is null)
            {
                peer.WaitForSnapshot(); // compacted away while it was slow
                return;
            }

            if (peer.NextIndex < _log.FirstInMemory)
            {
                WantEntries(peer);
                break;
            }

            Entry[] entries = _log.Copy(peer.NextIndex, _log.LastIndex, _settings.MaxAppendBytes, out long bytes);
            if (!SendAppend(peer, peer.NextIndex.Previous, entries))
                return;
            peer.OnSent(entries[^1].Index, bytes);
            peer.IsLossCheckDue = false; // these are behind all others
            isToldNow = false;
        }

        // At the match index it is taken whatever overtook what on the way; behind all that was sent it shows a loss.
        if (peer.IsLossCheckDue || (isToldNow && _log.TermAt(peer.MatchIndex) is null))
            SendAppend(peer, peer.NextIndex.Previous, []);
        else if (isToldNow)
            SendAppend(peer, peer.MatchIndex, []);
    }

    private void WantEntries(Progress peer)
    {
        if (peer.IsReadBlocked)
            return;
        peer.IsReading = true;
        peer.ReadFrom = peer.NextIndex;
        LogIndex last = LogIndex.Min(_log.FirstInMemory.Previous, _log.LastIndex);
        int appends = Math.Min(4, _settings.MaxInFlightAppends - peer.InFlightCount);
        int maxBytes = (int)Math.Min(_settings.MaxInFlightBytes - peer.InFlightBytes, (long)appends * _settings.MaxAppendBytes);
        _entriesWanted.Add(new EntriesWanted(peer.Id, peer.NextIndex, last, maxBytes));
    }

    private void OnEntriesReadForPeer(ServerId server, LogIndex from, IReadOnlyList<Entry> entries)
    {
        // The peer, its state or our role may have changed while the disk worked.
        if (_tracker?.Find(server) is not { IsReading: true } peer || peer.ReadFrom != from)
            return;

        peer.IsReading = false;
        peer.IsReadBlocked = entries.Count == 0;
        _isReplicationDue = true;
        if (peer.NextIndex != from)
            return; // an acknowledgement has overtaken the read
        // What finds no room any more, because acknowledgements are missing, is read again.
        for (int next = 0; next < entries.Count && peer.InFlightCount < _settings.MaxInFlightAppends && peer.InFlightBytes < _settings.MaxInFlightBytes;)
        {
            int count = 0;
            long bytes = 0;
            while (next + count < entries.Count && (count == 0 || bytes + entries[next + count].CostBytes <= _settings.MaxAppendBytes))
            {
                Entry entry = entries[next + count];
                if (entry.Index != peer.NextIndex + count || entry.Term != _log.TermAt(entry.Index))
                    return; // not our log any more
                bytes += entry.CostBytes;
                count++;
            }

            var part = new Entry[count];
            for (int i = 0; i < count; i++)
                part[i] = entries[next + i];
            if (!SendAppend(peer, peer.NextIndex.Previous, part))
                return;
            peer.OnSent(part[^1].Index, bytes);
            next += count;
        }
    }

    private bool SendAppend(Progress peer, LogIndex previous, Entry[] entries)
    {
        if (_log.TermAt(previous) is not { } previousTerm)
        {
            peer.WaitForSnapshot();
            return false;
        }

        peer.IsEmptyAppendDue = false;
        peer.IsLossCheckDue = false;
        peer.IsAnswerDue = true;
        peer.CommitSent = LogIndex.Max(peer.CommitSent, _commitIndex);
        _sendAtOnce.Add(new AppendRequest(_self, peer.Id, _term, previous, previousTerm, _commitIndex, entries)
        {
            SenderStart = _settings.StartCount,
        });
        return true;
    }

    private void OnAppendReply(AppendReply reply)
    {
        if (_tracker!.Find(reply.From) is not { } peer) // a leader has a tracker
            return;
        if (reply.Rejection is { } rejection)
        {
            if (!HasLostData(peer, reply.SenderStart, rejection))
                OnRejection(peer, rejection);
            return;
        }

        LogIndex received = LogIndex.Max(reply.ReceivedIndex, reply.MatchIndex);
        if (received > _log.LastIndex)
            return; // not our log: nothing that a server of this term can say

        if (reply.SenderStart == peer.HeardStart)
            peer.CommitKnown = reply.CommitIndex; // an earlier start's word says nothing of what this one knows
        if (reply.MatchIndex >= peer.AcknowledgedIndex)
            (peer.AcknowledgedStart, peer.AcknowledgedIndex) = (reply.SenderStart, reply.MatchIndex);
        bool isProgress = peer.Acknowledge(reply.MatchIndex);
        peer.HasAcknowledged |= isProgress;
        ResumeFrom(peer, received);
        _isReplicationDue = true;
        if (isProgress)
            OnProgress(peer);
    }

    /// <summary>Where the logs meet is known: to PIPELINE, unless a snapshot has to come first.</summary>
    private void ResumeFrom(Progress peer, LogIndex received)
    {
        switch (peer.State)
        {
            case ProgressState.Probe when received >= peer.NextIndex.Previous:
                peer.StartPipeline(LogIndex.Max(peer.NextIndex, received.Next));
                break;

            // Whatever became of the transfer: it has what the log goes on behind.
            case ProgressState.Snapshot when _log.TermAt(peer.MatchIndex) is not null:
                peer.StartPipeline(peer.MatchIndex.Next);
                break;
        }
    }

    private void OnProgress(Progress peer)
    {
        if (peer.CanVote)
            AdvanceCommitIndex();
        ReviewRound(peer, isTick: false);
        ContinueTransfer(peer);
    }

    /// <summary>
    /// What was acknowledged is durable, and an older rejection comes of an older or the same start. So a rejection of a
    /// later start from below what was acknowledged says that the disk lost what it held. What only a snapshot's answer
    /// vouches for proves nothing: no start belongs to it, and a late rejection of before it is none of a later start. Rule 13
    /// </summary>
    private bool HasLostData(Progress peer, long start, AppendRejection rejection)
    {
        if (start <= peer.AcknowledgedStart || rejection.LastIndex >= peer.AcknowledgedIndex)
            return false;
        if (!peer.HasLostData)
            _lostData.Add(peer.Id);
        peer.HasLostData = true;
        return true;
    }

    /// <summary>Goes back to where the logs can meet, a whole term at a time. PhD 3.5</summary>
    private void OnRejection(Progress peer, AppendRejection rejection)
    {
        // Stale: it was overtaken by an acknowledgement, or answers an earlier probe.
        LogIndex previous = rejection.PreviousIndex;
        bool isStale = previous <= peer.MatchIndex
            || previous >= peer.NextIndex
            || (peer.State == ProgressState.Probe && previous != peer.NextIndex.Previous)
            || peer.State == ProgressState.Snapshot;
        if (isStale)
            return;

        LogIndex next = rejection.LastIndex.Next;
        if (rejection.ConflictTerm is { } conflict)
        {
            // Above our last entry of at most that term ours are newer, and below the first of that term theirs are
            // older: only what lies at or below both can match.
            LogIndex ours = _log.LastIndexWithTermAtMost(conflict, LogIndex.Min(previous.Previous, rejection.LastIndex));
            next = _log.TermAt(ours) == conflict ? ours.Next : LogIndex.Min(ours.Next, rejection.ConflictFirstIndex);
        }

        next = LogIndex.Max(LogIndex.Min(next, previous), peer.MatchIndex.Next);
        peer.StartProbing(next);
        _isReplicationDue = true;
    }

    /// <summary>Leader: moves the commit index as far as the durable logs of a quorum allow.</summary>
    private void AdvanceCommitIndex()
    {
        Invariant.Holds(_role == Role.Leader);
        LogIndex candidate = _tracker!.IndexOnQuorum(); // a leader has a tracker; while joint, the lower of two. PhD 4.3
        Invariant.Holds(candidate <= _log.LastIndex);

        // An entry of an older term can sit on a majority and still be overwritten. Counting starts at an entry of
        // our own term, and that one commits all before it. PhD 3.6.2
        if (candidate <= _commitIndex || _log.TermAt(candidate) != _term)
            return;

        SetCommitIndex(candidate);
        _isReplicationDue = true; // peers that wait are told, reads that waited for the first commit start
        OnLeaderCommitted();
    }
}

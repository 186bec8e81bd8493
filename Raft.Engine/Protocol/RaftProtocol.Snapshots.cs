namespace Raft.Engine.Protocol;

// Snapshots: taken here, sent to a peer that is too far behind, installed. PhD 5; rule 6.
public sealed partial class RaftProtocol
{
    /// <summary>The newest snapshot in force here; perhaps still on its way to the disk.</summary>
    public SnapshotDescriptor? Snapshot { get; private set; }

    /// <summary>What a snapshot of the state as of <paramref name="index"/> (applied here) must say beside the state: the term of the
    /// entry there, not the current one, and the configuration that was in force there.</summary>
    public (Term Term, Configuration Configuration, LogIndex ConfigurationIndex) DescribeSnapshot(LogIndex index)
    {
        Invariant.Holds(index <= ApplyBound);
        Invariant.Holds(Snapshot is null || index >= Snapshot.Index); // of what came before nothing more is known
        Term? term = index == Snapshot?.Index ? Snapshot.Term : _log.TermAt(index);
        Invariant.Holds(term is not null);
        (LogIndex configurationIndex, Configuration configuration) = _configurations[LastConfigurationAtMost(index)];
        return (term!.Value, configuration, configurationIndex); // checked above
    }

    /// <summary>A snapshot of our own state is whole and synced: it comes into force with the next batch, and the log before it
    /// goes but for the trailing entries. An older one than what is in force changes nothing.</summary>
    public void OnSnapshotTaken(SnapshotDescriptor descriptor)
    {
        if (descriptor.Index <= Snapshot?.Index)
            return;

        // It covers nothing that this disk does not hold, or that could still be overwritten. Rule 2
        Invariant.Holds(descriptor.Index <= ApplyBound);
        Invariant.Holds(_log.TermAt(descriptor.Index) == descriptor.Term);
        PutInForce(descriptor);
        CompactThrough(TrailingMark(descriptor.Index));
    }

    /// <summary>A chunk of a leader's snapshot came: may it be received? It counts as a message of that leader.</summary>
    public SnapshotVerdict JudgeSnapshot(ServerId from, long senderStart, Term term, LogIndex commitIndex, SnapshotDescriptor descriptor)
    {
        if (term < _term || from == _self)
            return SnapshotVerdict.Refused;
        if (term > _term)
            BecomeFollower(term);
        if (_role == Role.Leader || !MakeLeaderKnown(from, senderStart))
            return SnapshotVerdict.Refused; // nobody else leads our term

        FollowCommit(commitIndex);
        return descriptor.Index <= _commitIndex ? SnapshotVerdict.NotNeeded : SnapshotVerdict.Wanted;
    }

    /// <summary>A leader's snapshot is whole and synced here, under our own <see cref="SnapshotDescriptor.SnapshotId"/>. False when it
    /// is not wanted any more: another term, or all that it covers is committed. Else it comes into force with the next
    /// batch, is loaded (<see cref="OutputBatch.SnapshotToLoad"/>) when that is durable, and the answer follows
    /// <see cref="OnApplied"/>.</summary>
    public bool InstallSnapshot(ServerId from, Term term, SnapshotDescriptor descriptor)
    {
        if (term != _term || _role != Role.Follower || (_leader is { } leader && leader != from) || descriptor.Index <= _commitIndex)
            return false;

        PutInForce(descriptor);
        if (_log.TermAt(descriptor.Index) == descriptor.Term)
        {
            // The log has all that the snapshot covers, so what follows is the leader's too, or may be: it stays, and with it
            // what was acknowledged. Rule 6, PhD 5.3
            SetCommitIndex(descriptor.Index);
            CompactThrough(TrailingMark(descriptor.Index));
        }
        else
        {
            ResetLogTo(descriptor);
        }

        _matchedIndex = LogIndex.Max(_matchedIndex, descriptor.Index);
        _handedToApply = descriptor.Index;
        _readToApply.Clear();
        _isApplyReading = false;
        _snapshotToLoad = descriptor;
        _snapshotBatch = _batchNumber + 1; // the next poll's
        return true;
    }

    /// <summary>A transfer that <see cref="OutputBatch.SnapshotsToSend"/> asked for has ended: installed there with everything up to
    /// <paramref name="matchIndex"/>, or (null) not. In the second case it is asked for again after a tick, if it is still needed.</summary>
    public void OnSnapshotSent(ServerId peer, Term term, LogIndex? matchIndex)
    {
        if (_role != Role.Leader || term != _term || _tracker!.Find(peer) is not { } progress) // a leader has a tracker
            return;

        progress.IsSnapshotUnderWay = false;
        if (matchIndex is not { } match || match > _log.LastIndex)
        {
            progress.IsSnapshotBlocked = true;
            return;
        }

        progress.HasAcknowledged = true;
        bool isProgress = progress.Acknowledge(match);
        if (progress.State == ProgressState.Snapshot)
            progress.StartProbing(progress.MatchIndex.Next); // which asks for a newer one, if that is compacted too
        _isReplicationDue = true;
        if (isProgress)
            OnProgress(progress);
    }

    /// <summary>The log does not match: what it holds above is not the leader's, and below the snapshot says all.</summary>
    private void ResetLogTo(SnapshotDescriptor descriptor)
    {
        // Whoever acknowledged an entry of this term has the leader's log up to there. Had that reached the snapshot's index,
        // the log would match; so nothing acknowledged goes that the snapshot does not cover.
        Invariant.Holds(_matchedIndex < descriptor.Index);
        ForgetOnDisk(_log.FirstIndex);
        _log.ResetTo(descriptor.Index, descriptor.Term, descriptor.TimeMs);
        _handedIndex = descriptor.Index;
        _deleteThrough = descriptor.Index;
        _isResetDue = true;
        _configurations.Clear();
        _configurations.Add((descriptor.ConfigurationIndex, descriptor.Configuration));
        _commitIndex = descriptor.Index;
        OnConfigurationInForce();
    }

    private void PutInForce(SnapshotDescriptor descriptor)
    {
        Snapshot = descriptor;
        _isSnapshotDue = true;
    }

    private void CompactThrough(LogIndex mark)
    {
        // What is still on its way to the disk goes with a later snapshot.
        mark = LogIndex.Min(mark, ApplyBound);
        if (mark < _log.FirstIndex)
            return;
        _deleteThrough = mark;
        _log.CompactThrough(mark);

        // The one in force at the snapshot stays: later ones may be truncated.
        int needed = LastConfigurationAtMost(Snapshot!.Index); // the caller has put one in force
        _configurations.RemoveRange(0, needed);
    }

    private int LastConfigurationAtMost(LogIndex index)
    {
        int found = _configurations.Count - 1;
        while (found > 0 && _configurations[found].Index > index)
            found--;
        return found;
    }

    /// <summary>Below a snapshot some entries stay, so that a peer which lags a little needs no snapshot.</summary>
    private LogIndex TrailingMark(LogIndex snapshotIndex)
    {
        LogIndex mark = snapshotIndex;
        long bytes = 0;
        while (mark >= _log.FirstIndex && mark >= _log.FirstInMemory && snapshotIndex - mark < _settings.SnapshotTrailingEntries)
        {
            bytes += _log[mark].CostBytes;
            if (bytes > _settings.SnapshotTrailingBytes)
                break;
            mark = mark.Previous;
        }

        return mark;
    }

    /// <summary>Leader: the log no longer holds what this peer needs.</summary>
    private void ReplicateSnapshot(Progress peer)
    {
        // Nothing of the log can be said to it, so its heartbeat leans on the index that every log has.
        if (peer.IsEmptyAppendDue)
        {
            peer.IsEmptyAppendDue = false;
            peer.IsAnswerDue = true;
            SendAtOnce(new AppendRequest(_self, peer.Id, _term, LogIndex.Zero, Term.Zero, _commitIndex, []));
        }

        if (peer.IsSnapshotUnderWay || peer.IsSnapshotBlocked || !_liveness.IsAlive(peer.Id) || peer.DepartingTicks > 0)
            return;

        Invariant.Holds(Snapshot is not null);
        peer.IsSnapshotUnderWay = true;
        _snapshotsToSend.Add(new SnapshotToSend(peer.Id, _term, Snapshot!)); // checked above
    }
}

/// <summary>What is to be done with a snapshot that a leader sends.</summary>
public enum SnapshotVerdict : byte
{
    /// <summary>Receive it.</summary>
    Wanted = 1,

    /// <summary>All that it covers is committed here already: answer Installed with the commit index.</summary>
    NotNeeded = 2,

    /// <summary>The sender does not lead (any more): answer Refused with our term.</summary>
    Refused = 3,
}

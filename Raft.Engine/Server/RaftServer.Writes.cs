using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// AddEntryAsync: where a write goes, and how it ends. Rules 7 and 11.
public sealed partial class RaftServer
{
    /// <summary>So many replies may send a write elsewhere within one tick; then it waits for the next.</summary>
    private const int DetoursMax = 3;

    internal void Begin(LocalWrite write)
    {
        if (!TryBegin(write))
            return;

        write.ForwardDeadline = DeadlineAfter(Settings.ForwardTimeout);
        if (write.Command.Length > Settings.MaxCommandBytes)
            EndFailed(write, new CommandTooBigException(write.Command.Length, Settings.MaxCommandBytes));
        else
            Route(write);
    }

    /// <summary>Into our own log, to the leader, or to wait until one is known.</summary>
    internal void Route(LocalWrite write)
    {
        if (write.HasEnded)
            return;

        if (_protocol.Role == Role.Leader)
            Admit(write);
        else if (!Settings.ForwardCalls)
            EndFailed(write, new NotLeaderException(_protocol.Leader));
        else if (_protocol.Leader is { } leader && leader != Id)
            ForwardUnlessRefused(write, leader);
        else
            Park(write);
    }

    /// <summary>The result is needed here as well: what this node has no memory for is refused before it travels.</summary>
    private void ForwardUnlessRefused(LocalWrite write, ServerId leader)
    {
        if (write.Kind == EntryKind.Command && _gate?.Check(write.Command) is { } refusal)
            write.Refuse(refusal);
        else
            Forward(write, leader);
    }

    /// <summary>Until a leader is known, or the next tick.</summary>
    private void Park(LocalWrite write)
    {
        if (_protocol.Leader is null && IsOutside)
            EndFailed(write, OutsideError());
        else
            _parkedWrites.Add(write);
    }

    private void Admit(IAppend append)
    {
        if (_admission.Peek() is null && TryAppend(append))
            return;

        append.WaitsSince = _shard.Time.GetTimestamp();
        _admission.Wait(append);
        if (append is RemoteWrite remote)
            _waitingRemoteWrites.Add(remote);
        _metrics.OnAdmissionWait();
    }

    /// <summary>True when it needs no more waiting here: it is in the log, was sent elsewhere, or is refused.</summary>
    private bool TryAppend(IAppend append)
    {
        if (_protocol.Role != Role.Leader)
        {
            append.NotLeader();
            return true;
        }

        if (append.Kind == EntryKind.Command)
        {
            if (RefusalOf(append, out bool mustWait) is { } refusal)
            {
                append.Refuse(refusal);
                return true;
            }

            if (mustWait)
                return false;
        }

        // While leadership is handed over writers wait for how it ends (rule 10); while the disk hangs, for the disk.
        int bytes = append.Command.Length + Entry.OverheadBytes;
        if (!TryGetEntryTime(out long timeMs))
            return false;           // a moment after an election: the clocks that must confirm it are heard by the next tick
        if (_protocol.IsTransferring || IsDiskQueueFull || !_admission.TryReserve(bytes))
            return false;

        _isInProtocol = true;
        EntryId? appended = _protocol.AddEntry(append.Kind, append.Command, timeMs);
        if (appended is not { } entry)
        {
            _isInProtocol = false;
            _admission.Unreserve(bytes);
            return false;
        }

        _clock.Stamped(timeMs);
        _admission.Appended(entry, bytes);
        _isInProtocol = false;
        _metrics.OnAppended(append.WaitsSince);
        append.Appended(entry);
        SchedulePoll();
        return true;
    }

    /// <param name="append">A command, on the leader.</param>
    /// <param name="mustWait">What earlier leaders appended is not applied yet, and the gate cannot decide without it.</param>
    private CommandRefusal? RefusalOf(IAppend append, out bool mustWait)
    {
        mustWait = false;
        if (CommandStop is { } reason && !(LetsDeletionsPass && _stateMachine.MakesRoom(append.Command.Span)))
            return new CommandRefusal(CallRefusal.OutOfSpace, reason);
        if (_gate is null)
            return null;

        if (_caughtUpInTerm != _protocol.CurrentTerm)
        {
            // An applied entry of our own term: everything of earlier ones is applied too.
            if (_protocol.TermAt(_appliedIndex) == _protocol.CurrentTerm)
                _caughtUpInTerm = _protocol.CurrentTerm;
            else
                mustWait = _waitsForApplied = !_gate.CanDecide(_protocol.LastIndex - _appliedIndex);
        }

        return mustWait ? null : _gate.Check(append.Command);
    }

    private void AdmitWaiting()
    {
        while (_admission.Peek() is { } next)
        {
            try
            {
                if (!TryAppend(next))
                    return;
            }
            catch (Exception error)
            {
                OnCallFailed(next, error);
                if (_stopReason is not null)
                    return;
            }

            _admission.Dequeue();
            if (next is RemoteWrite remote)
                _waitingRemoteWrites.Remove(remote);
        }
    }

    /// <summary>The stamp of the next entry, the same for all of a batch.</summary>
    private bool TryGetEntryTime(out long timeMs)
    {
        timeMs = _entryTimeMs;
        if (timeMs != 0)
            return true;

        ReviewClock();
        if (!_clock.TryNext(out timeMs))
            return false;
        _entryTimeMs = timeMs;
        return true;
    }

    /// <summary>Whether the clock of this server says what the others confirm.</summary>
    private void ReviewClock()
    {
        _clock.OffsetMs = ClockOffsetMs;
        _clock.Observe(_protocol.LastTimeMs);
        if (_protocol.Role != Role.Leader)
            _clock.Rest();
        else if (_clock.IsReviewDue(_protocol.CurrentTerm) && _clock.Review(_protocol.CurrentTerm, Configuration, Id, _liveness))
        {
            _metrics.OnClockLeapRefused();
            _logger.ClockLeapRefused(GroupId, _clock.RefusedMs / 1000.0);
        }

        Volatile.Write(ref _clockRefusedMs, _clock.RefusedMs);
        Volatile.Write(ref _clockAheadMs, _clock.AheadMs);
        Volatile.Write(ref _wantedClockOffsetMs, _clock.AheadMs == 0 ? 0 : _clock.OffsetMs + _clock.AheadMs);
    }

    internal void OnOwnAppended(LocalWrite write, EntryId entry)
    {
        write.IsSubmitted = true;
        write.ReleaseCommand();
        AwaitEntry(write, entry);
    }

    private void Forward(LocalWrite write, ServerId leader)
    {
        write.IsSubmitted = true;
        _forwardedWrites++;
        _ = ForwardAsync(write, leader);
    }

    private async Task ForwardAsync(LocalWrite write, ServerId leader)
    {
        LeaderReply? reply = null;
        Exception? failure = null;
        try
        {
            var call = new AddEntryCall(write.Command, MillisecondsUntil(write.ForwardDeadline)) { Kind = write.Kind };
            reply = await _rpc.CallAsync(leader, call, write.Token);
        }
        catch (Exception error)
        {
            failure = error;    // nothing but DestinationNotAlive proves that it was not sent
        }

        _forwardedWrites--;
        try
        {
            if (!write.HasEnded)
                OnForwardReply(write, leader, reply, failure);
        }
        catch (Exception error)
        {
            OnCallFailed(write, error);
        }

        if (_forwardedWrites == 0)
            _recentResults.Clear();     // no reply is missing any more
    }

    private void OnForwardReply(LocalWrite write, ServerId leader, LeaderReply? reply, Exception? failure)
    {
        switch (reply)
        {
            case EntryAddedReply added:
                write.ReleaseCommand();
                AwaitEntry(write, added.Entry);
                break;

            case NotLeaderReply other:
                write.IsSubmitted = false;
                RouteAgain(write, asked: leader, other.Leader);
                break;

            case CallRefusedReply { Reason: CallRefusal.Overloaded } refused:
                EndFailed(write, new OverloadedException(refused.Detail));
                break;

            case CallRefusedReply { Reason: CallRefusal.TimedOut } refused:
                EndFailed(write, new RaftTimeoutException(refused.Detail));
                break;

            case CallRefusedReply { Reason: CallRefusal.OutOfSpace or CallRefusal.OutOfMemoryBudget } refused:
                EndRefused(write, refused.Reason, refused.Detail);
                break;

            case CallRefusedReply { Reason: CallRefusal.TooBig }:
                EndFailed(write, new CommandTooBigException(write.Command.Length, Settings.MaxCommandBytes));
                break;

            case CallRefusedReply { Reason: CallRefusal.NotMember } refused:
                EndFailed(write, new NotMemberException(refused.Detail));
                break;

            case CallRefusedReply:
                write.IsSubmitted = false;
                Park(write);                    // it stops: another will lead
                break;

            case CallFailedReply failed:
                EndUnknown(write, failed.Detail, failure);
                break;

            case null when failure is RaftException { Outcome: WriteOutcome.NotSubmitted }:
                write.IsSubmitted = false;
                Park(write);                    // never sent
                break;

            default:
                EndUnknown(write, $"The connection to the leader {leader.Node} failed after the entry was sent: it may or may not be committed.", failure);
                break;
        }
    }

    /// <summary>Nothing was submitted there. Our own knowledge is newer than the reply when it names somebody else.</summary>
    private void RouteAgain(LocalWrite write, ServerId asked, ServerId? named)
    {
        bool knowsBetter = _protocol.Role == Role.Leader || (_protocol.Leader is { } own && own != asked);
        if (++write.Detours > DetoursMax)
            Park(write);
        else if (knowsBetter)
            Route(write);
        else if (named is { } leader && leader != asked && leader != Id)
            ForwardUnlessRefused(write, leader);
        else
            Park(write);
    }

    /// <summary>The leader has it at this index in this term; our own log decides what became of it.</summary>
    private void AwaitEntry(LocalWrite write, EntryId entry)
    {
        write.Entry = entry;
        if (entry.Index <= _committedKnown)
            OnOwnCommitted(write);      // the appends overtook the reply
        else if (entry.Term < _committedTerm)
            EndDropped(write);
        else if (_isRemoved)
            EndUnknown(write, RemovedMeanwhile, error: null);
        else
            _waiters.AddCommitted(write);
    }

    private void OnCommitted(LogIndex commitIndex)
    {
        _committedKnown = commitIndex;
        _metrics.OnCommitted(commitIndex);
        while (_waiters.TakeCommitted(commitIndex) is { } write)
            OnOwnCommitted(write);

        // Terms never fall along a log. A committed entry of a later term below a waiter's index is thus in no log that
        // holds the waiter's entry, and in every log that will ever commit: that is the proof. Rule 11
        if (_protocol.TermAt(commitIndex) is { } term && term > _committedTerm)
        {
            _committedTerm = term;
            foreach (LocalWrite write in _waiters.TakeCommittedOfTermsBelow(term))
                EndDropped(write);
            RetryChanges();         // a new leader knows now whether another change is under way
        }

        ReviewMembership();
    }

    /// <summary>What became of an entry at or below the commit index that was once appended there.</summary>
    /// <remarks>
    /// Where the log tells the term, it decides: no two entries share index and term. Below the log the nearest entry above
    /// that is known decides, the one before the log or the newest snapshot's last one; call it (j, T), committed, j at or
    /// above the entry (i, t). Terms never fall along a log, so the committed entry at i is of a term up to T.
    /// t above T: it is another one: dropped, with proof.
    /// t equal to T: the one leader of T made both, and only appends. When it made (j, T) its log held (i, t), and every log
    /// that holds (j, T) is the same up to j (log matching, PhD 3.5): so the committed one is ours, although we never saw it.
    /// t below T: it may be ours, or one of a later leader: unknown. Rule 11.
    /// </remarks>
    private EntryFate FateOf(EntryId entry)
    {
        Invariant.Holds(entry.Index <= _committedKnown);
        if (_protocol.TermAt(entry.Index) is { } term)
            return term == entry.Term ? EntryFate.Committed : EntryFate.Dropped;
        if ((_protocol.TermAt(_protocol.FirstIndex.Previous) ?? _protocol.Snapshot?.Term) is not { } above || above > entry.Term)
            return EntryFate.Unknown;
        return above == entry.Term ? EntryFate.Committed : EntryFate.Dropped;
    }

    private enum EntryFate : byte
    {
        Unknown = 0,
        Committed = 1,
        Dropped = 2,
    }

    private void EndDropped(LocalWrite write)
    {
        if (write.HasEnded)
            return;

        _metrics.OnDropped();
        EndFailed(write, new DroppedEntryException(write.Entry));
    }

    private void OnOwnCommitted(LocalWrite write)
    {
        if (write.HasEnded)
            return;

        EntryFate fate = FateOf(write.Entry);
        if (fate == EntryFate.Unknown)
        {
            EndUnknown(write, "A snapshot took the place of the log at its index, and does not tell which entry was committed there: it may or may not be committed.", error: null);
        }
        else if (fate == EntryFate.Dropped)
        {
            EndDropped(write);
        }
        else if (write.Wait == WaitFor.Committed)
        {
            EndSuccess(write, result: null);
        }
        else if (write.Entry.Index > _appliedIndex)
        {
            _waiters.AddApplied(write);
        }
        else if (_recentResults.TryGet(write.Entry.Index, out object? result))
        {
            EndSuccess(write, result);
        }
        else
        {
            EndSuccess(write, result: null, isResultLost: true);    // applied long before the leader's reply came, or loaded
        }
    }

    private void EndSuccess(LocalWrite write, object? result, bool isResultLost = false)
    {
        if (write.HasEnded)
            return;

        Forget(write);
        write.TrySetResult(new AddedEntry(write.Entry.Index, write.Entry.Term, result) { IsResultLost = isResultLost });
    }

    internal void EndFailed(LocalWrite write, RaftException error)
    {
        if (write.HasEnded)
            return;

        Forget(write);
        write.ReleaseCommand();
        write.TrySetException(error);
    }

    internal void EndUnknown(LocalWrite write, string detail, Exception? error)
    {
        if (write.HasEnded)
            return;

        _metrics.OnUnknown();
        EndFailed(write, new CommitStatusUnknownException(detail, error));
    }

    internal void EndRefused(LocalWrite write, CallRefusal reason, string detail) => EndFailed(
        write, reason == CallRefusal.OutOfMemoryBudget ? new OutOfMemoryBudgetException(detail) : new OutOfSpaceException(detail));

    internal void EndUnsubmitted(LocalWrite write)
    {
        if (write.HasEnded)
            return;

        EndFailed(write, write.WaitsSince != 0 && LacksRoom
            ? new OverloadedException(DescribeLoad())
            : new RaftTimeoutException("The time was up before the entry was submitted. " + DescribeQuorum()));
    }

    /// <summary>What writers in admission wait for: room, and neither a quorum nor the end of a transfer.</summary>
    private bool LacksRoom => _protocol is { Role: Role.Leader, IsTransferring: false } && DescribeQuorum().Length == 0;

    private string DescribeLoad() =>
        $"The leader had no room for the entry until the time was up: {_admission.ChargedBytes} bytes are appended and not yet applied, and {_admission.WaitingCount} writers wait.";

    internal CallRefusedReply ExpiredReply() => LacksRoom
        ? new CallRefusedReply(CallRefusal.Overloaded, DescribeLoad())
        : new CallRefusedReply(CallRefusal.TimedOut, "The leader could not take the entry until the deadline. " + DescribeQuorum());

    private void ExpireWaiting(long now)
    {
        if (_admission.WaitingCount > 0)
        {
            _admission.ExpireWaiting(now);
            _waitingRemoteWrites.RemoveWhere(static write => write.HasEnded);
        }

        ExpireReads(now);
        ExpireChanges(now);
    }

    private void RetryParked()
    {
        if (_parkedWrites.Count > 0)
        {
            List<LocalWrite> parked = _parkedWrites;
            _parkedWrites = [];
            foreach (LocalWrite write in parked)
            {
                write.Detours = 0;
                Guard(write, static (server, one) => server.Route(one));
            }
        }

        RetryParkedReads();
        RetryChanges();
    }
}

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// Changes of members, ours and forwarded ones, and what it means to be removed. Rule 8.
public sealed partial class RaftServer
{
    private const string RemovedMeanwhile =
        "This server was removed from the group and hears no more of it: the entry may or may not be committed.";

    internal void Begin(LocalChange change)
    {
        if (!TryBegin(change))
            return;

        _changes.Add(change);
        Route(change);
    }

    private void Route(LocalChange change)
    {
        change.IsParked = false;
        if (_protocol.Role == Role.Leader)
            Propose(change);
        else if (!Settings.ForwardCalls)
            EndFailed(change, new NotLeaderException(_protocol.Leader));
        else if (_protocol.Leader is { } leader && leader != Id)
            Forward(change, leader);
        else
            Park(change);
    }

    private void Park(LocalChange change)
    {
        if (_protocol.Leader is not null || !IsOutside)
            change.IsParked = true;
        else if (IsOwnRemoval(change.Change))
            End(change, _protocol.ConfigurationIndex);
        else
            EndFailed(change, OutsideError());
    }

    private void Propose(LocalChange change)
    {
        ChangeResult result = ProposeChange(change.Change);
        SchedulePoll();
        switch (result.Outcome)
        {
            case ChangeOutcome.Appended:
                change.Entry = result.Entry;
                Review(change);
                break;
            case ChangeOutcome.NothingToDo:
                change.Entry = ConfigurationEntry();
                Review(change);
                break;
            case ChangeOutcome.InProgress when IsNewLeader:
                Park(change);
                break;
            case ChangeOutcome.InProgress:
                EndFailed(change, new ConfigurationChangeInProgressException(result.Detail));
                break;
            case ChangeOutcome.Invalid:
                EndFailed(change, new InvalidConfigurationException(result.Detail));
                break;
            case ChangeOutcome.Moved:
                EndFailed(change, new ConfigurationMovedException(result.Detail));
                break;
            default:
                Park(change);       // another leads, or soon will
                break;
        }
    }

    private ChangeResult ProposeChange(MembershipChange change)
    {
        _isInProtocol = true;
        ChangeResult result = _protocol.ProposeChange(change, _protocol.LastTimeMs);
        _isInProtocol = false;
        return result;
    }

    /// <summary>A leader does not know what is committed before its first entry is: until then a change that was done long ago
    /// looks like one that is under way.</summary>
    private bool IsNewLeader => _protocol.TermAt(_protocol.CommitIndex) != _protocol.CurrentTerm;

    /// <summary>The configuration in force, as what a change that has nothing to do waits for: an earlier attempt may have
    /// appended it just now. Of term zero when it is committed, because the log may not tell its term any more.</summary>
    private EntryId ConfigurationEntry()
    {
        LogIndex index = _protocol.ConfigurationIndex;
        return new EntryId(index, index <= _protocol.CommitIndex ? Term.Zero : _protocol.TermAt(index) ?? Term.Zero);
    }

    private void Forward(LocalChange change, ServerId leader)
    {
        change.IsAsking = true;
        Watch(change, ForwardAsync(change, leader));
    }

    private async Task ForwardAsync(LocalChange change, ServerId leader)
    {
        LeaderReply? reply = null;
        Exception? failure = null;
        try
        {
            reply = await _rpc.CallAsync(leader, new ChangeMembersCall(change.Change, (int)Settings.ForwardTimeout.TotalMilliseconds), change.Token);
        }
        catch (Exception error)
        {
            failure = error;
        }

        change.IsAsking = false;
        if (change.HasEnded || _stopReason is not null)
            return;

        switch (reply)
        {
            case EntryAddedReply added:
                change.Entry = added.Entry;
                Review(change);
                if (!change.HasEnded && !change.IsCommitted && _isRemoved)
                    EndRemoved(change);
                break;
            case NotLeaderReply other:
                RouteAgain(change, asked: leader, other.Leader);
                break;
            case CallRefusedReply refused:
                OnRefused(change, refused);
                break;
            case null when failure is RaftException { Outcome: WriteOutcome.NotSubmitted }:
                Park(change);
                break;
            case CallFailedReply failed:
                EndFailed(change, new CommitStatusUnknownException(failed.Detail));     // not asked again: it may fail everywhere
                break;
            default:
                change.IsUncertain = true;      // asked again: what was done already is nothing to do then
                Park(change);
                break;
        }
    }

    private void OnRefused(LocalChange change, CallRefusedReply refused)
    {
        switch (refused.Reason)
        {
            case CallRefusal.InvalidConfiguration:
                EndFailed(change, new InvalidConfigurationException(refused.Detail));
                break;
            case CallRefusal.ChangeInProgress:
                EndFailed(change, new ConfigurationChangeInProgressException(refused.Detail));
                break;
            case CallRefusal.ConfigurationMoved:
                EndFailed(change, new ConfigurationMovedException(refused.Detail));
                break;
            case CallRefusal.TimedOut:
                EndFailed(change, new RaftTimeoutException(refused.Detail));
                break;
            case CallRefusal.NotMember when IsOwnRemoval(change.Change):
                End(change, _protocol.ConfigurationIndex);      // that is what was wanted
                break;
            case CallRefusal.NotMember:
                EndFailed(change, new NotMemberException(refused.Detail));
                break;
            default:
                Park(change);                                   // it stops: another will lead
                break;
        }
    }

    private void RouteAgain(LocalChange change, ServerId asked, ServerId? named)
    {
        bool knowsBetter = _protocol.Role == Role.Leader || (_protocol.Leader is { } own && own != asked);
        if (++change.Detours > DetoursMax)
            Park(change);
        else if (knowsBetter)
            Route(change);
        else if (named is { } leader && leader != asked && leader != Id)
            Forward(change, leader);
        else
            Park(change);
    }

    private void RetryChanges()
    {
        for (int i = _changes.Count - 1; i >= 0; i--)
        {
            LocalChange change = _changes[i];
            if (!change.IsParked)
                continue;
            change.Detours = 0;
            Guard(change, static (server, one) => server.Route(one));
        }

        for (int i = _waitingRemoteChanges.Count - 1; i >= 0; i--)
        {
            RemoteChange change = _waitingRemoteChanges[i];
            Guard(change, static (server, one) => server.TryPropose(one));
            if (change.HasEnded)
                _waitingRemoteChanges.RemoveAt(i);
        }
    }

    private void ReviewChanges()
    {
        for (int i = _changes.Count - 1; i >= 0; i--)
            Guard(_changes[i], static (server, one) => server.Review(one));
    }

    /// <summary>Looks whether the change has come as far as its caller waits for.</summary>
    private void Review(LocalChange change)
    {
        if (change.Entry is not { } entry)
            return;

        if (!change.IsCommitted)
        {
            EntryFate? fate = entry.Index > _committedKnown
                ? entry.Term != Term.Zero && entry.Term < _committedTerm ? EntryFate.Dropped : null
                : entry.Term == Term.Zero ? EntryFate.Committed : FateOf(entry);
            switch (fate)
            {
                case null:
                    return;
                case EntryFate.Committed:
                    change.IsCommitted = true;
                    break;
                default:
                    // Another leader's log took its place, or nobody can tell: asking again is safe. At the next tick, since
                    // who leads then may not be known yet.
                    change.IsUncertain |= fate == EntryFate.Unknown;
                    change.Entry = null;
                    Park(change);
                    return;
            }
        }

        if (!change.IsUntilSettled)
            End(change, entry.Index);
        else if (IsSettled(change.Change))
            EndSettled(change);
    }

    /// <summary>Nothing of the change is on its way any more: whether it came out as wanted is another question.</summary>
    private bool IsSettled(MembershipChange change)
    {
        Configuration now = _protocol.Configuration;
        return !now.IsJoint && now.Target.Count == 0 && _protocol.ConfigurationIndex <= _committedKnown
            && !now.Current.Any(member => member.Kind == MemberKind.Joining && (change.Set ?? change.Add).Any(wanted => wanted.Id == member.Id));
    }

    private void EndSettled(LocalChange change)
    {
        if (IsAsWanted(change.Change, _protocol.Configuration.Current))
            End(change, _protocol.ConfigurationIndex);
        else
            EndFailed(change, new CommitStatusUnknownException("The change was committed; before all of it was done another change took its place."));
    }

    private static bool IsAsWanted(MembershipChange change, IReadOnlyList<Member> current)
    {
        bool hasAll = (change.Set ?? change.Add).All(wanted => current.Any(member =>
            member.Id == wanted.Id && member.Kind == (wanted.Kind == MemberKind.Learner ? MemberKind.Learner : MemberKind.Voter)));
        return hasAll && (change.Set is { } set
            ? current.Count == set.Count
            : !current.Any(member => Removes(change, member.Id) && !change.Add.Any(added => added.Id == member.Id)));
    }

    private static bool Removes(MembershipChange change, ServerId server) =>
        change.Remove.Any(removed => MembershipRules.Names(removed, server));

    private bool IsOwnRemoval(MembershipChange change) => change.Set is { } set
        ? !set.Any(member => member.Id == Id)
        : Removes(change, Id) || change.Add.Any(member => member.Node == Id.Node && member.Id != Id);

    private void End(LocalChange change, LogIndex index)
    {
        Forget(change);
        _changes.Remove(change);
        change.TrySetResult(index);
    }

    internal void EndFailed(LocalChange change, RaftException error)
    {
        if (change.IsUncertain && error.Outcome == WriteOutcome.NotSubmitted)
            error = new CommitStatusUnknownException("An earlier attempt may have succeeded, and a later one was refused: " + error.Message, error);
        Forget(change);
        _changes.Remove(change);
        change.TrySetException(error);
    }

    internal void CancelChange(LocalChange change)
    {
        if (change.HasEnded)
            return;

        if (change.IsCommitted)
            EndFailed(change, new RaftTimeoutException("The change is committed and goes on by itself; not all of it was done in time.", WriteOutcome.Unknown));
        else if (change.IsUncertain || change.IsAsking || change.Entry is not null)
            EndFailed(change, new CommitStatusUnknownException("The caller's time was up before the change was known to be committed: it may or may not happen. Asking again is safe."));
        else
            EndFailed(change, new RaftTimeoutException("The time was up before the change was submitted. " + DescribeQuorum()));
    }

    internal void Begin(RemoteChange change)
    {
        if (!TryBegin(change))
            return;

        TryPropose(change);
        if (!change.HasEnded)
            _waitingRemoteChanges.Add(change);
    }

    /// <summary>Answers it; but not while leadership is being handed over, or was just taken over: it is tried again when that is settled.</summary>
    private void TryPropose(RemoteChange change)
    {
        if (_protocol.Role == Role.Leader && !_protocol.Configuration.Contains(change.From))
        {
            change.Answer(NotMemberReply(change.From));
            return;
        }

        ChangeResult result = _protocol.Role == Role.Leader
            ? ProposeChange(change.Change)
            : new ChangeResult(ChangeOutcome.NotLeader, default, "");
        if (result.Outcome == ChangeOutcome.Transferring || (result.Outcome == ChangeOutcome.InProgress && IsNewLeader))
            return;

        SchedulePoll();
        change.Answer(result.Outcome switch
        {
            ChangeOutcome.Appended => Waits(result.Entry),
            ChangeOutcome.NothingToDo => Waits(ConfigurationEntry()),
            ChangeOutcome.InProgress => new CallRefusedReply(CallRefusal.ChangeInProgress, result.Detail),
            ChangeOutcome.Invalid => new CallRefusedReply(CallRefusal.InvalidConfiguration, result.Detail),
            ChangeOutcome.Moved => new CallRefusedReply(CallRefusal.ConfigurationMoved, result.Detail),
            _ => NotLeaderReply(),
        });

        EntryAddedReply Waits(EntryId entry)
        {
            _protocol.OnPeerWaits(change.From, entry.Index);
            return new EntryAddedReply(entry);
        }
    }

    private void ExpireChanges(long now)
    {
        for (int i = _waitingRemoteChanges.Count - 1; i >= 0; i--)
        {
            if (now <= _waitingRemoteChanges[i].Deadline)
                continue;
            _waitingRemoteChanges[i].Answer(ExpiredReply());
            _waitingRemoteChanges.RemoveAt(i);
        }
    }

    private void OnMembershipInForce(Configuration configuration)
    {
        _isMember = configuration.Contains(Id);
    }

    /// <summary>Whoever asks here while no leader is known cannot be helped: nobody will tell this server of one.</summary>
    /// <remarks>A server without any configuration is new and may still be taken in; one whose removal is not committed may
    /// see it undone.</remarks>
    private bool IsOutside => _protocol.Standing is Standing.Outside or Standing.Removed;

    private static NotMemberException OutsideError() =>
        new("This server is no member of the group, as far as it knows; nothing was submitted: ask a member.");

    /// <summary>After the commit index, the configuration or the role has changed, and at each tick.</summary>
    private void ReviewMembership()
    {
        if (_changes.Count > 0)
            ReviewChanges();

        // A server that catches up with a log older than itself was never a member before: that is no removal. And a leader
        // that is removed still leads until it has handed over.
        // And what it committed with that is told to its callers first.
        bool isRemoved = _protocol.Standing == Standing.Removed && _protocol.Role != Role.Leader
            && (_isRemoved || _protocol.CommitIndex <= _committedKnown);
        bool isNews = isRemoved && !_isRemoved;
        _isRemoved = isRemoved;         // no more, when the change was undone or it was added again
        if (!isNews)
            return;

        _logger.Removed(GroupId, _protocol.ConfigurationIndex);
        EndAllRemoved();
    }

    /// <summary>Nothing comes here any more, so nobody may wait for it.</summary>
    private void EndAllRemoved()
    {
        while (_waiters.TakeAnyCommitted() is { } write)
            EndUnknown(write, RemovedMeanwhile, error: null);
        foreach (LocalRead read in _waiters.TakeReadsAbove(_committedKnown))
            End(read, OutsideError());
        for (int i = _changes.Count - 1; i >= 0; i--)
            EndRemoved(_changes[i]);

        if (_protocol.Leader is not null)
            return;     // whoever is parked asks that leader once more, and hears it from there

        foreach (StateWaiter waiter in (StateWaiter[])[.. _stateWaiters])
        {
            if (waiter.UntilLeader)
                End(waiter, OutsideError());
        }

        RetryParked();
    }

    private void EndRemoved(LocalChange change)
    {
        if (IsOwnRemoval(change.Change))
            End(change, _protocol.ConfigurationIndex);
        else if (change.IsCommitted)
            EndFailed(change, new RaftTimeoutException("The change is committed; this server was removed before all of it was done.", WriteOutcome.Unknown));
        else if (change.Entry is not null)
            EndFailed(change, new CommitStatusUnknownException("This server was removed from the group before the change was known to be committed: it may or may not happen."));
    }
}

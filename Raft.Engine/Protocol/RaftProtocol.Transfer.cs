namespace Raft.Engine.Protocol;

// Handing leadership over. PhD 3.10; rule 10.
public sealed partial class RaftProtocol
{
    /// <summary>Whether leadership is being handed over: nothing is appended meanwhile.</summary>
    public bool IsTransferring => _transferTarget is not null;

    /// <summary>Leader: hands over to the node named, or (null) to the most caught-up voter that is alive, of those that were asked in
    /// vain least often, within so many ticks; then, when nobody took over, it serves on (<see cref="IsTransferring"/> is false again).</summary>
    public TransferStart BeginTransfer(NodeId? target, int ticks)
    {
        if (_role != Role.Leader)
            return TransferStart.NotLeader;
        if (IsTransferring)
            return TransferStart.InProgress;

        if (target is { } node)
        {
            if (node == _self.Node)
                return TransferStart.Self;
            List<Member> named = [.. Configuration.Current.Where(member => member.Node == node)];
            if (named.Count == 0)
                return TransferStart.UnknownTarget;
            if (named.Find(member => member.Kind == MemberKind.Voter) is not { } voter)
                return TransferStart.NotVoter;
            if (!_liveness.IsAlive(voter.Id))
                return TransferStart.NotAlive;
            StartTransfer(_tracker!.Find(voter.Id)!, ticks); // a leader has a tracker, and it every member
            return TransferStart.Started;
        }

        if (MostCaughtUpVoter() is not { } chosen)
            return TransferStart.NoOtherVoter;
        StartTransfer(chosen, ticks);
        return TransferStart.Started;
    }

    /// <summary>For our own reasons (a slow disk, our removal): to whom it may be, within an election time-out.</summary>
    public bool BeginTransfer(ServerId? target) =>
        BeginTransfer(target?.Node, _settings.ElectionTicks) == TransferStart.Started;

    /// <summary>Who has all and does not take over, because its disk hangs or what it says does not arrive, must not be asked for
    /// ever while others are well: each failed attempt puts it behind those that have fewer.</summary>
    private Progress? MostCaughtUpVoter()
    {
        Progress? chosen = null;
        foreach (ServerId voter in MembershipRules.VotersOf(Configuration.Current))
        {
            if (voter == _self || !_liveness.IsAlive(voter))
                continue;
            Progress peer = _tracker!.Find(voter)!; // a leader has a tracker, and it every member
            bool isBetter = chosen is null || peer.FailedTransfers < chosen.FailedTransfers
                || (peer.FailedTransfers == chosen.FailedTransfers && peer.MatchIndex > chosen.MatchIndex);
            if (!peer.HasLostData && isBetter)
                chosen = peer;
        }

        return chosen;
    }

    private void StartTransfer(Progress target, int ticks)
    {
        _transferTarget = target.Id;
        _transferTicks = 0;
        _transferTicksMax = ticks;
        _isTimeoutNowSent = false;
        ContinueTransfer(target);
    }

    /// <summary>Asks the target to campaign as soon as it has everything: nothing is appended after that. PhD 3.10</summary>
    private void ContinueTransfer(Progress peer)
    {
        if (_transferTarget != peer.Id || _isTimeoutNowSent || peer.MatchIndex < _log.LastIndex || peer.HasLostData)
            return;
        _isTimeoutNowSent = true;
        peer.IsAnswerDue = true;
        SendAtOnce(new TimeoutNow(_self, peer.Id, _term));
    }

    private void TickTransfer()
    {
        if (_transferTarget is not { } target)
            return;

        _transferTicks++;
        bool isVoter = MembershipRules.VotersOf(Configuration.Current).Contains(target);
        Progress? peer = _tracker!.Find(target); // a leader has a tracker
        if (_transferTicks >= _transferTicksMax || !isVoter || peer is null)
        {
            _transferTarget = null;
            if (peer is not null)
                peer.FailedTransfers++;
            if (IsRemoved)
                _failedTransfers++;
            LeaveJointConfiguration(); // what had to wait
            return;
        }

        _isTimeoutNowSent = false; // it may have been lost
        ContinueTransfer(peer);
    }

    private void OnTimeoutNow()
    {
        if (MayCampaign && IsTermAndVoteDurable)
            StartElection(isTransfer: true);
    }
}

public enum TransferStart : byte
{
    Started = 1,
    NotLeader = 2,

    /// <summary>It is being handed over already.</summary>
    InProgress = 3,
    NoOtherVoter = 4,

    /// <summary>The configuration does not name the node.</summary>
    UnknownTarget = 5,

    /// <summary>The node is no voter.</summary>
    NotVoter = 6,

    /// <summary>The node is this leader.</summary>
    Self = 7,
    NotAlive = 8,
}

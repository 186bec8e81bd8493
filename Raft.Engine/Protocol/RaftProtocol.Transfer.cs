namespace Raft.Engine.Protocol;

// Handing leadership over. PhD 3.10; rule 10.
public sealed partial class RaftProtocol
{
    /// <summary>Whether leadership is being handed over: nothing is appended meanwhile.</summary>
    public bool IsTransferring => _transferTarget is not null;

    /// <summary>
    /// Leader: hands over to the named voter, or to the most caught-up one that is alive. False when this server does
    /// not lead, hands over already, or has nobody to hand over to. It ends with the election of the target, or after
    /// an election time-out: then this server serves on.
    /// </summary>
    public bool BeginTransfer(ServerId? target)
    {
        if (_role != Role.Leader || _transferTarget is not null)
            return false;

        Progress? chosen = null;
        foreach (Progress peer in _tracker!.Peers) // a leader has a tracker
        {
            bool isVoter = Configuration.Current.Any(member => member.Id == peer.Id && member.Kind == MemberKind.Voter);
            bool isEligible = isVoter && (target is null ? _liveness.IsAlive(peer.Id) : peer.Id == target);
            if (isEligible && (chosen is null || peer.MatchIndex > chosen.MatchIndex))
                chosen = peer;
        }

        if (chosen is null)
            return false;
        _transferTarget = chosen.Id;
        _transferTicks = 0;
        _isTimeoutNowSent = false;
        ContinueTransfer(chosen);
        return true;
    }

    /// <summary>Asks the target to campaign as soon as it has everything: nothing is appended after that. PhD 3.10</summary>
    private void ContinueTransfer(Progress peer)
    {
        if (_transferTarget != peer.Id || _isTimeoutNowSent || peer.MatchIndex < _log.LastIndex)
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
        if (_transferTicks >= _settings.ElectionTicks || _tracker!.Find(target) is not { } peer)
        {
            _transferTarget = null;
            LeaveJointConfiguration(); // what had to wait
            return;
        }

        _isTimeoutNowSent = false; // it may have been lost
        ContinueTransfer(peer);
    }

    private void OnTimeoutNow()
    {
        if (MayCampaign)
            StartElection(isTransfer: true);
    }
}

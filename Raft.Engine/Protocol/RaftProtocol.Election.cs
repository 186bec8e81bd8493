namespace Raft.Engine.Protocol;

// Time-outs, pre-vote, votes, and what makes a leader count as alive. PhD 3.4, 9.6; rules 3 and 4.
public sealed partial class RaftProtocol
{
    private void TickOther()
    {
        _ticksSinceAppend++;
        ReviewLeader();
        if (_leader is not null)
        {
            _electionElapsed = 0;
            AcknowledgeReceived();
            return;
        }

        _electionElapsed++;
        if (!MayCampaign)
            return;

        // A sole voter has nobody to wait for.
        if (_electionElapsed >= _electionTimeout || (_role == Role.Follower && IsSoleVoter))
            StartPreVote();
    }

    /// <summary>
    /// Only a voter of the configuration in force campaigns, or a server whose removal is not committed: it may be
    /// the only one with a complete log. PhD 4.2.2
    /// </summary>
    private bool MayCampaign =>
        Configuration.CanVote(_self)
        || (ConfigurationIndex > _commitIndex && _configurations.Count > 1 && _configurations[^2].Configuration.CanVote(_self));

    private bool IsSoleVoter =>
        !Configuration.IsJoint
        && Configuration.CanVote(_self)
        && Configuration.Current.Count(member => member.Kind == MemberKind.Voter) == 1;

    /// <summary>Forgets the leader as soon as nothing speaks for it any more. Rule 4</summary>
    private void ReviewLeader()
    {
        if (_role == Role.Leader || _leader is not { } leader)
            return;

        switch (_liveness.LeaderSign(leader, _leaderStart, _term))
        {
            case LeaderSign.Leads:
                _hasLeaderSign = true;
                return;

            // A frame of the candidate's time can be read after the leader's first append. So a denial counts at once
            // only when a frame has spoken for this leader before; else when its appends have stopped for a while.
            case LeaderSign.Denies when _hasLeaderSign || _ticksSinceAppend > _settings.LivenessTimeoutTicks / 2:
                break;
            default:
                if (_ticksSinceAppend <= _settings.LivenessTimeoutTicks)
                    return;
                break;
        }

        _leader = null;
        _electionElapsed = 0;
        _electionTimeout = _random.Next(1, _settings.ElectionTicks + 1); // short: pre-vote makes it safe
    }

    /// <summary>A message that only the leader of our term can send. It alone makes a leader known. Rule 4</summary>
    private bool MakeLeaderKnown(ServerId leader, long start)
    {
        if (_role != Role.Follower)
            BecomeFollower(_term);
        if (_leader is { } known && known != leader)
            return false; // there is one leader in a term, and it is known

        if (_leader is null || _leaderStart != start)
            _hasLeaderSign = false;
        _leader = leader;
        _leaderStart = start;
        _ticksSinceAppend = 0;
        _electionElapsed = 0;
        return true;
    }

    private void ResetElectionClock()
    {
        _electionElapsed = 0;
        _electionTimeout = _random.Next(_settings.ElectionTicks, (2 * _settings.ElectionTicks) + 1);
    }

    private void StartPreVote()
    {
        _role = Role.PreCandidate;
        _leader = null;
        _tally = new VoteTally();
        ResetElectionClock();
        _tally.Record(_self, isGranted: true); // no promise: nothing has to be durable
        if (_tally.OutcomeIn(Configuration) == VoteOutcome.Won)
            StartElection(isTransfer: false);
        else
            RequestVotes(_term.Next, isPreVote: true, isTransfer: false);
    }

    private void StartElection(bool isTransfer)
    {
        Invariant.Holds(MayCampaign);
        _role = Role.Candidate;
        _leader = null;
        _term = _term.Next;
        _matchedIndex = _commitIndex;
        _vote = null;
        Vote(_self);
        _tally = new VoteTally(); // the own vote is counted when it is durable. Rule 3
        ResetElectionClock();
        RequestVotes(_term, isPreVote: false, isTransfer);
    }

    private void RequestVotes(Term term, bool isPreVote, bool isTransfer)
    {
        foreach (Member member in Configuration.All)
        {
            if (member.Id != _self && Configuration.CanVote(member.Id))
                SendWhenDurable(new VoteRequest(_self, member.Id, term, _log.LastIndex, _log.LastTerm, isPreVote, isTransfer));
        }
    }

    private void Vote(ServerId candidate)
    {
        Invariant.Holds(_vote is null || _vote == candidate);
        _vote = candidate;
    }

    private void CountOwnVote()
    {
        if (_durableTermAndVote != new TermAndVote(_term, _self))
            return;
        _tally.Record(_self, isGranted: true);
        ReviewTally();
    }

    private void OnVoteRequest(VoteRequest request)
    {
        if (request.Term > _term && !request.IsTransfer)
        {
            // A live leader is protected: neither the term moves nor an answer goes out. Rule 4
            ReviewLeader();
            if (_role == Role.Leader && !Configuration.Contains(request.From))
                TellOfRemoval(request.From);
            if (_role == Role.Leader || _leader is not null)
                return;
        }

        if (request.Term > _term && !request.IsPreVote)
            BecomeFollower(request.Term);

        bool isFree = request.IsPreVote && request.Term > _term;
        bool isOurs = request.Term == _term && (_vote == request.From || (_vote is null && _leader is null));
        bool isUpToDate = request.LastTerm > _log.LastTerm
            || (request.LastTerm == _log.LastTerm && request.LastIndex >= _log.LastIndex);
        bool isGranted = (isFree || isOurs) && isUpToDate;
        if (isGranted && !request.IsPreVote)
        {
            Vote(request.From);
            ResetElectionClock();
        }

        // A granted pre-vote speaks of the term asked about, anything else of our own. PhD 9.6
        SendWhenDurable(new VoteReply(_self, request.From, isGranted ? request.Term : _term, isGranted, request.IsPreVote));
    }

    private void OnVoteReply(VoteReply reply)
    {
        bool isGrantedPreVote = reply.IsPreVote && reply.IsGranted;
        if (reply.Term > _term && !isGrantedPreVote)
        {
            StepDownFor(reply);
            return;
        }

        bool isExpected = reply.IsPreVote
            ? _role == Role.PreCandidate && reply.Term == (reply.IsGranted ? _term.Next : _term)
            : _role == Role.Candidate && reply.Term == _term;
        if (!isExpected || !Configuration.CanVote(reply.From))
            return;

        _tally.Record(reply.From, reply.IsGranted);
        ReviewTally();
    }

    private void ReviewTally()
    {
        VoteOutcome outcome = _tally.OutcomeIn(Configuration);
        if (outcome == VoteOutcome.Lost)
            BecomeFollower(_term);
        else if (outcome == VoteOutcome.Won && _role == Role.PreCandidate)
            StartElection(isTransfer: false);
        else if (outcome == VoteOutcome.Won && _durableTermAndVote == new TermAndVote(_term, _self))
            BecomeLeader();
    }

    private void BecomeLeader()
    {
        Invariant.Holds(_role == Role.Candidate);
        Invariant.Holds(_durableTermAndVote == new TermAndVote(_term, _self));
        _role = Role.Leader;
        _leader = _self;
        _tracker = new ProgressTracker(_self, Configuration, _log.LastIndex.Next);
        _tracker.Self.Acknowledge(_durableIndex);
        AddEntry(EntryKind.Empty, default, _log.LastTimeMs);
    }

    private void StopLeading()
    {
        _tracker = null;
        _transferTarget = null;
        _snapshotsToSend.Clear();
        _hasAbortedTransfers = true;
        FailReads();
    }
}

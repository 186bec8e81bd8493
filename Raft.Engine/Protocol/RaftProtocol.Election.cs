namespace Raft.Engine.Protocol;

// Time-outs, pre-vote, votes, and what makes a leader count as alive. PhD 3.4, 9.6; rules 3 and 4.
public sealed partial class RaftProtocol
{
    /// <summary>A slow disk makes its server wait for this many election time-outs more, at most.</summary>
    private const long DiskElectionsMax = 8;

    private void TickOther()
    {
        _ticksSinceAppend++;
        ReviewLeader();
        if (_leader is not null)
        {
            _electionElapsed = 0;
            _diskTicks = 0;
            _hasGivenWay = false;
            AcknowledgeReceived();
            return;
        }

        // The election clock stands while the disk works on what an election needs: a promise of ours, or our own request for
        // votes, which has not left yet. Who begins again meanwhile never leaves the first step, however slow its disk is.
        if (!IsTermAndVoteDurable || _durableBatch < _campaignBatch)
        {
            _standingTicks++;
            return;
        }

        if (_standingTicks > 0)
        {
            _diskTicks = Math.Min(_standingTicks, DiskElectionsMax * _settings.ElectionTicks);
            _standingTicks = 0;
            ResetElectionClock();
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
        !IsNotified
        && (Configuration.CanVote(_self)
            || (ConfigurationIndex > _commitIndex && _configurations.Count > 1 && _configurations[^2].Configuration.CanVote(_self)));

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

    /// <summary>What our disk took to write a promise, those of the others may take as well: who is asked for a vote answers no
    /// sooner, and a candidate that does not wait for that gives up too early. PhD 3.9</summary>
    private void ResetElectionClock()
    {
        long ticks = _settings.ElectionTicks + _diskTicks;
        _electionElapsed = 0;
        _electionTimeout = _random.NextInt64(ticks, (2 * ticks) + 1);
    }

    /// <summary>What was granted in the current term still counts, until the next one begins: the voters' disks may be slower than
    /// ours. It follows nobody, and its vote of that term is its own. PhD 3.4</summary>
    private void StartPreVote()
    {
        _role = Role.PreCandidate;
        _leader = null;
        _preVotes = new VoteTally();
        _hasGivenWay = false;
        ResetElectionClock();
        _preVotes.Record(_self, isGranted: true); // no promise: nothing has to be durable
        if (_preVotes.OutcomeIn(Configuration) == VoteOutcome.Won)
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
        _hasOpenElection = true;
        _votes = new VoteTally(); // the own vote is counted when it is durable. Rule 3
        ResetElectionClock();
        RequestVotes(_term, isPreVote: false, isTransfer);
    }

    private void RequestVotes(Term term, bool isPreVote, bool isTransfer)
    {
        _campaignBatch = _batchNumber + 1; // the next poll's
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
        _votes.Record(_self, isGranted: true);
        ReviewVotes();
    }

    private void OnVoteRequest(VoteRequest request)
    {
        NotifyOfRemoval(request.From);
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
        else if (isGranted && !_hasGivenWay)
        {
            // Its vote of its own is on the way to its disk next. Whoever begins an election meanwhile takes votes from it, and
            // on slow disks neither wins. Once, then it is our turn: perhaps it hears no answer.
            _hasGivenWay = true;
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

        if (!Configuration.CanVote(reply.From))
            return;
        if (reply.IsPreVote && _role == Role.PreCandidate && reply.Term == (reply.IsGranted ? _term.Next : _term))
        {
            _preVotes.Record(reply.From, reply.IsGranted);
            ReviewPreVotes();
        }
        else if (!reply.IsPreVote && _hasOpenElection && reply.Term == _term)
        {
            _votes.Record(reply.From, reply.IsGranted);
            ReviewVotes();
        }
    }

    private void ReviewPreVotes()
    {
        VoteOutcome outcome = _preVotes.OutcomeIn(Configuration);
        if (outcome == VoteOutcome.Lost)
            BecomeFollower(_term);
        else if (outcome == VoteOutcome.Won)
            StartElection(isTransfer: false);
    }

    private void ReviewVotes()
    {
        Invariant.Holds(_hasOpenElection);
        VoteOutcome outcome = _votes.OutcomeIn(Configuration);
        if (outcome == VoteOutcome.Lost && _role == Role.Candidate)
            BecomeFollower(_term);
        else if (outcome == VoteOutcome.Won && _durableTermAndVote == new TermAndVote(_term, _self))
            BecomeLeader();
    }

    private void BecomeLeader()
    {
        Invariant.Holds(_hasOpenElection);
        Invariant.Holds(_vote == _self);
        Invariant.Holds(_durableTermAndVote == new TermAndVote(_term, _self));
        _hasOpenElection = false;
        _failedTransfers = 0;
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

namespace Raft.Engine.Protocol;

// Changes of members: joint configurations, joining members, removal. PhD 4; rule 8.
public sealed partial class RaftProtocol
{
    /// <summary>A member that joins becomes a voter after so many rounds in a row in which it kept up.</summary>
    private const int RoundsToVote = 2;

    /// <summary>A leader that was removed hands over; when so many attempts, each to another voter, have failed, it steps down, and the
    /// others elect: nothing can be appended while it tries.</summary>
    private const int RemovedTransfersMax = 2;

    /// <summary>Leader: appends the first entry of a change; the rest follows by itself, whoever leads then.</summary>
    public ChangeResult ProposeChange(MembershipChange change, long timeMs)
    {
        if (_role != Role.Leader)
            return Refused(ChangeOutcome.NotLeader, "This server does not lead.");
        if (IsTransferring)
            return Refused(ChangeOutcome.Transferring, "Leadership is being handed over.");
        if (change.ExpectedIndex is { } expected && expected != ConfigurationIndex)
            return Refused(ChangeOutcome.Moved, $"The configuration in force has index {ConfigurationIndex}, not {expected}: it was changed meanwhile.");

        IReadOnlyList<Member> goal = MembershipRules.GoalOf(Configuration);
        if (MembershipRules.WantedBy(change, goal, out string fault) is not { } wanted)
            return Refused(ChangeOutcome.Invalid, fault);
        if (MembershipRules.AreSame(goal, wanted) && !change.IsForced)
            return Refused(ChangeOutcome.NothingToDo, "");
        if (Configuration.IsJoint || ConfigurationIndex > _commitIndex)
            return Refused(ChangeOutcome.InProgress, "Another change of members is not committed yet.");

        // A target that waits for somebody who never comes can be taken back, and only that.
        bool takesBack = wanted.TrueForAll(member => Configuration.Current.Any(known => known.Id == member.Id && known.Kind != MemberKind.Joining));
        if (Configuration.Target.Count > 0 && !takesBack && !change.IsForced)
            return Refused(ChangeOutcome.InProgress, "Members that join have to catch up before another change; to give that up, ask for the members without them.");

        if (MembershipRules.FirstStep(Configuration, wanted, change.IsForced) is not { } step)
            return Refused(ChangeOutcome.NothingToDo, "");
        if (!step.IsAllowed)
            return Refused(ChangeOutcome.Invalid, "Until those that join have caught up nobody would be left to vote: let another node join first, and remove the others then.");
        if (!change.IsForced && SilentVotersThatMatter(step.Current) is { Length: > 0 } silent)
            return Refused(ChangeOutcome.Invalid, $"The change would leave no quorum: of its voters these are not alive: {silent}.");

        return new ChangeResult(ChangeOutcome.Appended, AppendConfiguration(step, timeMs), "");

        static ChangeResult Refused(ChangeOutcome outcome, string detail) => new(outcome, default, detail);
    }

    private EntryId AppendConfiguration(Configuration configuration, long timeMs)
    {
        Invariant.Holds(!IsTransferring);
        Invariant.Holds(ConfigurationIndex <= _commitIndex);
        if (Configuration.IsJoint)
            configuration = configuration with { Target = Configuration.Target }; // the way out: what is still wanted stays
        configuration = configuration with { LostData = [.. _tracker!.LostData.Where(configuration.Contains)] }; // a leader has a tracker
        Invariant.Holds(configuration.IsAllowed);
        EntryId? entry = AddEntry(EntryKind.Configuration, configuration.Encode(), timeMs, configuration);
        Invariant.Holds(entry is not null);
        return entry!.Value; // checked above
    }

    /// <summary>Leader: what a new commit index leads to.</summary>
    private void OnLeaderCommitted()
    {
        LeaveJointConfiguration();
        if (IsRemoved && !IsTransferring)
            BeginTransfer(target: null); // at once; the tick tries again
    }

    /// <summary>Once C_old,new is committed nobody needs C_old any more. Whoever leads then leaves it, exactly once: the
    /// configuration in force is not joint after that. PhD 4.3</summary>
    private void LeaveJointConfiguration()
    {
        if (!Configuration.IsJoint || ConfigurationIndex > _commitIndex || IsTransferring)
            return;
        AppendConfiguration(new Configuration(Configuration.Current, []), _log.LastTimeMs);
        AdvanceCommitIndex(); // the smaller quorum may hold more already
    }

    /// <summary>The committed configuration no longer names this leader as voter. It counts itself in nothing. PhD 4.2.2</summary>
    private bool IsRemoved => !_tracker!.Self.CanVote && ConfigurationIndex <= _commitIndex; // a leader has a tracker

    private void TickMembership()
    {
        if (IsRemoved && !IsTransferring && (_failedTransfers >= RemovedTransfersMax || !BeginTransfer(target: null)))
        {
            BecomeFollower(_term);
            return;
        }

        RemoveLostData();
        PromoteJoining();
    }

    /// <summary>Makes voters of those that have caught up; with a target only all that it wants together, and what else it wants with
    /// them. A joining member that it does not want any more is not waited for: it leaves with that step.</summary>
    private void PromoteJoining()
    {
        Configuration now = Configuration;
        if (now.IsJoint || ConfigurationIndex > _commitIndex || IsTransferring || (now.Target.Count == 0 && !_tracker!.HasJoining))
            return;

        IReadOnlyList<Member> next = now.Target;
        if (next.Count > 0)
        {
            if (!IsReadyFor(now))
                return;
        }
        else
        {
            if (!now.Current.Any(member => member.Kind == MemberKind.Joining && IsCaughtUp(member.Id)))
                return;
            next = [.. now.Current.Select(member =>
                member.Kind == MemberKind.Joining && IsCaughtUp(member.Id) ? member with { Kind = MemberKind.Voter } : member)];
        }

        if (SilentVotersThatMatter(next) is { Length: > 0 })
            return; // it would have no quorum: wait
        if (MembershipRules.Step(now, next) is { IsAllowed: true } step)
            AppendConfiguration(step, _log.LastTimeMs);
    }

    private bool IsReadyFor(Configuration now) => now.Current.All(member =>
        member.Kind != MemberKind.Joining || IsCaughtUp(member.Id) || !now.Target.Any(wanted => wanted.Id == member.Id));

    private bool IsCaughtUp(ServerId server) =>
        _tracker!.Find(server) is { CaughtUpRounds: >= RoundsToVote } && _liveness.IsAlive(server); // a leader has a tracker

    /// <summary>A member that joins: a round is short when it takes less than an election time-out, and ends well when what is
    /// committed and still missing there fits into one append request. PhD 4.2.1</summary>
    private void ReviewRound(Progress peer, bool isTick)
    {
        if (peer.CanVote || !peer.IsJoining)
        {
            peer.CaughtUpRounds = 0;
            peer.RoundEnd = LogIndex.Zero;
            return;
        }

        if (isTick)
            peer.RoundTicks++;
        if (peer.RoundEnd == LogIndex.Zero || peer.State != ProgressState.Pipeline)
        {
            peer.CaughtUpRounds = 0;
            StartRound(peer);
            return;
        }

        // A round that is too long already: good ones before it say nothing of now.
        if (peer.RoundTicks >= _settings.ElectionTicks)
            peer.CaughtUpRounds = 0;
        if (peer.MatchIndex < peer.RoundEnd)
            return;

        // An idle group has rounds of no length: they end with the next tick, so that there is one per tick at the most.
        if (!isTick && peer.RoundTicks == 0)
            return;
        long? missing = _log.BytesOf(peer.MatchIndex.Next, _commitIndex, _settings.MaxAppendBytes);
        bool isGood = peer.RoundTicks < _settings.ElectionTicks && missing <= _settings.MaxAppendBytes;
        peer.CaughtUpRounds = isGood ? peer.CaughtUpRounds + 1 : 0;
        StartRound(peer);
    }

    private void StartRound(Progress peer)
    {
        peer.RoundEnd = _log.LastIndex;
        peer.RoundTicks = 0;
    }

    /// <summary>A disk that lost what it had acknowledged may have lost votes too: it must not count any more, whatever other
    /// change waits for members that join. Rule 13</summary>
    /// <remarks>
    /// The evidence is known to one leader only: what was acknowledged to it, before and after a restart. So the accusation
    /// goes into the log, with the next configuration that is appended, whichever it is; where the member cannot be removed
    /// yet, because of the others too few are alive, with one that changes nothing else. The next leader, if its log has
    /// that entry, counts the member in no commit and no read either, and removes it. It has all that the accused ever helped
    /// to commit: that is before the accusation in the log. And a candidate whose log lacks the entry does not get the
    /// accused's vote from when the accused holds it itself, since its log is the newer one. An accusation that was in
    /// no surviving log dies with its leader: the window is the time until the entry reaches a quorum.
    /// </remarks>
    private void RemoveLostData()
    {
        if (!_tracker!.HasLostData || Configuration.IsJoint || ConfigurationIndex > _commitIndex || IsTransferring)
            return; // one change at a time; a leader has a tracker

        bool isAccusationDue = false;
        foreach (ServerId accused in _tracker.LostData)
        {
            isAccusationDue |= !Configuration.LostData.Contains(accused);
            if (MembershipRules.Without(Configuration, accused) is not { } step || SilentVotersThatMatter(step.Current).Length > 0)
                continue;
            AppendConfiguration(step, _log.LastTimeMs);
            return;
        }

        if (isAccusationDue)
            AppendConfiguration(Configuration, _log.LastTimeMs);
    }

    /// <summary>Of these voters too few are alive for a quorum: names the silent ones; empty when there are enough.</summary>
    private string SilentVotersThatMatter(IReadOnlyList<Member> members)
    {
        List<string> silent = [];
        int voters = 0;
        foreach (ServerId voter in MembershipRules.VotersOf(members))
        {
            voters++;
            if (voter != _self && !_liveness.IsAlive(voter))
                silent.Add(voter.Node.Value);
        }

        return voters - silent.Count >= Quorum.SizeOf(voters) ? "" : string.Join(", ", silent);
    }
}

/// <summary>What became of a proposed change.</summary>
/// <param name="Outcome">Whether an entry was appended, and if not, why.</param>
/// <param name="Entry">With Appended: the first entry of the change.</param>
/// <param name="Detail">For people, when it was refused.</param>
public readonly record struct ChangeResult(ChangeOutcome Outcome, EntryId Entry, string Detail);

public enum ChangeOutcome : byte
{
    Appended = 1,

    /// <summary>The configuration is as wanted, or on its way there.</summary>
    NothingToDo = 2,
    NotLeader = 3,
    InProgress = 4,
    Invalid = 5,

    /// <summary>The configuration is not the expected one.</summary>
    Moved = 6,

    /// <summary>Leadership is being handed over: try again after it.</summary>
    Transferring = 7,
}

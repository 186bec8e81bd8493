using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Who was removed: told, quiet, without weight. PhD 4.2.3; rules 4, 8, 12.</summary>
public class RemovedServerTests
{
    /// <summary>B9 15, B4 drops_04_dueling_repro: away when it was removed, it campaigns when it is back; nobody listens, and it is told.
    /// Planted: eng/defects/15-removed-server-is-not-told.defect</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(300)]
    public void A_server_that_was_away_when_it_was_removed_is_told_and_quiet(int ticksAway)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 4).Checked();
        cluster.Elect(1);
        cluster.Isolate(cluster[4]);
        cluster.Change(1, 2, 3);
        cluster.TickUntilSettledOn(1, 2, 3);
        cluster.Tick(ticksAway);
        Assert.True(cluster[4].Protocol.Configuration.Contains(IdOf(4)));
        Term term = cluster.Leader.Protocol.CurrentTerm;

        cluster.Heal();
        cluster.Tick(60);
        Assert.False(cluster[4].Protocol.Configuration.Contains(IdOf(4)));
        Assert.Equal((Role.Follower, term), (cluster[4].Protocol.Role, cluster[4].Protocol.CurrentTerm));
        Assert.Equal(0, cluster.CountMessages(ticks: 200));             // 20 election time-outs
        Assert.Equal(term, cluster.Leader.Protocol.CurrentTerm);
    }

    /// <summary>B9 15, rule 4: whatever a removed server says, with whatever term, a live leader and its followers do not move.
    /// Planted: eng/defects/15-live-leader-is-not-protected.defect</summary>
    [Fact]
    public void A_removed_server_that_never_learns_of_it_moves_no_term()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 4).Checked();
        cluster.Elect(1);
        cluster.Change(1, 2, 3);
        cluster.TickUntilSettledOn(1, 2, 3);
        Term term = cluster.Leader.Protocol.CurrentTerm;
        for (int i = 0; i < 100; i++)
        {
            foreach (int number in new[] { 1, 2, 3 })
            {
                var request = new VoteRequest(IdOf(4), IdOf(number), new Term(50 + i), new LogIndex(99), new Term(49), IsPreVote: i % 2 == 0, IsTransfer: false);
                cluster[number].Step(request);
            }

            cluster.Tick();
        }

        Assert.Equal((IdOf(1), term), (cluster.Leader.Id, cluster.Leader.Protocol.CurrentTerm));
        Assert.True(cluster.HasSettledOn(1, 2, 3));
    }

    /// <summary>B9 17, B2 test_reply_from_removed_follower, B1 confchange_v2_add_double_auto: late answers of every kind.
    /// Planted: eng/defects/17-removed-server-deposes-the-leader.defect</summary>
    [Fact]
    public void Late_answers_of_a_removed_server_change_nothing()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        solo.Protocol.ProposeChange(To(1, 2), timeMs: 1);
        solo.Tell(solo.Accept(2, match: 3));
        solo.Tell(solo.Accept(2, match: 4));
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);
        Add(solo.Node, "a");
        Term term = solo.Protocol.CurrentTerm;
        LateAnswers();
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);

        // Also when it is not even remembered as somebody who has just left.
        for (int i = 0; i < 50; i++)
        {
            solo.Tell(solo.Accept(2, match: 4));
            solo.Tick();
        }

        LateAnswers();
        Assert.Equal((Role.Leader, term, 4L), (solo.Protocol.Role, solo.Protocol.CurrentTerm, solo.Protocol.CommitIndex.Value));
        solo.Tell(solo.Accept(2, match: 5));
        Assert.Equal(5, solo.Protocol.CommitIndex.Value);

        void LateAnswers()
        {
            solo.Tell(
                solo.Accept(3, match: 5), solo.Reject(3, previous: 4, last: 2), solo.Grant(3), solo.Grant(3, isGranted: false, term: 90),
                solo.Reject(3, previous: 4, last: 2, term: 90), new ReadQuorumReply(IdOf(3), solo.Self, new Term(90), new ReadId(1)));
            solo.Protocol.OnSnapshotSent(IdOf(3), term, new LogIndex(5));
            solo.Protocol.OnSnapshotSent(IdOf(3), term, matchIndex: null);
            solo.Protocol.OnUnreachable(IdOf(3));
            solo.Tell();
        }
    }

    /// <summary>B8 TestConfChangeCheckBeforeCampaign, rule 8: who knows that it was removed does not campaign, not even when asked to.</summary>
    [Fact]
    public void Who_knows_of_its_removal_never_campaigns()
    {
        var solo = new Solo(voters: 3);
        Configuration without = ConfigurationOf(3) with { Current = [MemberOf(2), MemberOf(3)] };
        var removal = new Entry(new LogIndex(2), new Term(1), EntryKind.Configuration, timeMs: 1, without.Encode());
        solo.Tell(solo.Append(term: 1, previous: 1, previousTerm: 1, commit: 2, entries: removal));
        Assert.Empty(solo.Tell(new TimeoutNow(IdOf(2), solo.Self, new Term(1))));
        Assert.Empty(solo.Tick(300).OfType<VoteRequest>());
        Assert.Equal(new Term(1), solo.Protocol.CurrentTerm);
    }

    /// <summary>B9 17, rule 12: the answers of a wiped disk under an old name are those of another server.</summary>
    [Fact]
    public void A_vote_of_another_disk_under_a_members_name_is_none()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeCandidate();
        var other = new ServerId(IdOf(2).Node, new StorageId(99));
        solo.Tell(solo.Grant(2) with { From = other });
        Assert.Equal(Role.Candidate, solo.Protocol.Role);
    }

    /// <summary>B8 TestNewLeaderPendingConfig: a new leader whose log may hold an uncommitted change takes no other one.</summary>
    [Fact]
    public void A_new_leader_takes_no_change_before_it_knows_that_the_last_is_committed()
    {
        var solo = new Solo(voters: 3);
        var change = new Entry(new LogIndex(2), new Term(1), EntryKind.Configuration, timeMs: 1,
            Configuration.Of([.. ConfigurationOf(3).Current, MemberOf(4, MemberKind.Learner)]).Encode());
        solo.Tell(solo.Append(term: 1, previous: 1, previousTerm: 1, entries: change));
        solo.Liveness.Sign = LeaderSign.Denies;
        solo.BecomeLeader();
        Assert.Equal(ChangeOutcome.InProgress, solo.Protocol.ProposeChange(To(1, 2), timeMs: 1).Outcome);
        solo.Tell(solo.Accept(2, match: 3));
        Assert.Equal(ChangeOutcome.Appended, solo.Protocol.ProposeChange(To(1, 2), timeMs: 1).Outcome);
    }

    /// <summary>Rule 8: it asked for votes once and won a pre-vote, so its term is higher than the leader's, whose appends it refuses.
    /// Planted: eng/defects/P12-removed-server-of-a-higher-term-is-not-notified.defect</summary>
    [Fact]
    public void A_removed_server_of_a_higher_term_is_notified_and_quiet()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 4).Checked();
        cluster.Elect(1);
        cluster.Isolate(cluster[4]);
        cluster.Tick(30);
        cluster[4].Crash();
        cluster[4].Disk.Write(new PersistRequest(new TermAndVote(cluster[1].Protocol.CurrentTerm.Next.Next, IdOf(4)), null, []));
        cluster.Change(1, 2, 3);
        cluster.TickUntilSettledOn(1, 2, 3);
        cluster[4].Start();
        cluster.Heal();
        BecomesQuiet(cluster, cluster[4]);

        // It forgets with a restart, and is notified again.
        cluster[4].Crash();
        cluster[4].Start();
        BecomesQuiet(cluster, cluster[4]);

        // And is a member like any other when it is added again.
        cluster.Change(1, 2, 3, 4);
        cluster.TickUntilSettledOn(1, 2, 3, 4);
        Assert.Equal(Standing.Member, cluster[4].Protocol.Standing);
        cluster.Write("after");
    }

    /// <summary>Rule 8: the log that names its removal is compacted away, and no snapshot is sent to a server that is not a member.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_removed_server_behind_the_compacted_log_is_notified_and_quiet(bool isRestarted)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 4, adjust: settings => settings with { SnapshotTrailingEntries = 0 }).Checked();
        cluster.Elect(1);
        cluster.Isolate(cluster[4]);
        cluster.Change(1, 2, 3);
        cluster.TickUntilSettledOn(1, 2, 3);
        cluster.Write("a");
        foreach (ProtocolNode node in cluster.Nodes.Take(3))
            node.TakeSnapshot();
        cluster.Tick(60);
        if (isRestarted)
        {
            cluster[4].Crash();
            cluster[4].Start();
        }

        cluster.Heal();
        BecomesQuiet(cluster, cluster[4]);
        Assert.Empty(cluster.Leader.SnapshotsToSend);
    }

    /// <summary>Rule 8: it never hears of the member that leads now; those that it knows notify it.</summary>
    [Fact]
    public void A_removed_server_that_does_not_know_the_leader_is_notified_by_others()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        cluster.AddEmpty(4);
        cluster.Elect(1);
        cluster.Isolate(cluster[3]);
        cluster.Change(1, 2, 4);
        cluster.TickUntilSettledOn(1, 2, 4);
        cluster.Leader.Protocol.BeginTransfer(IdOf(4));
        cluster.TickUntil(() => cluster.Leader.Id == IdOf(4));
        cluster.Tick(5);
        cluster.Heal();
        BecomesQuiet(cluster, cluster[3]);
    }

    /// <summary>Its own log says it, and a restart does not know what is committed: until a member says so it may have to be undone.</summary>
    [Fact]
    public void A_removed_server_that_is_started_again_can_say_so()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 4).Checked();
        cluster.Elect(1);
        cluster.Change(1, 2, 3);
        cluster.TickUntilSettledOn(1, 2, 3);
        cluster.Tick(50);
        Assert.Equal(Standing.Removed, cluster[4].Protocol.Standing);

        cluster[4].Crash();
        cluster[4].Start();
        Assert.Equal(Standing.Leaving, cluster[4].Protocol.Standing);
        BecomesQuiet(cluster, cluster[4]);
        Assert.Equal(Standing.Member, cluster[1].Protocol.Standing);
    }

    /// <summary>What says nothing to a server that is behind nobody: an old leader's notice does not silence a member.
    /// Planted: eng/defects/P14-notice-outlives-the-log.defect</summary>
    [Fact]
    public void A_notice_does_not_silence_a_server_whose_log_goes_beyond_it()
    {
        var solo = new Solo(voters: 3, term: 4, log: [2, 3]);
        Configuration without = Configuration.Of([MemberOf(2), MemberOf(3)]);
        solo.Tell(AppendRequest.RemovalNotice(IdOf(2), solo.Self, new LogIndex(2), new Term(2), new LogIndex(1), without));
        Assert.Equal(2, solo.Protocol.CommitIndex.Value);               // so much it says
        solo.BecomePreCandidate();

        // One that our log lacks does, until a leader appends here what it speaks of.
        solo.Tell(AppendRequest.RemovalNotice(IdOf(2), solo.Self, new LogIndex(3), new Term(4), new LogIndex(3), without));
        Assert.Equal((Role.Follower, Standing.Removed), (solo.Protocol.Role, solo.Protocol.Standing));
        Assert.Empty(solo.Tick(300).OfType<VoteRequest>());
        solo.Tell(solo.Append(term: 5, previous: 2, previousTerm: 2, entries: Solo.EntryOf(3, 4)));
        Assert.Equal(Standing.Member, solo.Protocol.Standing);
        solo.BecomePreCandidate();

        // Nor does one that names us.
        solo.Tell(AppendRequest.RemovalNotice(IdOf(2), solo.Self, new LogIndex(9), new Term(4), new LogIndex(3), ConfigurationOf(3)));
        Assert.Equal(Standing.Member, solo.Protocol.Standing);
    }

    /// <summary>A notice moves no term, makes no leader known and puts nothing into the log, in whatever form it comes.</summary>
    [Fact]
    public void A_notice_is_no_append()
    {
        var solo = new Solo(voters: 3, term: 2);
        AppendRequest notice = AppendRequest.RemovalNotice(
            IdOf(2), solo.Self, new LogIndex(5), new Term(2), new LogIndex(4), Configuration.Of([MemberOf(2), MemberOf(3)]));
        Assert.True(notice.IsRemovalNotice);
        Assert.Equal(Term.Zero, notice.Term);
        Assert.Empty(solo.Tell(notice, notice with { Term = new Term(7) }));
        Assert.Equal((2L, null, 1L), (solo.Protocol.CurrentTerm.Value, solo.Protocol.Leader, solo.Protocol.LastIndex.Value));
        Assert.False(solo.Append(2, 1, 1, entries: FirstEntry(ConfigurationOf(3))) is { IsRemovalNotice: false });
    }

    private static void BecomesQuiet(ProtocolCluster cluster, ProtocolNode removed)
    {
        cluster.TickUntil(() => removed.Protocol is { Standing: Standing.Removed, Role: Role.Follower }, ticksMax: 60);
        Term term = cluster.Leader.Protocol.CurrentTerm;
        cluster.Tick(50);
        Assert.Equal(0, cluster.CountMessages(ticks: 200));             // 20 election time-outs
        Assert.Equal((term, Standing.Removed), (cluster.Leader.Protocol.CurrentTerm, removed.Protocol.Standing));
    }
}

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
}

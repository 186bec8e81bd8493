using System.Globalization;
using System.Reflection;
using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Rule 4: who counts as a live leader, and when a leader may go on.</summary>
public class LeaderLivenessTests
{
    private static Solo FollowerOfN2()
    {
        var solo = new Solo();
        solo.Tell(solo.Append(term: 1, previous: 1, previousTerm: 1));
        Assert.Equal(IdOf(2), solo.Protocol.Leader);
        return solo;
    }

    /// <summary>B9 24, B1 prevote_checkquorum, checkquorum</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_live_leader_is_protected_against_votes_of_higher_terms(bool isPreVote)
    {
        Solo solo = FollowerOfN2();
        solo.Liveness.Sign = LeaderSign.Leads;
        solo.Tick(50);

        Assert.Empty(solo.Tell(solo.AskVote(from: 3, term: 9, last: 9, lastTerm: 8, isPreVote)));
        Assert.Equal((new Term(1), (ServerId?)IdOf(2)), (solo.Protocol.CurrentTerm, solo.Protocol.Leader));
    }

    /// <summary>The leader itself is one as well.</summary>
    [Fact]
    public void A_leader_ignores_votes_of_higher_terms()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        Term term = solo.Protocol.CurrentTerm;
        Assert.Empty(solo.Tell(solo.AskVote(from: 3, term: 9, last: 9, lastTerm: 8)));
        Assert.Equal((Role.Leader, term), (solo.Protocol.Role, solo.Protocol.CurrentTerm));
    }

    [Fact]
    public void The_transfer_mark_passes_the_protection()
    {
        Solo solo = FollowerOfN2();
        solo.Liveness.Sign = LeaderSign.Leads;
        Assert.True(((VoteReply)solo.Tell(solo.AskVote(from: 3, term: 9, last: 9, lastTerm: 8, isTransfer: true)).Single()).IsGranted);
    }

    /// <summary>Fault 32, B1 forget_leader, forget_leader_prevote_checkquorum: the term is kept, and the log still judges.</summary>
    [Fact]
    public void A_frame_that_takes_leadership_back_ends_the_leader_at_once_and_the_wait_is_short()
    {
        Solo solo = FollowerOfN2();
        solo.Liveness.Sign = LeaderSign.Leads;
        solo.Tick(30);
        solo.Liveness.Sign = LeaderSign.Denies;
        solo.Protocol.OnLivenessChanged();
        Assert.Null(solo.Protocol.Leader);
        Assert.Equal(new Term(1), solo.Protocol.CurrentTerm);

        solo.Tick(10);
        Assert.Equal(Role.PreCandidate, solo.Protocol.Role);
    }

    /// <summary>A frame from before the election is no denial of the leader that an append has just made known.</summary>
    [Fact]
    public void A_denial_older_than_the_first_append_does_not_count_at_once()
    {
        Solo solo = FollowerOfN2();
        solo.Liveness.Sign = LeaderSign.Denies;
        solo.Protocol.OnLivenessChanged();
        Assert.Equal(IdOf(2), solo.Protocol.Leader);

        solo.Tick(5);
        Assert.Null(solo.Protocol.Leader);
    }

    [Fact]
    public void Without_frames_an_append_counts_for_the_liveness_timeout()
    {
        Solo solo = FollowerOfN2();
        solo.Tick(8);
        Assert.Equal(IdOf(2), solo.Protocol.Leader);
        solo.Tick(1);
        Assert.Null(solo.Protocol.Leader);
    }

    [Fact]
    public void A_frame_never_makes_a_leader_known()
    {
        var solo = new Solo();
        solo.Liveness.Sign = LeaderSign.Leads;
        solo.Tick(5);
        Assert.Null(solo.Protocol.Leader);
        solo.BecomePreCandidate();
    }

    [Fact]
    public void The_heartbeat_repeats_each_tick_until_the_frame_says_that_the_member_follows()
    {
        var solo = new Solo(voters: 3, learners: 1);
        solo.BecomeLeader();
        AppendReply[] answers = [.. new[] { 2, 3, 4 }.Select(peer => solo.Accept(peer, match: 2, commit: 2))];
        solo.Tell(answers);

        Assert.Equal(3, solo.Tick().OfType<AppendRequest>().Count());
        solo.Tell(answers);
        solo.Liveness.Following.Add(IdOf(2));
        solo.Liveness.Following.Add(IdOf(4));
        Assert.Equal(IdOf(3), Assert.Single(solo.Tick().OfType<AppendRequest>()).To);
        solo.Tell(answers);
        solo.Liveness.Following.Add(IdOf(3));
        Assert.Empty(solo.Tick(5));
    }

    /// <summary>B2 test_leader_read_quorum, B9 25: voters only. Planted: eng/defects/25-learners-keep-a-leader-up.defect</summary>
    [Fact]
    public void A_leader_without_live_voters_steps_down_whatever_learners_say()
    {
        var solo = new Solo(voters: 3, learners: 2);
        solo.BecomeLeader();
        solo.Liveness.Dead.UnionWith([IdOf(4), IdOf(5)]);
        for (int i = 0; i < 30; i++)
        {
            solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
            solo.Tick();
        }

        Assert.Equal(Role.Leader, solo.Protocol.Role);

        Term term = solo.Protocol.CurrentTerm;
        solo.Liveness.Dead.Clear();
        solo.Liveness.Dead.UnionWith([IdOf(2), IdOf(3)]);
        TickWithLearners(9);
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        TickWithLearners(1);
        Assert.Equal((Role.Follower, term), (solo.Protocol.Role, solo.Protocol.CurrentTerm));
        Assert.Null(solo.Protocol.Leader);

        void TickWithLearners(int ticks)
        {
            for (int i = 0; i < ticks; i++)
            {
                solo.Tell(solo.Accept(4, match: 2), solo.Accept(5, match: 2)); // alive, and they answer
                solo.Tick();
            }
        }
    }

    /// <summary>Answers to pings are not enough: "a follower that acknowledges nothing for long does not count".</summary>
    [Fact]
    public void A_voter_that_answers_nothing_does_not_keep_a_leader_up()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        solo.Tick(9);
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        solo.Tick(1);
        Assert.Equal(Role.Follower, solo.Protocol.Role);
    }

    /// <summary>Rule 4 means answers to what the leader asked. Whoever asks for votes does not get the leader's messages any more.
    /// Planted: eng/defects/P07-vote-requests-count-as-answers.defect</summary>
    [Fact]
    public void A_request_for_votes_is_not_an_answer()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal(Role.Leader, solo.Protocol.Role);
            solo.Tell(
                solo.AskVote(from: 2, term: 9, last: 9, lastTerm: 8, isPreVote: true),
                solo.AskVote(from: 3, term: 9, last: 9, lastTerm: 8),
                solo.Grant(2, isPreVote: true),
                solo.Reject(3, previous: 1, last: 1, term: 1));
            solo.Tick();
            Assert.False(solo.Protocol.IsFollowedByQuorum);     // nor does it say that nobody else leads: staleness
        }

        Assert.Equal(Role.Follower, solo.Protocol.Role);
    }

    /// <summary>Ticks of an idle group run on for years: 2^31 of them are 124 days at 5 ms. Planted: eng/defects/P08-ticks-overflow.defect</summary>
    [Fact]
    public void A_leader_that_was_idle_for_years_is_forgotten_when_it_is_gone()
    {
        var solo = new Solo(voters: 3);
        solo.Liveness.Sign = LeaderSign.Leads;
        solo.Tell(solo.Append(1, 1, 1));
        Assert.NotNull(solo.Protocol.Leader);
        FieldInfo counter = typeof(RaftProtocol).GetField("_ticksSinceAppend", BindingFlags.NonPublic | BindingFlags.Instance)!;
        counter.SetValue(solo.Protocol, Convert.ChangeType(int.MaxValue, counter.FieldType, CultureInfo.InvariantCulture));
        solo.Tick();
        solo.Liveness.Sign = LeaderSign.Silent;
        solo.Tick(10);
        Assert.Null(solo.Protocol.Leader);
    }

    /// <summary>Its kind: whatever counts ticks counts them in 64 bits, in what lives as long as a server or a leadership.</summary>
    [Fact]
    public void No_counter_of_ticks_has_32_bits()
    {
        string[] narrow = [.. new[] { typeof(RaftProtocol), typeof(Progress) }
            .SelectMany(type => type.GetFields(BindingFlags.NonPublic | BindingFlags.Instance))
            .Where(field => field.FieldType == typeof(int) && (field.Name.Contains("Ticks", StringComparison.Ordinal) || field.Name.Contains("Elapsed", StringComparison.Ordinal)))
            .Select(field => field.Name)];
        Assert.Equal(["_transferTicksMax"], narrow);            // a limit, which the caller gives
    }

    /// <summary>Replies tell received and durable apart: a slow disk is not a dead member.</summary>
    [Fact]
    public void A_voter_with_a_slow_disk_keeps_the_leader_up()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        for (int i = 0; i < 40; i++)
        {
            solo.Tell(solo.Accept(2, match: 1, received: 2));
            solo.Tick();
        }

        Assert.Equal(Role.Leader, solo.Protocol.Role);
        Assert.Equal(0, solo.Protocol.CommitIndex.Value);
    }

    [Fact]
    public void A_leader_steps_down_for_a_higher_term_of_a_member_and_of_nobody_else()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        solo.Tell(solo.Reject(from: 77, previous: 1, last: 1, term: 30));
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        solo.Tell(solo.Reject(from: 2, previous: 1, last: 1, term: 30));
        Assert.Equal((Role.Follower, new Term(30)), (solo.Protocol.Role, solo.Protocol.CurrentTerm));
    }

    /// <summary>B2 test_leader_ignores_messages_with_current_term</summary>
    [Fact]
    public void A_leader_is_not_moved_by_messages_of_its_own_term()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        long term = solo.Protocol.CurrentTerm.Value;
        List<Message> sent = solo.Tell(
            solo.Append(term, previous: 0, previousTerm: 0),
            new TimeoutNow(IdOf(2), solo.Self, new Term(term)),
            solo.AskVote(from: 2, term, last: 9, lastTerm: term));
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        Assert.False(((VoteReply)sent.Single()).IsGranted);
    }

    /// <summary>B2 test_state_change_notifications: the role change is told once, at the transition.</summary>
    [Fact]
    public void A_role_change_is_told_exactly_at_the_transition()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        Assert.Equal([Role.PreCandidate, Role.Candidate, Role.Leader], solo.Node.RoleChanges.Select(change => change.Role));
        solo.Tell(solo.Accept(2, match: 2));
        solo.Tell(solo.Append(term: 9, previous: 1, previousTerm: 1));
        Assert.Equal(4, solo.Node.RoleChanges.Count);
        Assert.Equal(new RoleChange(Role.Follower, new Term(9), IdOf(2)), solo.Node.RoleChanges[^1]);
    }

    /// <summary>
    /// Rule 5: it knew of the commit before it was started anew. Then every append is lost until a read round has made the leader known
    /// to it, so that it follows and gets no heartbeat: it must hear of the commit all the same, though nothing new happens.
    /// </summary>
    [Fact]
    public void A_peer_that_was_started_anew_is_told_of_the_commit_whatever_it_knew_before()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        ProtocolNode leader = cluster.Elect(1);
        cluster.Write("a");
        cluster.Tick(5);
        cluster[3].Crash();
        cluster[3].Start();
        cluster.Filter = message => message is not AppendRequest || message.To != IdOf(3);
        leader.Protocol.StartRead();
        cluster.TickUntil(() => cluster[3].Protocol.Leader == leader.Id);

        cluster.Filter = _ => true;
        cluster.TickUntil(() => cluster[3].Protocol.CommitIndex == leader.Protocol.CommitIndex, ticksMax: 2);
        Assert.Equal(["a"], CommandsOf(cluster[3]));
    }

    /// <summary>The word of an earlier start may come late: it says nothing of what the later one knows.</summary>
    [Fact]
    public void What_an_earlier_start_knew_of_the_commit_does_not_count_for_the_later()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        solo.Liveness.Following.UnionWith([IdOf(2), IdOf(3)]);
        AppendReply before = solo.Accept(3, match: 2, commit: 2) with { SenderStart = 1 };
        solo.Tell(solo.Accept(2, match: 2, commit: 2), before);
        Assert.Empty(solo.Tick());

        AppendReply after = solo.Accept(3, match: 2, commit: 0) with { SenderStart = 2 };
        solo.Tell(after, before);
        Assert.Equal(2, Assert.Single(solo.Tick().OfType<AppendRequest>(), request => request.To == IdOf(3)).CommitIndex.Value);
    }

    /// <summary>Rule 4: the others' answers end the round, so it is not sent again, and nothing else happens. A voter that lives and
    /// follows must not count as dead for ever for one lost message.</summary>
    [Fact]
    public void A_lost_answer_to_a_read_round_does_not_make_a_live_voter_dead()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        ProtocolNode leader = cluster.Elect(1);
        cluster.Write("a");
        cluster.Tick(5);
        cluster.Filter = message => message is not ReadQuorumReply || message.From != IdOf(3);
        leader.Protocol.StartRead();
        cluster.Settle();
        Assert.Single(leader.ReadsReady);
        cluster.Tick(30);

        cluster[2].Crash();
        for (int i = 0; i < 50; i++)
        {
            cluster.Tick();
            Assert.Equal(Role.Leader, leader.Protocol.Role);
        }

        Assert.Equal(2, leader.Protocol.CurrentTerm.Value);
    }
}

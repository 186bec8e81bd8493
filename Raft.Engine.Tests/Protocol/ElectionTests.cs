using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

public class ElectionTests
{
    /// <summary>B1 single_node, B2 test_election_single_node, test_election_single_node_prevote, test_single_node_is_quiet, B3 test_single_node_commit, test_single_node_pre_candidate</summary>
    [Fact]
    public void A_sole_voter_elects_itself_and_commits_without_messages()
    {
        var cluster = new ProtocolCluster(voters: 1);
        cluster.Filter = message => throw new InvalidOperationException($"sent {message}");

        cluster.Tick();
        ProtocolNode node = cluster.Leader;
        Assert.Equal(new Term(2), node.Protocol.CurrentTerm);
        ProtocolCluster.Add(node, "a");
        cluster.Tick(50);

        Assert.Equal(["a"], ProtocolCluster.CommandsOf(node));
        Assert.Equal(new Term(2), node.Protocol.CurrentTerm);
        Assert.Equal(3, node.Protocol.CommitIndex.Value);
    }

    /// <summary>B1 campaign, B3 test_leader_election, test_proposal_1, test_proposal_2, test_proposal_3, test_proposal_4, test_proposal_5</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void One_leader_is_elected_and_everybody_knows_it(int voters)
    {
        var cluster = new ProtocolCluster(voters, learners: 1);
        ProtocolNode leader = cluster.Elect();
        ProtocolCluster.Add(leader, "a");
        cluster.Settle();
        cluster.Tick(2);

        Assert.All(cluster.Nodes, node => Assert.Equal(["a"], ProtocolCluster.CommandsOf(node)));
        Assert.All(cluster.Nodes, node => Assert.Equal(leader.Id, node.Protocol.Leader));
    }

    /// <summary>Rule 4: idle groups send nothing.</summary>
    [Fact]
    public void An_idle_group_sends_nothing()
    {
        var cluster = new ProtocolCluster(voters: 3, learners: 1);
        cluster.Elect();
        int sent = 0;
        cluster.Filter = _ => ++sent > 0;

        cluster.Tick(100);

        Assert.Equal(0, sent);
    }

    /// <summary>B2 test_election_two_nodes_prevote: a pre-vote does not move the term.</summary>
    [Fact]
    public void A_pre_candidate_keeps_its_term_and_asks_about_the_next()
    {
        var solo = new Solo(term: 4);
        VoteRequest[] requests = [.. solo.BecomePreCandidate().OfType<VoteRequest>()];

        Assert.Equal(2, requests.Length);
        Assert.All(requests, request => Assert.Equal((new Term(5), true), (request.Term, request.IsPreVote)));
        Assert.Equal(new Term(4), solo.Protocol.CurrentTerm);

        solo.Tick(200);
        Assert.Equal(new Term(4), solo.Protocol.CurrentTerm);
    }

    /// <summary>B2 test_election_two_nodes_prevote, rule 3: a grant speaks of the asked term, a refusal of the own one. PhD 9.6</summary>
    [Fact]
    public void A_granted_pre_vote_carries_the_asked_term_and_a_refusal_the_own()
    {
        var solo = new Solo(term: 4, log: [4]);

        var granted = (VoteReply)Assert.Single(solo.Tell(solo.AskVote(from: 2, term: 9, last: 2, lastTerm: 4, isPreVote: true)));
        var refused = (VoteReply)Assert.Single(solo.Tell(solo.AskVote(from: 2, term: 9, last: 1, lastTerm: 1, isPreVote: true)));

        Assert.Equal((true, new Term(9)), (granted.IsGranted, granted.Term));
        Assert.Equal((false, new Term(4)), (refused.IsGranted, refused.Term));
        Assert.Equal(new Term(4), solo.Protocol.CurrentTerm);
    }

    /// <summary>B2 test_election_four_nodes_prevote: pre-votes are answered also after voting.</summary>
    [Fact]
    public void A_pre_vote_does_not_use_up_the_vote()
    {
        var solo = new Solo();
        solo.Tell(solo.AskVote(from: 2, term: 2, last: 1, lastTerm: 1));
        var other = (VoteReply)Assert.Single(solo.Tell(solo.AskVote(from: 3, term: 3, last: 1, lastTerm: 1, isPreVote: true)));
        Assert.True(other.IsGranted);
        Assert.Equal(solo.Node.Disk.TermAndVote, new TermAndVote(new Term(2), ProtocolCluster.IdOf(2)));
    }

    /// <summary>B8 TestCandidateDeliversPreCandidateSelfVoteAfterBecomingCandidate, A7: the two kinds are never mixed.</summary>
    [Fact]
    public void A_late_pre_vote_does_not_count_as_a_vote()
    {
        var solo = new Solo(voters: 5);
        solo.BecomePreCandidate();
        solo.Tell(solo.Grant(2, isPreVote: true), solo.Grant(3, isPreVote: true));
        Assert.Equal(Role.Candidate, solo.Protocol.Role);

        long term = solo.Protocol.CurrentTerm.Value;
        solo.Tell(solo.Grant(4, isPreVote: true, term: term), solo.Grant(5, isPreVote: true, term: term));
        Assert.Equal(Role.Candidate, solo.Protocol.Role);
    }

    /// <summary>Rule 3, B2 test_election_two_nodes: whoever else has granted, the own vote must be durable.</summary>
    [Fact]
    public void A_candidate_leads_only_when_its_own_vote_is_durable()
    {
        var solo = new Solo();
        solo.BecomePreCandidate();
        solo.Node.Step(solo.Grant(2, isPreVote: true));
        solo.Node.Poll();
        Assert.Equal(Role.Candidate, solo.Protocol.Role);
        Assert.Empty(solo.Node.TakeSent());           // requests for votes wait for the disk as well

        solo.Node.Step(solo.Grant(2));
        solo.Node.Step(solo.Grant(3));
        solo.Node.Poll();
        Assert.Equal(Role.Candidate, solo.Protocol.Role);

        solo.Node.Settle();
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        Assert.Equal(solo.Self, solo.Node.Disk.TermAndVote.Vote);
    }

    /// <summary>Rule 1: a vote leaves when it is durable, never before.</summary>
    [Fact]
    public void A_vote_leaves_only_when_it_is_durable()
    {
        var solo = new Solo();
        solo.Node.Step(solo.AskVote(from: 2, term: 5, last: 1, lastTerm: 1));
        solo.Node.Poll();
        Assert.Empty(solo.Node.TakeSent());

        solo.Node.CompleteWrite();
        Assert.True(((VoteReply)Assert.Single(solo.Node.TakeSent())).IsGranted);
        Assert.Equal(new TermAndVote(new Term(5), ProtocolCluster.IdOf(2)), solo.Node.Disk.TermAndVote);
    }

    /// <summary>B9 3, B2 test_log_matching_rule: the vote is judged by the log with its not yet durable tail, and leaves after it. Planted: eng/defects/03-vote-outruns-the-log.defect</summary>
    [Fact]
    public void A_vote_never_outruns_the_log_it_was_judged_by()
    {
        var solo = new Solo();
        solo.Node.Step(solo.Append(term: 1, previous: 1, previousTerm: 1, entries: Solo.EntryOf(2, 1)));
        solo.Node.Poll();
        solo.Liveness.Sign = LeaderSign.Denies;
        solo.Protocol.OnLivenessChanged();
        for (int i = 0; i < 6; i++)
            solo.Protocol.Tick();

        solo.Node.Step(solo.AskVote(from: 3, term: 2, last: 1, lastTerm: 1));
        solo.Node.Step(solo.AskVote(from: 2, term: 2, last: 2, lastTerm: 1));
        solo.Node.Poll();
        Assert.Empty(solo.Node.TakeSent().OfType<VoteReply>());
        solo.Node.Settle();

        VoteReply[] replies = [.. solo.Node.TakeSent().OfType<VoteReply>()];
        Assert.Equal([false, true], replies.Select(reply => reply.IsGranted));
        Assert.Equal(2, solo.Node.Disk.Log.Count);
    }

    /// <summary>PhD 3.4, 3.8: once per term, also across a restart; a repetition is answered again.</summary>
    [Fact]
    public void A_vote_is_given_once_per_term_even_across_a_restart()
    {
        var solo = new Solo();
        solo.Tell(solo.AskVote(from: 2, term: 5, last: 1, lastTerm: 1));
        solo.Node.Crash();
        solo.Node.Start();

        Assert.False(((VoteReply)solo.Tell(solo.AskVote(from: 3, term: 5, last: 9, lastTerm: 4)).Single()).IsGranted);
        Assert.True(((VoteReply)solo.Tell(solo.AskVote(from: 2, term: 5, last: 1, lastTerm: 1)).Single()).IsGranted);
    }

    /// <summary>B2 test_log_matching_rule, PhD 3.6.1</summary>
    [Theory]
    [InlineData(3, 3, true)]
    [InlineData(4, 3, true)]
    [InlineData(2, 4, true)]
    [InlineData(2, 3, false)]
    [InlineData(9, 2, false)]
    public void A_vote_needs_a_log_at_least_as_up_to_date(long last, long lastTerm, bool isGranted)
    {
        var solo = new Solo(term: 3, log: [2, 3]);
        var reply = (VoteReply)Assert.Single(solo.Tell(solo.AskVote(from: 2, term: 5, last, lastTerm)));
        Assert.Equal(isGranted, reply.IsGranted);
        Assert.Equal(new Term(5), solo.Protocol.CurrentTerm);
    }

    /// <summary>B2 test_votes: unknown voters and learners do not count; the first answer does.</summary>
    [Fact]
    public void Votes_of_learners_and_strangers_do_not_count()
    {
        var solo = new Solo(voters: 3, learners: 1);
        solo.BecomeCandidate();
        solo.Tell(solo.Grant(4), solo.Grant(77), solo.Grant(2, isGranted: false), solo.Grant(2));
        Assert.Equal(Role.Candidate, solo.Protocol.Role);
        solo.Tell(solo.Grant(3));
        Assert.Equal(Role.Leader, solo.Protocol.Role);
    }

    /// <summary>B2 test_election_four_nodes: three of four are needed, and who follows a leader of the term votes for nobody else in it.</summary>
    [Fact]
    public void Of_four_voters_three_are_needed_and_a_known_leader_gets_no_rival_in_its_term()
    {
        var solo = new Solo(voters: 4);
        solo.BecomeCandidate();
        solo.Tell(solo.Grant(2));
        Assert.Equal(Role.Candidate, solo.Protocol.Role);
        solo.Tell(solo.Grant(3));
        Assert.Equal(Role.Leader, solo.Protocol.Role);

        var follower = new Solo(voters: 4, term: 2);
        follower.Tell(follower.Append(term: 2, previous: 1, previousTerm: 1));
        Assert.False(((VoteReply)follower.Tell(follower.AskVote(from: 3, term: 2, last: 9, lastTerm: 1)).Single()).IsGranted);
    }

    /// <summary>A7: a lost tally ends the campaign at once.</summary>
    [Fact]
    public void A_candidate_that_cannot_win_gives_up()
    {
        var solo = new Solo();
        solo.BecomeCandidate();
        solo.Tell(solo.Grant(2, isGranted: false), solo.Grant(3, isGranted: false));
        Assert.Equal(Role.Follower, solo.Protocol.Role);
    }

    /// <summary>B2 test_election_two_nodes: stale answers are ignored, higher terms demote.</summary>
    [Fact]
    public void Stale_votes_are_ignored_and_higher_terms_of_members_demote()
    {
        var solo = new Solo();
        solo.BecomeCandidate();
        long term = solo.Protocol.CurrentTerm.Value;
        solo.Tell(solo.Grant(2, term: term - 1), solo.Grant(3, term: term - 1));
        Assert.Equal(Role.Candidate, solo.Protocol.Role);

        solo.Tell(solo.Grant(77, isGranted: false, term: term + 5));
        Assert.Equal(Role.Candidate, solo.Protocol.Role);
        solo.Tell(solo.Grant(2, isGranted: false, term: term + 5));
        Assert.Equal((Role.Follower, new Term(term + 5)), (solo.Protocol.Role, solo.Protocol.CurrentTerm));
    }

    /// <summary>B2 test_non_voter_election_timeout, test_empty_configuration, rule 3</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void A_learner_or_a_stranger_never_campaigns(int self)
    {
        var solo = new Solo(voters: 3, learners: 1, self: self);
        Assert.Empty(solo.Tick(300));
        Assert.Empty(solo.Tell(new TimeoutNow(ProtocolCluster.IdOf(2), solo.Self, new Term(1))));
        Assert.Equal((Role.Follower, new Term(1)), (solo.Protocol.Role, solo.Protocol.CurrentTerm));
    }

    /// <summary>B9 11, B1 campaign_learner_must_vote, B2 test_non_voter_can_vote. Planted: eng/defects/11-learner-does-not-vote.defect</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void A_learner_or_a_stranger_answers_votes(int self)
    {
        var solo = new Solo(voters: 3, learners: 1, self: self);
        Assert.True(((VoteReply)solo.Tell(solo.AskVote(from: 2, term: 2, last: 1, lastTerm: 1)).Single()).IsGranted);
    }

    /// <summary>B9 14: the only complete log may be that of a server whose removal is not committed.</summary>
    [Fact]
    public void A_server_whose_removal_is_not_committed_may_campaign()
    {
        var solo = new Solo(voters: 3);
        var without = new Configuration([ProtocolCluster.MemberOf(2), ProtocolCluster.MemberOf(3)], []);
        var removal = new Entry(new LogIndex(2), new Term(1), EntryKind.Configuration, timeMs: 1, without.Encode());
        solo.Tell(solo.Append(term: 1, previous: 1, previousTerm: 1, entries: removal));
        Assert.False(solo.Protocol.Configuration.Contains(solo.Self));

        solo.BecomePreCandidate();

        solo.Tell(solo.Append(term: 1, previous: 2, previousTerm: 1, commit: 2));
        solo.Tick(200);
        Assert.Equal(Role.Follower, solo.Protocol.Role);
    }

    /// <summary>Rule 12: a request that names another disk under our name is not for us.</summary>
    [Fact]
    public void A_message_for_another_disk_is_not_read()
    {
        var solo = new Solo();
        var twin = new ServerId(solo.Self.Node, new StorageId(99));
        Assert.Empty(solo.Tell(solo.AskVote(from: 2, term: 5, last: 1, lastTerm: 1) with { To = twin }));
        Assert.Equal(new Term(1), solo.Protocol.CurrentTerm);
    }

    /// <summary>B3 test_vote_from_any_state: (with the transfer mark, as rule 4 protects leaders)</summary>
    [Fact]
    public void A_marked_vote_of_a_higher_term_is_granted_from_any_role()
    {
        foreach (Action<Solo> become in new Action<Solo>[] { _ => { }, s => s.BecomePreCandidate(), s => s.BecomeCandidate(), s => s.BecomeLeader() })
        {
            var solo = new Solo();
            become(solo);
            long term = solo.Protocol.CurrentTerm.Value + 1;
            VoteReply reply = solo.Tell(solo.AskVote(from: 2, term, last: 9, lastTerm: term - 1, isTransfer: true)).OfType<VoteReply>().Single();
            Assert.True(reply.IsGranted);
            Assert.Equal((Role.Follower, new Term(term)), (solo.Protocol.Role, solo.Protocol.CurrentTerm));
        }
    }

    /// <summary>B9 24, B1 prevote, B3 test_dueling_candidates, test_dueling_pre_candidates: a node that comes back from isolation does not disturb. Planted: eng/defects/24-no-pre-vote.defect</summary>
    [Fact]
    public void An_isolated_node_that_returns_does_not_disturb()
    {
        var cluster = new ProtocolCluster(voters: 3);
        ProtocolNode leader = cluster.Elect(1);
        cluster.Isolate(cluster[3]);
        Term term = leader.Protocol.CurrentTerm;
        cluster.Tick(200);
        ProtocolCluster.Add(leader, "a");
        cluster.Tick(5);
        Assert.Equal(term, cluster[3].Protocol.CurrentTerm);

        cluster.Heal();
        cluster.Tick(50);
        Assert.Equal((leader, term), (cluster.Leader, leader.Protocol.CurrentTerm));
        Assert.Equal(["a"], ProtocolCluster.CommandsOf(cluster[3]));
    }

    /// <summary>B9 24, B8 TestDisruptiveFollower, TestFreeStuckCandidateWithCheckQuorum, B4 drops_04_dueling_repro: a higher term is met and passed.</summary>
    [Fact]
    public void A_member_stuck_at_a_higher_term_joins_again()
    {
        var cluster = new ProtocolCluster(voters: 4);
        ProtocolNode leader = cluster.Elect(1);
        cluster[3].Crash();
        cluster[3].Disk.Write(new PersistRequest(new TermAndVote(new Term(20), null), null, []));
        ProtocolCluster.Add(leader, "a");
        cluster.Settle();
        cluster[3].Start();

        cluster.TickUntil(() => cluster.LeaderOrNull is { } now && now.Protocol.CurrentTerm > new Term(20)
            && cluster.Nodes.All(node => node.Protocol.Leader == now.Id));
        cluster.Tick(3);
        Assert.True(cluster.Leader.Protocol.CurrentTerm < new Term(25));
        Assert.All(cluster.Nodes, node => Assert.Equal(["a"], ProtocolCluster.CommandsOf(node)));
    }

    /// <summary>Rule 4: failover well within two election time-outs when a process is known to be gone.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_dead_leader_is_replaced_soon(int seed)
    {
        var cluster = new ProtocolCluster(voters: 3, seed: seed);
        ProtocolNode old = cluster.Elect();
        old.Crash();
        cluster.TickUntil(() => cluster.LeaderOrNull is not null, ticksMax: 40);
        Assert.NotEqual(old.Id, cluster.Leader.Id);
    }

    /// <summary>B1 prevote_checkquorum, B9 24: the majority goes on, the minority's leader gives up, terms do not explode.</summary>
    [Fact]
    public void An_isolated_leader_is_replaced_and_its_tail_is_overwritten()
    {
        var cluster = new ProtocolCluster(voters: 5);
        ProtocolNode old = cluster.Elect(1);
        ProtocolCluster.Add(old, "kept");
        cluster.Tick(3);
        cluster.Isolate(old);
        ProtocolCluster.Add(old, "lost");
        cluster.TickUntil(() => cluster.LeaderOrNull is { } now && now != old, ticksMax: 60);
        ProtocolCluster.Add(cluster.Leader, "new");
        cluster.Tick(20);
        Assert.Equal(Role.PreCandidate, old.Protocol.Role);
        Assert.Equal(["kept"], ProtocolCluster.CommandsOf(old));

        cluster.Heal();
        cluster.Tick(30);
        Assert.All(cluster.Nodes, node => Assert.Equal(["kept", "new"], ProtocolCluster.CommandsOf(node)));
        Assert.True(cluster.Leader.Protocol.CurrentTerm < new Term(6));
    }

    /// <summary>B9 24: one-way partitions: a leader that hears nobody, and a follower that hears nobody.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_one_way_partition_does_not_stop_the_group(bool isLeaderDeaf)
    {
        var cluster = new ProtocolCluster(voters: 3);
        ProtocolNode old = cluster.Elect(1);
        ProtocolNode deaf = isLeaderDeaf ? old : cluster[2];
        foreach (ProtocolNode other in cluster.Nodes.Where(node => node != deaf))
            cluster.Cut(other.Id, deaf.Id);

        cluster.Tick(100);
        ProtocolNode leader = cluster.Leader;
        Assert.Equal(isLeaderDeaf, leader != old);
        ProtocolCluster.Add(leader, "a");
        cluster.Tick(2);
        Assert.Equal(["a"], ProtocolCluster.CommandsOf(leader));
        Assert.True(leader.Protocol.CurrentTerm < new Term(8));
    }
}

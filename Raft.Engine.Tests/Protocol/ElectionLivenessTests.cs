using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Pre-vote and quorum check together must always find a leader, soon, and in few terms. B9 24; PhD 9.6; rule 4.</summary>
public class ElectionLivenessTests
{
    private const int TwoElections = 40;

    /// <summary>B9 24, B1 prevote_checkquorum: all that are left ask for pre-votes at once.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_majority_of_pre_candidates_finds_a_leader(int seed)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 5, seed: seed).Checked();
        ProtocolNode old = cluster.Elect();
        cluster.Filter = message => message is not VoteRequest;
        old.Crash();
        cluster.TickUntil(() => cluster.Nodes.All(node => !node.IsUp || node.Protocol.Role == Role.PreCandidate));
        Term term = old.Protocol.CurrentTerm;
        Assert.All(cluster.Nodes, node => Assert.Equal(term, node.Protocol.CurrentTerm));

        cluster.Filter = _ => true;
        cluster.TickUntil(() => cluster.LeaderOrNull is not null, TwoElections);
        cluster.Write("a");
        Assert.True(cluster.Leader.Protocol.CurrentTerm <= new Term(term.Value + 3));
    }

    /// <summary>B9 24, B8 TestNodeWithSmallerTermCanCompleteElection: it was away while terms passed, and is needed for the majority now.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_node_of_a_smaller_term_completes_an_election(int seed)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3, seed: seed).Checked();
        cluster.Elect(1);
        cluster.Isolate(cluster[3]);
        for (int i = 0; i < 3; i++)
        {
            cluster.Leader.Protocol.BeginTransfer(target: null);
            cluster.Settle();
        }

        Add(cluster.Leader, "a");
        cluster.Tick(2);
        Assert.True(cluster.Leader.Protocol.CurrentTerm > cluster[3].Protocol.CurrentTerm.Next);
        ProtocolNode old = cluster.Leader;
        old.Crash();
        cluster.Tick(TwoElections);
        cluster.Heal();
        cluster.TickUntil(() => cluster.LeaderOrNull is not null, TwoElections);
        cluster.Write("b");
        Assert.Equal(["a", "b"], CommandsOf(cluster[3]));
    }

    /// <summary>B9 24, B8 TestDisruptiveFollowerPreVote, TestFreeStuckCandidateWithCheckQuorum: cut off for long, with a log that is behind, it
    /// comes back and disturbs nobody.</summary>
    [Fact]
    public void A_follower_that_was_away_for_long_comes_back_into_the_same_term()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 5).Checked();
        ProtocolNode leader = cluster.Elect(1);
        Term term = leader.Protocol.CurrentTerm;
        cluster.Isolate(cluster[4]);
        cluster.Isolate(cluster[5]);
        for (int i = 0; i < 20; i++)
        {
            Add(leader, $"c{i}");
            cluster.Tick(20);
        }

        cluster.Heal();
        cluster.TickUntil(() => cluster.Nodes.All(node => node.Protocol.Leader == leader.Id && CommandsOf(node).Length == 20), TwoElections);
        Assert.All(cluster.Nodes, node => Assert.Equal(term, node.Protocol.CurrentTerm));
    }

    /// <summary>B9 24: faults 8 and 9, whatever is cut, one way or both, a majority that can talk to each other has a leader, and terms stay few.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Terms_do_not_explode_under_partial_partitions(int seed)
    {
        var random = new Random(seed);
        ProtocolCluster cluster = new ProtocolCluster(voters: 5, seed: seed).Checked();
        cluster.Elect();
        Term term = cluster.Leader.Protocol.CurrentTerm;
        const int Rounds = 20;
        for (int round = 0; round < Rounds; round++)
        {
            int[] order = [.. Enumerable.Range(1, 5).OrderBy(_ => random.Next())];
            int[] core = order[..3];                                            // these three hear each other, both ways
            foreach (int a in order)
            {
                foreach (int b in order)
                {
                    if (a != b && !(core.Contains(a) && core.Contains(b)) && random.Next(3) > 0)
                        cluster.Cut(IdOf(a), IdOf(b));
                }
            }

            cluster.Tick(100);
            Assert.Contains(cluster.Nodes, node => node.Protocol.Role == Role.Leader);
            cluster.Heal();
            cluster.Tick(20);
        }

        cluster.Write("after");
        Assert.InRange(cluster.Leader.Protocol.CurrentTerm.Value - term.Value, 0, 3 * Rounds);
    }

    /// <summary>B9 26, B2 test_leader_transferee_dies_upon_receiving_timeout_now: the target dies on receiving it; the rest elect as ever.</summary>
    [Fact]
    public void A_target_that_dies_with_timeout_now_costs_one_election_at_most()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        ProtocolNode leader = cluster.Elect(1);
        cluster.Filter = message =>
        {
            if (message is TimeoutNow)
                cluster[2].Crash();
            return true;
        };
        leader.Protocol.BeginTransfer(IdOf(2));
        cluster.Settle();
        Assert.False(cluster[2].IsUp);
        cluster.TickUntil(() => cluster.LeaderOrNull is { Protocol.IsTransferring: false }, TwoElections);
        cluster.Write("after");
    }

    /// <summary>B9 26, rule 10: dead, unknown, itself, a learner: refused with the reason, nothing changes.</summary>
    [Fact]
    public void A_transfer_to_nobody_who_could_lead_is_refused()
    {
        var solo = new Solo(voters: 3, learners: 1);
        Assert.Equal(TransferStart.NotLeader, To("n2"));
        solo.BecomeLeader();
        solo.Liveness.Dead.Add(IdOf(3));
        Assert.Equal(TransferStart.NotAlive, To("n3"));
        Assert.Equal(TransferStart.NotVoter, To("n4"));
        Assert.Equal(TransferStart.Self, To("n1"));
        Assert.Equal(TransferStart.UnknownTarget, To("n9"));
        Assert.False(solo.Protocol.IsTransferring);
        Assert.Equal(TransferStart.Started, To("n2"));
        Assert.Equal(TransferStart.InProgress, To("n2"));

        TransferStart To(string node) => solo.Protocol.BeginTransfer(new NodeId(node), ticks: 10);
    }

    /// <summary>B9 26, B2 test_leader_stepdown: a target that never catches up: nothing is asked of it, and the leader serves on in time.</summary>
    [Fact]
    public void A_target_that_dies_meanwhile_ends_the_transfer_in_time()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 1));
        Assert.Equal(TransferStart.Started, solo.Protocol.BeginTransfer(new NodeId("n3"), ticks: 5));
        Assert.Null(solo.Protocol.AddEntry(EntryKind.Command, default, timeMs: 1));
        solo.Liveness.Dead.Add(IdOf(3));
        for (int i = 0; i < 5; i++)
        {
            solo.Tell(solo.Accept(2, match: 2));
            Assert.Empty(solo.Tick().OfType<TimeoutNow>());
        }

        Assert.Equal((false, Role.Leader), (solo.Protocol.IsTransferring, solo.Protocol.Role));
        Assert.NotNull(solo.Protocol.AddEntry(EntryKind.Command, default, timeMs: 1));
    }
}

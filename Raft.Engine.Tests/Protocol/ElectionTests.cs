using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

public class ElectionTests
{
    /// <summary>B1 single_node, B2 test_election_single_node(_prevote), test_single_node_is_quiet, B3 test_single_node_commit</summary>
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

    /// <summary>B1 campaign, B3 test_leader_election</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void One_leader_is_elected_and_everybody_knows_it(int voters)
    {
        var cluster = new ProtocolCluster(voters);
        ProtocolNode leader = cluster.Elect();
        ProtocolCluster.Add(leader, "a");
        cluster.Settle();
        cluster.Tick(2);

        Assert.All(cluster.Nodes, node => Assert.Equal(["a"], ProtocolCluster.CommandsOf(node)));
        Assert.All(cluster.Nodes, node => Assert.Equal(leader.Id, node.Protocol.Leader));
    }

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
}

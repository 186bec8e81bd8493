using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Handing over. PhD 3.10; rule 10.</summary>
public class TransferTests
{
    /// <summary>B9 26, B3 test_leader_transfer_ignore_proposal, B4 leader_changes</summary>
    [Theory]
    [InlineData(null)]
    [InlineData(3)]
    public void Leadership_goes_to_the_target_without_waiting_for_a_timeout(int? target)
    {
        var cluster = new ProtocolCluster(voters: 3);
        ProtocolNode old = cluster.Elect(1);
        Add(old, "a");
        Assert.True(old.Protocol.BeginTransfer(target is { } number ? IdOf(number) : null));
        Assert.Null(old.Protocol.AddEntry(EntryKind.Command, default, timeMs: 1));
        cluster.Settle();
        Assert.NotEqual(old, cluster.Leader);
        if (target is { } expected)
            Assert.Equal(IdOf(expected), cluster.Leader.Id);
        cluster.Tick(3);
        Assert.All(cluster.Nodes, node => Assert.Equal(["a"], CommandsOf(node)));
    }

    /// <summary>B8 TestLeaderTransferToSlowFollower, B9 26: a lagging target is caught up first. Planted: eng/defects/26-lagging-target-is-asked-to-campaign.defect</summary>
    [Fact]
    public void Timeout_now_goes_only_to_a_target_that_has_everything()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2));
        Add(solo.Node, "a");
        Assert.True(solo.Protocol.BeginTransfer(IdOf(3)));
        solo.Node.Settle();
        Assert.Empty(solo.Node.TakeSent().OfType<TimeoutNow>());
        Assert.Empty(solo.Tell(solo.Accept(3, match: 2)).OfType<TimeoutNow>());
        Assert.Equal(IdOf(3), Assert.Single(solo.Tell(solo.Accept(3, match: 3)).OfType<TimeoutNow>()).To);
    }

    /// <summary>B9 26, B3 test_leader_transfer_timeout, B2 test_leader_transfer_lost_timeout_now. Planted: eng/defects/26-transfer-never-ends.defect</summary>
    [Fact]
    public void A_transfer_that_does_not_succeed_ends_and_the_leader_serves_on()
    {
        var cluster = new ProtocolCluster(voters: 3);
        ProtocolNode leader = cluster.Elect(1);
        cluster.Filter = message => message is not TimeoutNow;
        Assert.True(leader.Protocol.BeginTransfer(IdOf(2)));
        cluster.Tick(9);
        Assert.True(leader.Protocol.IsTransferring);
        cluster.Tick(1);
        Assert.False(leader.Protocol.IsTransferring);
        Add(leader, "after");
        cluster.Settle();
        Assert.Equal(["after"], CommandsOf(leader));
        Assert.Equal(leader, cluster.Leader);
    }

    /// <summary>B9 26, B2 test_leader_transfer_lost_force_vote_request: the target falls back to a normal election.</summary>
    [Fact]
    public void Lost_marked_votes_do_not_stall_the_group()
    {
        var cluster = new ProtocolCluster(voters: 3);
        ProtocolNode leader = cluster.Elect(1);
        cluster.Filter = message => message is not VoteRequest { IsTransfer: true };
        leader.Protocol.BeginTransfer(IdOf(2));
        cluster.Settle();
        cluster.TickUntil(() => cluster.LeaderOrNull is { } now && cluster.Nodes.All(node => node.Protocol.Leader == now.Id));
        while (cluster.Leader.Protocol.IsTransferring)
            cluster.Tick();
        Add(cluster.Leader, "after");
        cluster.Tick(3);
        Assert.All(cluster.Nodes, node => Assert.Equal(["after"], CommandsOf(node)));
    }

    /// <summary>B3 test_leader_transfer_one_node_cluster, test_leader_transfer_one_voter, test_transfer_non_member, B2 test_non_voter_gets_timeout_now</summary>
    [Fact]
    public void There_must_be_another_voter_to_hand_over_to()
    {
        var solo = new Solo(voters: 1, learners: 1);
        Assert.False(solo.Protocol.BeginTransfer(null));
        solo.Tick();
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        Assert.False(solo.Protocol.BeginTransfer(null));
        Assert.False(solo.Protocol.BeginTransfer(IdOf(2)));
        Assert.False(solo.Protocol.BeginTransfer(IdOf(77)));
    }

    /// <summary>Rule 2: a leader with a stalled disk hands over what a quorum of the others has.</summary>
    [Fact]
    public void A_leader_with_a_stalled_disk_can_hand_over()
    {
        var solo = new Solo();
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        Add(solo.Node, "a");
        solo.Node.Poll();
        solo.Node.TakeSent();
        solo.Node.Step(solo.Accept(2, match: 3));
        Assert.True(solo.Protocol.BeginTransfer(null));
        solo.Node.Poll();
        Assert.Equal(IdOf(2), Assert.Single(solo.Node.TakeSent().OfType<TimeoutNow>()).To);
    }

    /// <summary>Rule 10: n2 has everything, and its disk hangs from the moment that it is asked. Planted: eng/defects/P10-hand-over-insists-on-one-target.defect</summary>
    [Fact]
    public void A_hand_over_without_a_target_tries_another_voter_when_one_does_not_take_over()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 5).Checked();
        cluster.Elect(1);
        cluster[2].IsDiskStuck = true;
        var asked = new HashSet<ServerId>();
        cluster.Filter = message => message is not TimeoutNow || asked.Add(message.To) || true;
        for (int i = 0; i < 60 && cluster.LeaderOrNull?.Id == IdOf(1); i++)
        {
            cluster[1].Protocol.BeginTransfer(target: null, ticks: 10);     // as a server with a stalled disk does at every tick
            cluster.Tick();
        }

        Assert.True(cluster.Leader.Id != IdOf(1), $"asked {string.Join(' ', asked)}\n{cluster.Describe()}");
    }

    /// <summary>Rules 8 and 10: a removed leader can append nothing while it tries to hand over. The first voter that it asks hangs, and
    /// then all of them do not hear it: it steps down, and they elect. Planted: eng/defects/P11-removed-leader-tries-for-ever.defect</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_removed_leader_hands_over_to_another_or_steps_down(bool isUnheard)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 5).Checked();
        cluster.Elect(1);
        Assert.Equal(ChangeOutcome.Appended, cluster.Change(2, 3, 4, 5).Outcome);
        ProtocolNode? stuck = null;
        cluster.Filter = message =>
        {
            if (message is TimeoutNow && stuck is null)
                (stuck = cluster.Find(message.To)!).IsDiskStuck = true;
            return message is not TimeoutNow || !isUnheard;
        };
        cluster.TickUntil(() => cluster.LeaderOrNull is { } leader && leader.Id != IdOf(1) && leader.Protocol.CommitIndex == leader.Protocol.LastIndex, ticksMax: 80);
        cluster.Tick(3);
        Assert.Equal(Role.Follower, cluster[1].Protocol.Role);
        Assert.NotEqual(stuck!.Id, cluster.Leader.Id);
    }
}

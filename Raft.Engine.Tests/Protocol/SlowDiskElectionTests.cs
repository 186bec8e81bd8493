using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Elections on disks that take longer for a write than an election time-out. PhD 3.4; rules 1 and 3.</summary>
public class SlowDiskElectionTests
{
    /// <summary>A candidate that begins a new term while its own vote is still on the way to the disk never leads, however long it goes
    /// on.</summary>
    [Theory]
    [InlineData(1, 22)]
    [InlineData(3, 6)]
    [InlineData(3, 12)]
    [InlineData(3, 40)]
    [InlineData(5, 25)]
    public void A_slow_disk_does_not_keep_a_group_from_electing(int voters, int ticksPerWrite)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters).Checked();
        var disks = cluster.Nodes.Select(node => new SlowDisk(node, ticksPerWrite)).ToList();
        int now = 0;
        for (; now < 600 && cluster.LeaderOrNull is null; now++)
            TickWith(cluster, disks, now);

        Assert.True(cluster.LeaderOrNull is not null, $"no leader in {now} ticks\n{cluster.Describe()}");
        Term term = cluster.Leader.Protocol.CurrentTerm;
        Assert.True(term < new Term(6), $"{term} in {now} ticks");
        for (; now < 1000; now++)
            TickWith(cluster, disks, now);
        Assert.Equal(term, cluster.Leader.Protocol.CurrentTerm);
    }

    /// <summary>The candidate's disk is fast, those of the voters are not: their votes come when it has begun to ask again.
    /// Planted: eng/defects/P15-votes-of-an-earlier-attempt-are-forgotten.defect</summary>
    [Fact]
    public void Votes_that_come_late_still_count()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        var disks = cluster.Nodes.Skip(1).Select(node => new SlowDisk(node, ticksPerWrite: 45)).ToList();
        int now = 0;
        for (; now < 600 && cluster.LeaderOrNull is null; now++)
            TickWith(cluster, disks, now);
        Assert.True(cluster.Leader.Protocol.CurrentTerm < new Term(4), $"{cluster.Leader.Protocol.CurrentTerm} in {now} ticks");
    }

    /// <summary>A server gives way to another one's campaign, once: one that is heard and hears no answer must not keep the others from
    /// electing.</summary>
    [Fact]
    public void A_server_that_hears_nothing_does_not_hold_up_the_others_for_ever()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 5).Checked();
        cluster.Elect(1);
        cluster[1].Crash();
        foreach (ProtocolNode other in cluster.Nodes)
            cluster.Cut(other.Id, IdOf(2));
        cluster.TickUntil(() => cluster.LeaderOrNull is { } leader && leader.Id != IdOf(2), ticksMax: 60);
    }

    /// <summary>It starts again and again and its one write takes for ever: one term, one vote. Planted: eng/defects/P03-slow-disk-restarts-elections.defect</summary>
    [Fact]
    public void A_sole_voter_keeps_its_term_until_its_vote_is_durable()
    {
        var solo = new Solo(voters: 1);
        solo.Node.IsDiskStuck = true;
        solo.Tick(500);
        Assert.Equal((Role.Candidate, 2L), (solo.Protocol.Role, solo.Protocol.CurrentTerm.Value));
        Assert.Equal(1, solo.Node.WritesUnderWay);
        solo.Node.IsDiskStuck = false;
        solo.Tick();
        Assert.Equal((Role.Leader, 2L), (solo.Protocol.Role, solo.Protocol.CurrentTerm.Value));
    }

    /// <summary>A hung disk is asked for nothing more: what waits behind it does not grow.</summary>
    [Fact]
    public void A_server_whose_disk_hangs_does_not_campaign_and_queues_nothing()
    {
        var solo = new Solo(voters: 3);
        solo.Node.IsDiskStuck = true;
        solo.BecomePreCandidate();
        solo.Tell(solo.Grant(2, isPreVote: true));
        Assert.Equal((Role.Candidate, 1), (solo.Protocol.Role, solo.Node.WritesUnderWay));
        Term term = solo.Protocol.CurrentTerm;
        solo.Tick(1000);
        Assert.Equal((term, 1), (solo.Protocol.CurrentTerm, solo.Node.WritesUnderWay));
    }

    /// <summary>A vote for another one is a promise as well: until it is durable its giver does not begin an election of its own.</summary>
    [Fact]
    public void A_voter_whose_vote_is_being_written_waits()
    {
        var solo = new Solo(voters: 3);
        solo.Node.IsDiskStuck = true;
        solo.Tell(solo.AskVote(from: 2, term: 5, last: 1, lastTerm: 1));
        solo.Tick(200);
        Assert.Equal((Role.Follower, 5L), (solo.Protocol.Role, solo.Protocol.CurrentTerm.Value));
        solo.Node.IsDiskStuck = false;
        Assert.True(Assert.Single(solo.Tick(5).OfType<VoteReply>()).IsGranted);
        Assert.Equal(Role.Follower, solo.Protocol.Role);
        solo.Tick(85);                          // now longer than usual: the candidate's disk may be as slow as this one was
        Assert.Equal(Role.Follower, solo.Protocol.Role);
        solo.Tick(100);
        Assert.Equal(Role.PreCandidate, solo.Protocol.Role);
    }

    /// <summary>Whoever gave leadership of a term up must be elected for another one: votes that come twice do not bring it back.</summary>
    [Fact]
    public void Votes_of_a_term_that_was_led_already_do_not_count_again()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        Term term = solo.Protocol.CurrentTerm;
        solo.Liveness.Dead.UnionWith([IdOf(2), IdOf(3)]);
        solo.Tick(11);
        Assert.Equal(Role.Follower, solo.Protocol.Role);
        solo.BecomePreCandidate();
        solo.Tell(solo.Grant(2, term: term.Value), solo.Grant(3, term: term.Value));
        Assert.Equal((Role.PreCandidate, term), (solo.Protocol.Role, solo.Protocol.CurrentTerm));
    }

    private static void TickWith(ProtocolCluster cluster, List<SlowDisk> disks, int now)
    {
        cluster.Tick();
        foreach (SlowDisk disk in disks)
            disk.OnTick(now);
    }

    /// <summary>Completes each write so many ticks after it began, with all that was queued by then.</summary>
    private sealed class SlowDisk
    {
        private readonly ProtocolNode _node;
        private readonly int _ticksPerWrite;
        private readonly Queue<int> _begun = new();

        public SlowDisk(ProtocolNode node, int ticksPerWrite)
        {
            _node = node;
            _ticksPerWrite = ticksPerWrite;
            node.IsDiskStuck = true;
        }

        public void OnTick(int now)
        {
            while (_begun.Count > _node.WritesUnderWay)
                _begun.Dequeue();               // it had nothing to write
            while (_begun.Count < _node.WritesUnderWay)
                _begun.Enqueue(now);
            _node.IsDiskStuck = false;
            while (_begun.TryPeek(out int since) && now - since >= _ticksPerWrite)
            {
                _begun.Dequeue();
                _node.CompleteWrite();
            }

            _node.IsDiskStuck = true;
        }
    }
}

using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Whole changes of members: through leaders that die, leave, or are cut off. PhD 4.3; rule 8.</summary>
public class JointChangeTests
{
    private static ProtocolCluster Cluster(int voters, params int[] others)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters).Checked();
        foreach (int number in others)
            cluster.AddEmpty(number);
        cluster.Elect(1);
        cluster.Write("before");
        return cluster;
    }

    private static bool IsFinal(Message message) => message is AppendRequest append && append.Entries.Any(entry =>
        entry.Kind == EntryKind.Configuration && entry.Index.Value > 1 && Configuration.Decode(entry.Payload.Span) is { IsJoint: false } configuration
        && configuration.Current.All(member => member.Kind != MemberKind.Joining));

    /// <summary>How far the change from {1, 2, 3} to {3, 4, 5} is in the eyes of this node.</summary>
    private static string PhaseOf(ProtocolNode node)
    {
        Configuration configuration = node.Protocol.Configuration;
        bool isCommitted = node.Protocol.ConfigurationIndex <= node.Protocol.CommitIndex;
        string phase = configuration.IsJoint ? "joint" : configuration.Current.Any(member => member.Kind == MemberKind.Joining) ? "joining"
            : configuration.Contains(IdOf(1)) ? "before" : "final";
        return isCommitted ? phase + " committed" : phase;
    }

    /// <summary>A configuration without a voter could never be left again: its only voter leaves for
    /// a new disk of the same node, which only joins at first. Found by the simulator.</summary>
    [Fact]
    public void A_change_that_would_leave_nobody_to_vote_is_refused()
    {
        ProtocolCluster cluster = Cluster(1);
        Member newDisk = MemberOf(1) with { Storage = new StorageId(77) };
        ChangeResult result = cluster.Leader.Protocol.ProposeChange(new MembershipChange { Set = [newDisk] }, timeMs: 1);
        Assert.Equal(ChangeOutcome.Invalid, result.Outcome);
        Assert.False(cluster.Leader.Protocol.Configuration.IsJoint);
    }

    /// <summary>
    /// B9 13, B2 test_confchange_abc_to_cde, rule 8. The leader dies at every single message of a change of all members but
    /// one, and stays away or comes back. Whatever it had done of the change, nothing is lost, and once its target is
    /// committed the next leader finishes it. Planted: eng/defects/13-next-leader-does-not-finish.defect
    /// </summary>
    [Fact]
    public void The_leader_may_die_at_any_message_of_a_change()
    {
        var phases = new HashSet<string>();
        var ends = new HashSet<string>();
        bool isOver = false;
        for (int at = 1; !isOver; at++)
        {
            ProtocolCluster cluster = Cluster(3, 4, 5);
            ProtocolNode old = cluster[1];
            int messages = 0;
            cluster.Filter = message =>
            {
                if (++messages == at)
                {
                    phases.Add(PhaseOf(old));
                    old.Crash();
                }

                return old.IsUp || at % 2 == 0 || message.From != old.Id;       // what it had sent arrives, or is lost with it
            };
            cluster.Change(3, 4, 5);
            cluster.TickUntil(() => !old.IsUp || cluster.HasSettledOn(3, 4, 5), ticksMax: 100);
            isOver = old.IsUp;

            // What anybody who goes on has of the change decides.
            if (at % 4 < 2 && !isOver)
                old.Start();
            cluster.TickUntil(() => cluster.HasSettledOn(1, 2, 3) || cluster.HasSettledOn(3, 4, 5));
            ends.Add(cluster.Leader.Protocol.Configuration.Contains(IdOf(1)) ? "old" : "new");
            cluster.Write("after");
            if (!old.IsUp)
                old.Start();
            cluster.Tick(40);
            foreach (ProtocolNode node in cluster.Nodes.Where(node => cluster.Leader.Protocol.Configuration.Contains(node.Id)))
                Assert.Equal(["before", "after"], CommandsOf(node));
            Assert.True(cluster.Leader.Protocol.CurrentTerm < new Term(8), cluster.Describe());
        }

        Assert.Superset(new HashSet<string> { "joining", "joining committed", "joint", "final", "final committed" }, phases);
        Assert.Equal(["new", "old"], ends.Order());
    }

    /// <summary>B9 13, B2 test_confchange_abc_to_cde: the leader is cut off with the joint configuration; the next one finishes, and it follows.</summary>
    [Fact]
    public void The_next_leader_finishes_a_change_while_the_old_one_is_cut_off()
    {
        ProtocolCluster cluster = Cluster(3, 4, 5);
        bool isCut = false;
        cluster.Filter = message =>
        {
            if (!isCut && message is AppendReply && cluster[1].Protocol.Configuration.IsJoint)
            {
                isCut = true;
                cluster.Isolate(cluster[1]);
            }

            return cluster.IsConnected(message.From, message.To);
        };
        cluster.Change(3, 4, 5);
        cluster.TickUntil(() => isCut);
        Assert.True(cluster[1].Protocol.ConfigurationIndex > cluster[1].Protocol.CommitIndex);
        cluster.TickUntilSettledOn(3, 4, 5);
        cluster.Write("after");
        cluster.Heal();
        cluster.TickUntil(() => cluster[1].Protocol is { Role: Role.Follower } old && !old.Configuration.Contains(IdOf(1)));
        Assert.Equal(0, cluster.CountMessages(ticks: 100));
    }

    /// <summary>B9 13, B2 test_confchange_abcdef_to_abcgh: no step without a majority of the old set; who was removed does not disturb.</summary>
    [Fact]
    public void Without_a_majority_of_the_old_set_a_change_stands_still()
    {
        ProtocolCluster cluster = Cluster(6, 7, 8);
        bool isCut = false;
        cluster.Filter = message =>
        {
            if (!isCut && cluster[1].Protocol.Configuration.IsJoint)
            {
                isCut = true;
                foreach (int number in new[] { 4, 5, 6 })
                    cluster.Isolate(cluster[number]);
            }

            return cluster.IsConnected(message.From, message.To);
        };
        cluster.Change(1, 2, 3, 7, 8);
        cluster.TickUntil(() => isCut);
        LogIndex commit = cluster[1].Protocol.CommitIndex;
        cluster.Tick(100);
        Assert.All(cluster.Nodes, node => Assert.True(node.Protocol.CommitIndex <= commit));

        cluster.Heal();
        foreach (int number in new[] { 5, 6 })
            cluster.Isolate(cluster[number]);
        cluster.TickUntilSettledOn(1, 2, 3, 7, 8);
        cluster.Heal();
        Term term = cluster.Leader.Protocol.CurrentTerm;
        cluster.Write("after");
        cluster.Tick(200);
        Assert.Equal(term, cluster.Leader.Protocol.CurrentTerm);
        Assert.True(cluster.HasSettledOn(1, 2, 3, 7, 8));
    }

    /// <summary>B2 test_confchange_abcde_abcdefg: two of the old are down, writes go on.</summary>
    [Fact]
    public void A_group_grows_while_two_of_it_are_down_and_writes_go_on()
    {
        ProtocolCluster cluster = Cluster(5, 6, 7);
        cluster[4].Crash();
        cluster[5].Crash();
        cluster.Change(1, 2, 3, 4, 5, 6, 7);
        for (int i = 0; i < 100; i++)
        {
            Add(cluster.Leader, $"c{i}");
            cluster.Tick();
        }

        Assert.True(cluster.HasSettledOn(1, 2, 3, 4, 5, 6, 7));
        cluster[4].Start();
        cluster[5].Start();
        cluster.Write("after");
        Assert.All(cluster.Nodes, node => Assert.Equal(102, CommandsOf(node).Length));
    }

    /// <summary>B2 test_confchange_ab_to_cd: nobody stays; the old ones follow, then are quiet.</summary>
    [Fact]
    public void Disjoint_sets_change_in_one_step()
    {
        ProtocolCluster cluster = Cluster(2, 3, 4);
        cluster.Change(3, 4);
        cluster.TickUntilSettledOn(3, 4);
        cluster.Write("after");
        cluster.Tick(20);
        Assert.Equal(0, cluster.CountMessages(ticks: 200));
        Assert.All([cluster[1], cluster[2]], node => Assert.Equal(Role.Follower, node.Protocol.Role));
    }

    /// <summary>B9 15, B2 test_confchange_a_to_b: it hands over; started anew with what it has it stays quiet.</summary>
    [Fact]
    public void A_sole_voter_can_be_replaced_and_stays_quiet_after_a_restart()
    {
        ProtocolCluster cluster = Cluster(1, 2);
        cluster.Change(2);
        cluster.TickUntilSettledOn(2);
        Term term = cluster.Leader.Protocol.CurrentTerm;
        cluster[1].Crash();
        cluster[1].Start();
        cluster.Tick(200);
        Assert.Equal((IdOf(2), term), (cluster.Leader.Id, cluster.Leader.Protocol.CurrentTerm));
        Assert.Equal(0, cluster.CountMessages(ticks: 100));
    }

    /// <summary>
    /// B9 14, B2 test_candidate_outside_configuration: {1} to {2}; only n1 has the final configuration, which does not name it.
    /// n2 cannot win against its longer log, so n1 must be able to win, and then hands over. PhD 4.2.2
    /// Planted: eng/defects/14-only-members-campaign.defect
    /// </summary>
    [Fact]
    public void The_only_complete_log_may_be_that_of_a_server_outside_the_configuration()
    {
        ProtocolCluster cluster = Cluster(1, 2);
        cluster.Filter = message => !IsFinal(message);
        cluster.Change(2);
        cluster.TickUntil(() => !cluster[1].Protocol.Configuration.Contains(IdOf(1)));
        Assert.True(cluster[2].Protocol.Configuration.IsJoint);
        Term term = cluster[1].Protocol.CurrentTerm;
        cluster[1].Crash();
        cluster.Filter = _ => true;
        cluster.Tick(100);
        Assert.Null(cluster.LeaderOrNull);

        cluster[1].Start();
        cluster.TickUntilSettledOn(2);
        Assert.Contains(cluster[1].RoleChanges, change => change.Role == Role.Leader && change.Term > term);
        cluster.Write("after");
        Assert.Equal(["before", "after"], CommandsOf(cluster[2]));
    }

    /// <summary>
    /// B9 4, B1 confchange_v1_remove_leader, confchange_v1_remove_leader_stepdown, B2 test_leader_stepdown, PhD 4.2.2: its own
    /// disk counts for nothing, and it hands over when the final configuration is committed, not before.
    /// Planted: eng/defects/04-removed-leader-counts-itself.defect
    /// </summary>
    [Fact]
    public void A_removed_leader_does_not_count_itself_and_hands_over_when_its_removal_is_committed()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        solo.Protocol.ProposeChange(new MembershipChange { Remove = [IdOf(1)] }, timeMs: 1);
        solo.Tell(solo.Accept(2, match: 3), solo.Accept(3, match: 3));
        Assert.Equal((3L, 4L), (solo.Protocol.CommitIndex.Value, solo.Protocol.ConfigurationIndex.Value));
        Add(solo.Node, "above it");

        Assert.Empty(solo.Tell(solo.Accept(2, match: 5)).OfType<TimeoutNow>());
        Assert.Equal(3, solo.Protocol.CommitIndex.Value);               // n2 and itself are no majority of {2, 3}
        List<Message> sent = solo.Tell(solo.Accept(3, match: 4));
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);
        Assert.Equal(IdOf(2), Assert.Single(sent.OfType<TimeoutNow>()).To);
        Assert.Null(solo.Protocol.AddEntry(EntryKind.Command, default, timeMs: 1));
    }

    /// <summary>B9 4, B9 15, B1 confchange_v2_replace_leader_stepdown, B4 conf_changes_1: no timeout passes, and it cannot campaign afterwards.</summary>
    [Fact]
    public void A_leader_can_be_replaced_and_nobody_waits_for_a_timeout()
    {
        ProtocolCluster cluster = Cluster(3, 4);
        cluster.Change(2, 3, 4);
        cluster.TickUntil(() => cluster[1].Protocol.Role != Role.Leader);
        cluster.Settle();
        Assert.NotNull(cluster.LeaderOrNull);
        cluster.TickUntilSettledOn(2, 3, 4);
        cluster.Write("after");
        cluster[1].Crash();
        cluster[1].Start();
        Term term = cluster.Leader.Protocol.CurrentTerm;
        cluster.Tick(200);
        Assert.Equal(term, cluster.Leader.Protocol.CurrentTerm);
        Assert.Equal(Role.Follower, cluster[1].Protocol.Role);
    }

    /// <summary>B1 confchange_v2_replace_leader: handed over inside the joint configuration; the next leader leaves it.</summary>
    [Fact]
    public void Leadership_can_go_to_a_joiner_inside_the_joint_configuration()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        solo.Protocol.ProposeChange(To(2, 3, 4) with { IsForced = true }, timeMs: 1);
        solo.Tell(solo.Accept(4, match: 3));
        Assert.Equal(TransferStart.Started, solo.Protocol.BeginTransfer(new NodeId("n4"), ticks: 10));
        Assert.Equal(IdOf(4), Assert.Single(solo.Tell().OfType<TimeoutNow>()).To);

        // Committed meanwhile; nothing is appended after timeout-now, so it is left by n4, or by us when the transfer fails.
        solo.Tell(solo.Accept(2, match: 3), solo.Accept(3, match: 3));
        Assert.Equal((3L, 3L), (solo.Protocol.CommitIndex.Value, solo.Protocol.LastIndex.Value));
        for (int i = 0; i < 10; i++)
        {
            solo.Tell(solo.Accept(2, match: 3), solo.Accept(3, match: 3), solo.Accept(4, match: 3));
            solo.Tick();
        }

        Assert.Equal((false, 4L), (solo.Protocol.Configuration.IsJoint, solo.Protocol.LastIndex.Value));
    }

    /// <summary>B2 test_election_during_confchange: still joint it votes for whoever the new set brings; the deposed leader follows.</summary>
    [Fact]
    public void A_node_that_is_still_joint_votes_for_a_candidate_of_the_new_set()
    {
        ProtocolCluster cluster = Cluster(3, 4);
        cluster.Filter = message => !IsFinal(message) || message.To == IdOf(4);
        cluster.Change(1, 2, 4);
        cluster.TickUntil(() => cluster[4].Protocol.Configuration is { IsJoint: false } now && now.CanVote(IdOf(4)));
        Assert.True(cluster[2].Protocol.Configuration.IsJoint);
        ProtocolNode old = cluster[1];
        cluster.Isolate(old);
        cluster.TickUntil(() => cluster.LeaderOrNull is { } now && now != old);
        Assert.Equal(IdOf(4), cluster.Leader.Id);                       // the longest log of those left
        cluster.Filter = _ => true;
        cluster.Heal();
        cluster.TickUntilSettledOn(1, 2, 4);
        Assert.Equal(Role.Follower, old.Protocol.Role);
        cluster.Write("after");
    }

    /// <summary>
    /// B9 6, B2 test_tracker_voter_demotion_joint_config: while joint a voter that is being demoted votes, acknowledges, and is
    /// asked for reads. Planted: eng/defects/06-demoted-in-joint-does-not-count.defect
    /// </summary>
    [Fact]
    public void A_voter_that_is_being_demoted_counts_until_the_joint_configuration_is_left()
    {
        var joint = new Configuration([MemberOf(1), MemberOf(2, MemberKind.Learner), MemberOf(3, MemberKind.Learner)], ConfigurationOf(3).Current);
        var solo = new Solo(configuration: joint);
        VoteRequest[] asked = [.. solo.BecomePreCandidate().OfType<VoteRequest>()];
        Assert.Equal([2, 3], asked.Select(request => (int)request.To.Storage.Value));
        solo.Tell(solo.Grant(2, isPreVote: true));
        solo.Tell(solo.Grant(2));
        Assert.Equal(Role.Leader, solo.Protocol.Role);
        Assert.Equal(0, solo.Protocol.CommitIndex.Value);               // its own set alone decides nothing
        solo.Liveness.Dead.Add(IdOf(2));
        solo.Node.Settle();
        solo.Tell(solo.Accept(3, match: 2));
        Assert.Equal((3L, false), (solo.Protocol.CommitIndex.Value, solo.Protocol.Configuration.IsJoint));

        // The same with a read: asked of both while joint.
        var reader = new Solo(configuration: ConfigurationOf(3));
        reader.BecomeLeader();
        reader.Tell(reader.Accept(2, match: 2), reader.Accept(3, match: 2));
        reader.Protocol.ProposeChange(new MembershipChange { Set = joint.Current }, timeMs: 1);
        Assert.True(reader.Protocol.Configuration.IsJoint);
        ReadId read = reader.Protocol.StartRead()!.Value;
        ReadQuorumRequest[] requests = [.. reader.Tell().OfType<ReadQuorumRequest>()];
        Assert.Equal([2, 3], requests.Select(request => (int)request.To.Storage.Value));
        Assert.Empty(reader.Node.ReadsReady);
        reader.Tell(new ReadQuorumReply(IdOf(3), reader.Self, reader.Protocol.CurrentTerm, requests[1].ReadId));
        Assert.Equal(read, reader.Node.ReadsReady.Single().ReadId);
    }

    /// <summary>B2 test_votes: a joint election needs both sets, and one server may be voter in one and learner in the other.</summary>
    [Fact]
    public void A_joint_election_needs_both_sets()
    {
        var joint = new Configuration([MemberOf(1), MemberOf(4), MemberOf(5), MemberOf(3, MemberKind.Learner)], ConfigurationOf(3).Current);
        var solo = new Solo(configuration: joint);
        solo.BecomeCandidate();
        solo.Tell(solo.Grant(4), solo.Grant(5));
        Assert.Equal(Role.Candidate, solo.Protocol.Role);
        solo.Tell(solo.Grant(3));
        Assert.Equal(Role.Leader, solo.Protocol.Role);
    }

    /// <summary>B4 remove_node_cycle, conf_changes_2: every node leaves and comes back in turn, whoever leads.</summary>
    [Fact]
    public void Every_node_leaves_and_comes_back_in_turn()
    {
        ProtocolCluster cluster = Cluster(4);
        for (int round = 0; round < 8; round++)
        {
            int leaves = (round % 4) + 1;
            int[] left = [.. Enumerable.Range(1, 4).Where(number => number != leaves)];
            cluster.Change(left);
            cluster.TickUntilSettledOn(left);
            cluster.Write($"without n{leaves} {round}");
            cluster.Change(1, 2, 3, 4);
            cluster.TickUntilSettledOn(1, 2, 3, 4);
            cluster.Write($"with n{leaves} {round}");
        }

        Assert.All(cluster.Nodes, node => Assert.Equal(17, CommandsOf(node).Length));
    }

    /// <summary>B2 test_read_barrier, B9 27: the open round is asked of the new quorum; a removed leader does not confirm itself.</summary>
    [Fact]
    public void A_read_that_meets_a_change_is_confirmed_by_the_new_quorum()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        solo.Protocol.ProposeChange(new MembershipChange { Remove = [IdOf(1)] }, timeMs: 1);
        solo.Tell();
        ReadId read = solo.Protocol.StartRead()!.Value;
        ReadId first = solo.Tell().OfType<ReadQuorumRequest>().First().ReadId;

        // The commit of C_old,new and the append of C_new give it new numbers.
        List<Message> sent = solo.Tell(solo.Accept(2, match: 3), solo.Accept(3, match: 3));
        ReadId last = sent.OfType<ReadQuorumRequest>().Last().ReadId;
        Assert.True(last > first);
        solo.Tell(Confirm(2, first), Confirm(3, first), Confirm(2, last));
        Assert.Empty(solo.Node.ReadsReady);                             // n2 and the removed leader are no majority of {2, 3}
        solo.Tell(Confirm(3, last));
        Assert.Equal(new ReadReady(read, new LogIndex(2)), solo.Node.ReadsReady.Single());

        ReadQuorumReply Confirm(int from, ReadId round) => new(IdOf(from), solo.Self, solo.Protocol.CurrentTerm, round);
    }
}

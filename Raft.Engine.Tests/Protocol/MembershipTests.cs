using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Changes of members as the leader takes, refuses and finishes them. PhD 4; rule 8.</summary>
public class MembershipTests
{
    private static Solo Leader(int voters = 3, int learners = 0, Configuration? configuration = null)
    {
        var solo = new Solo(voters, learners, configuration: configuration);
        solo.BecomeLeader();
        solo.Liveness.Following.UnionWith(solo.Protocol.Peers.Select(peer => peer.Server));
        AcceptAll(solo);
        return solo;
    }

    /// <summary>Every peer acknowledges the whole log.</summary>
    private static List<Message> AcceptAll(Solo solo, params int[] but)
    {
        long last = solo.Protocol.LastIndex.Value;
        return solo.Tell([.. solo.Protocol.Peers.Select(peer => (int)peer.Server.Storage.Value).Where(number => !but.Contains(number))
            .Select(number => (Message)solo.Accept(number, last, commit: last))]);
    }

    private static ChangeResult Propose(Solo solo, MembershipChange change) => solo.Protocol.ProposeChange(change, timeMs: 1);

    /// <summary>B2 test_confchange_add_node, B1 confchange_v1_add_single: joins first, is caught up, then votes; three entries in all.</summary>
    [Fact]
    public void A_new_voter_joins_first_and_votes_when_it_has_caught_up()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        cluster.AddEmpty(4);
        cluster.Elect(1);
        cluster.Write("before");
        Assert.Equal(ChangeOutcome.Appended, cluster.Change(1, 2, 3, 4).Outcome);
        cluster.Settle();
        Assert.Equal(MemberKind.Joining, cluster[1].Protocol.Configuration.Current[3].Kind);
        Assert.False(cluster[1].Protocol.Configuration.IsJoint);

        cluster.TickUntilSettledOn(1, 2, 3, 4);
        cluster.Write("after");
        Assert.Equal(["before", "after"], CommandsOf(cluster[4]));
        Assert.Equal(1 + 3, cluster[1].Disk.Log.Count(entry => entry.Kind == EntryKind.Configuration));
    }

    /// <summary>B2 test_confchange_remove_node, B8 TestCommitAfterRemoveNode: joint from append on, and one acknowledgement serves both sets.</summary>
    [Fact]
    public void A_removal_is_joint_from_append_on_and_leaving_it_may_commit_more()
    {
        Solo solo = Leader(voters: 3);
        Propose(solo, To(1, 2));
        Assert.True(solo.Protocol.Configuration.IsJoint);
        Add(solo.Node, "a");                                            // 4, behind the joint configuration at 3
        solo.Node.Settle();

        solo.Tell(solo.Accept(2, match: 4));
        Assert.False(solo.Protocol.Configuration.IsJoint);
        Assert.Equal((5L, 4L), (solo.Protocol.ConfigurationIndex.Value, solo.Protocol.CommitIndex.Value));
        solo.Tell(solo.Accept(2, match: 5));
        Assert.Equal(5, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>B9 5, B2 test_confchange_replace_node: while joint both majorities are needed, then only the new one.
    /// Planted: eng/defects/05-joint-commits-with-the-new-set-alone.defect</summary>
    [Fact]
    public void A_replacement_needs_both_majorities_until_it_is_left()
    {
        Solo solo = Leader(voters: 3);
        Propose(solo, To(1, 4, 5) with { IsForced = true });
        solo.Node.Settle();
        solo.Tell(solo.Accept(4, match: 3), solo.Accept(5, match: 3));
        Assert.Equal(2, solo.Protocol.CommitIndex.Value);
        solo.Tell(solo.Accept(2, match: 3));
        Assert.Equal((3L, 4L), (solo.Protocol.CommitIndex.Value, solo.Protocol.ConfigurationIndex.Value));
        solo.Tell(solo.Accept(2, match: 4), solo.Accept(3, match: 4));
        Assert.Equal(3, solo.Protocol.CommitIndex.Value);               // they are voters no more
        solo.Tell(solo.Accept(5, match: 4));
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>B1 confchange_v2_add_single_explicit, B2 test_confchange_add_node: refused until the final configuration is committed;
    /// the same change asked again has nothing to do.</summary>
    [Fact]
    public void One_change_at_a_time_and_the_same_again_is_none()
    {
        Solo solo = Leader(voters: 3);
        Assert.Equal(ChangeOutcome.Appended, Propose(solo, To(1, 2)).Outcome);
        solo.Node.Settle();
        Assert.Equal(ChangeOutcome.NothingToDo, Propose(solo, To(1, 2)).Outcome);
        Assert.Equal(ChangeOutcome.InProgress, Propose(solo, To(1)).Outcome);

        solo.Tell(solo.Accept(2, match: 3));                            // C_old,new committed, C_new appended
        Assert.Equal(ChangeOutcome.InProgress, Propose(solo, To(1)).Outcome);
        Assert.Equal(4, solo.Protocol.LastIndex.Value);
        solo.Tell(solo.Accept(2, match: 4));
        Assert.Equal(ChangeOutcome.NothingToDo, Propose(solo, To(1, 2)).Outcome);
        Assert.Equal(ChangeOutcome.Appended, Propose(solo, To(1)).Outcome);
    }

    /// <summary>B9 16, B1 confchange_v2_add_double_auto: more proposals and acknowledgements arrive, and it is left exactly once. Planted: eng/defects/16-joint-is-left-again-and-again.defect</summary>
    [Fact]
    public void A_joint_configuration_is_left_exactly_once()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        cluster.AddEmpty(4);
        cluster.AddEmpty(5);
        cluster.Elect(1);
        cluster.Change(1, 2, 3, 4, 5);
        for (int i = 0; i < 60; i++)
        {
            Add(cluster[1], $"c{i}");
            cluster.Tick();
        }

        cluster.Tick(2);
        Assert.True(cluster.HasSettledOn(1, 2, 3, 4, 5));
        Configuration[] history = [.. cluster[5].Disk.Log.Where(entry => entry.Kind == EntryKind.Configuration)
            .Select(entry => Configuration.Decode(entry.Payload.Span))];
        Assert.Equal([false, false, true, false], history.Select(one => one.IsJoint));
        Assert.All(cluster.Nodes, node => Assert.Equal(60, CommandsOf(node).Length));
    }

    /// <summary>Rule 8, B1 confchange_v2_add_single_auto: who never votes needs no joint configuration, and an address neither.</summary>
    [Fact]
    public void Learners_and_addresses_change_by_a_simple_entry()
    {
        Solo solo = Leader(voters: 3);
        Propose(solo, new MembershipChange { Add = [MemberOf(4, MemberKind.Learner)] });
        AcceptAll(solo);
        Assert.Equal((3L, 3L, false), (solo.Protocol.ConfigurationIndex.Value, solo.Protocol.CommitIndex.Value, solo.Protocol.Configuration.IsJoint));

        Propose(solo, new MembershipChange { Add = [MemberOf(2) with { PeerUrl = "http://moved:1" }] });
        AcceptAll(solo);
        Assert.Equal((4L, 4L, false), (solo.Protocol.ConfigurationIndex.Value, solo.Protocol.CommitIndex.Value, solo.Protocol.Configuration.IsJoint));
        Assert.Equal("http://moved:1", solo.Node.Configurations[^1].Current[1].PeerUrl);
    }

    public static readonly TheoryData<string, ChangeOutcome> Nonsense = new()
    {
        { "no voter", ChangeOutcome.Invalid },
        { "learners only", ChangeOutcome.Invalid },
        { "twice", ChangeOutcome.Invalid },
        { "one disk twice", ChangeOutcome.Invalid },
        { "no disk", ChangeOutcome.Invalid },
        { "no name", ChangeOutcome.Invalid },
        { "long name", ChangeOutcome.Invalid },
        { "half a character in the name", ChangeOutcome.Invalid },
        { "half a character in the peer URL", ChangeOutcome.Invalid },
        { "half a character in the API URL", ChangeOutcome.Invalid },
        { "no URL", ChangeOutcome.Invalid },
        { "long URL", ChangeOutcome.Invalid },
        { "more than fits into a message", ChangeOutcome.Invalid },
        { "unknown", ChangeOutcome.Invalid },
        { "moved", ChangeOutcome.Moved },
        { "same", ChangeOutcome.NothingToDo },
    };

    /// <summary>B2 test_empty_configuration, test_zero, test_leader_change_to_non_voter: a change to nothing, or to nonsense, is refused and changes nothing.</summary>
    [Theory]
    [MemberData(nameof(Nonsense))]
    public void A_change_that_makes_no_sense_is_refused_and_changes_nothing(string which, ChangeOutcome expected)
    {
        MembershipChange change = which switch
        {
            "no voter" => new() { Set = [] },
            "learners only" => new() { Set = [MemberOf(1, MemberKind.Learner), MemberOf(2, MemberKind.Learner)] },
            "twice" => new() { Set = [MemberOf(1), MemberOf(2), MemberOf(2) with { Storage = new StorageId(77) }] },
            "one disk twice" => new() { Add = [MemberOf(4) with { Storage = MemberOf(2).Storage }] },
            "no disk" => new() { Add = [MemberOf(4) with { Storage = default }] },
            "no name" => new() { Add = [MemberOf(4) with { Node = new NodeId("") }] },
            "long name" => new() { Add = [MemberOf(4) with { Node = new NodeId(new string('n', 64)) }] },
            "half a character in the name" => new() { Add = [MemberOf(4) with { Node = new NodeId("n\ud800") }] },
            "half a character in the peer URL" => new() { Add = [MemberOf(4) with { PeerUrl = "http://\ud800:1" }] },
            "half a character in the API URL" => new() { Add = [MemberOf(4) with { ApiUrl = "http://\udc00:1" }] },
            "no URL" => new() { Add = [MemberOf(4) with { PeerUrl = null! }] },
            "long URL" => new() { Add = [MemberOf(4) with { PeerUrl = new string('u', Member.UrlCharactersMax + 1) }] },
            "more than fits into a message" => new() { Add = [.. Enumerable.Range(10, 600).Select(number => MemberOf(number) with { PeerUrl = new string('u', 2000) })] },
            "unknown" => new() { Remove = [new ServerId(new NodeId("n9"), default)] },
            "moved" => new() { Remove = [IdOf(3)], ExpectedIndex = new LogIndex(77) },
            _ => To(1, 2, 3),
        };
        Solo solo = Leader(voters: 3);
        LogIndex last = solo.Protocol.LastIndex;
        foreach (bool isForced in new[] { false, true })
        {
            ChangeResult result = Propose(solo, change with { IsForced = isForced });
            Assert.Equal(expected, result.Outcome);
            Assert.Equal(expected is ChangeOutcome.NothingToDo, result.Detail.Length == 0);
        }

        solo.Tick();
        Assert.Equal((last, 1L), (solo.Protocol.LastIndex, solo.Protocol.ConfigurationIndex.Value));
    }

    [Fact]
    public void Only_a_leader_that_is_not_handing_over_takes_a_change()
    {
        var solo = new Solo();
        Assert.Equal(ChangeOutcome.NotLeader, Propose(solo, To(1, 2)).Outcome);
        Solo leader = Leader(voters: 3);
        leader.Protocol.BeginTransfer(IdOf(2));
        Assert.Equal(ChangeOutcome.Transferring, Propose(leader, To(1, 2)).Outcome);
        Assert.Equal(2, leader.Protocol.LastIndex.Value);
    }

    [Fact]
    public void A_change_that_leaves_no_quorum_of_live_voters_is_refused_unless_forced()
    {
        Solo solo = Leader(voters: 3);
        solo.Liveness.Dead.Add(IdOf(2));
        ChangeResult refused = Propose(solo, To(1, 2));
        Assert.Equal(ChangeOutcome.Invalid, refused.Outcome);
        Assert.Contains("n2", refused.Detail);
        Assert.Equal(ChangeOutcome.Appended, Propose(solo, To(1, 2) with { IsForced = true }).Outcome);
    }

    /// <summary>Adding somebody who is not there costs nothing: it joins, and does not count.</summary>
    [Fact]
    public void A_joining_member_that_is_not_there_does_not_cost_the_quorum_and_can_be_given_up()
    {
        Solo solo = Leader(voters: 2);
        solo.Liveness.Dead.Add(IdOf(3));
        Propose(solo, To(1, 2, 3));
        AcceptAll(solo, but: 3);
        for (int i = 0; i < 50; i++)
        {
            Add(solo.Node, "a");
            solo.Tick();
            AcceptAll(solo, but: 3);
        }

        Assert.Equal(solo.Protocol.LastIndex, solo.Protocol.CommitIndex);
        Assert.Equal(MemberKind.Joining, solo.Protocol.Configuration.Current[2].Kind);

        Assert.Equal(ChangeOutcome.Appended, Propose(solo, To(1, 2)).Outcome);
        AcceptAll(solo);
        Assert.False(solo.Protocol.Configuration.IsJoint);
        Assert.Equal([IdOf(1), IdOf(2)], solo.Protocol.Configuration.Current.Select(member => member.Id));
    }

    /// <summary>PhD 4.2.1: two rounds in a row, each shorter than an election time-out, close behind at their ends.</summary>
    [Theory]
    [InlineData(1, true)]
    [InlineData(8, true)]
    [InlineData(12, false)]
    [InlineData(25, false)]
    public void A_joining_member_is_promoted_after_two_short_rounds(int ticksPerAcknowledgement, bool isPromoted)
    {
        Solo solo = Leader(voters: 3);
        Propose(solo, To(1, 2, 3, 4));
        AcceptAll(solo, but: 4);
        for (int i = 1; i < 100; i++)
        {
            Add(solo.Node, "a");
            solo.Tick();
            AcceptAll(solo, but: i % ticksPerAcknowledgement == 0 ? [] : [4]);
        }

        Assert.Equal(isPromoted, solo.Protocol.Configuration.CanVote(IdOf(4)));
    }

    /// <summary>Good rounds of long ago do not promote a member that has fallen behind since.</summary>
    [Fact]
    public void A_joining_member_that_stalls_while_it_waits_for_another_is_not_caught_up_any_more()
    {
        Solo solo = Leader(voters: 3);
        Propose(solo, To(1, 2, 4, 5));                                  // and n3 leaves: all of it waits for both
        AcceptAll(solo, but: 5);
        for (int i = 0; i < 5; i++)
        {
            Add(solo.Node, "a");
            solo.Tick();
            AcceptAll(solo, but: 5);
        }

        Assert.True(Rounds(4) >= 2);
        Assert.False(solo.Protocol.Configuration.IsJoint);              // n5 is not there yet

        for (int i = 0; i < 25; i++)
        {
            Add(solo.Node, "a");
            solo.Tick();
            AcceptAll(solo, but: i < 12 ? [4, 5] : [4]);
        }

        Assert.True(Rounds(5) >= 2);
        Assert.Equal(0, Rounds(4));
        Assert.False(solo.Protocol.Configuration.IsJoint);
        Assert.False(solo.Protocol.Configuration.CanVote(IdOf(4)));

        int Rounds(int number) => solo.Protocol.Peers.Single(peer => peer.Server == IdOf(number)).CaughtUpRounds;
    }

    /// <summary>B2 test_leader_change_to_non_voter: it hands over when that is committed, and goes on as a learner.</summary>
    [Fact]
    public void A_leader_that_makes_itself_a_learner_hands_over_and_follows()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        cluster.Elect(1);
        cluster.Leader.Protocol.ProposeChange(new MembershipChange { Add = [MemberOf(1, MemberKind.Learner)] }, timeMs: 1);
        cluster.TickUntilSettledOn(2, 3);
        cluster.Write("after");
        Assert.Equal(["after"], CommandsOf(cluster[1]));
        cluster.Tick(60);
        Assert.Equal(Role.Follower, cluster[1].Protocol.Role);
    }

    /// <summary>B2 test_non_voter_stays_pipeline: what is known of a member stays known when its kind changes.</summary>
    [Fact]
    public void A_member_stays_in_pipeline_through_promotion_and_demotion()
    {
        Solo solo = Leader(voters: 3, learners: 1);
        foreach (MemberKind kind in new[] { MemberKind.Voter, MemberKind.Learner })
        {
            Propose(solo, new MembershipChange { Add = [MemberOf(4, kind)] });
            for (int i = 0; i < 8; i++)
            {
                AcceptAll(solo);
                Assert.Equal("Pipeline", solo.Protocol.Peers.Single(peer => peer.Server == IdOf(4)).State);
                solo.Tick();
            }

            Assert.False(solo.Protocol.Configuration.IsJoint);
            Assert.Equal(kind, solo.Protocol.Configuration.Current[3].Kind);
        }
    }

    /// <summary>B2 test_non_voter_voter_loop: a hundred changes with snapshots in between converge.</summary>
    [Fact]
    public void A_hundred_promotions_and_demotions_with_snapshots_converge()
    {
        var random = new Random(7);
        ProtocolCluster cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { SnapshotTrailingEntries = 2 }).Checked();
        cluster.AddEmpty(4, adjust: settings => settings with { SnapshotTrailingEntries = 2 });
        cluster.Elect(1);
        MemberKind[] kinds = [MemberKind.Voter, MemberKind.Voter, MemberKind.Voter, MemberKind.Learner];
        for (int cycle = 0; cycle < 100; cycle++)
        {
            int which = random.Next(4);
            kinds[which] = kinds[which] == MemberKind.Voter && kinds.Count(kind => kind == MemberKind.Voter) > 1 ? MemberKind.Learner : MemberKind.Voter;
            Member[] wanted = [.. kinds.Select((kind, i) => MemberOf(i + 1, kind))];
            cluster.Leader.Protocol.ProposeChange(new MembershipChange { Set = wanted }, timeMs: 1);
            cluster.Write($"c{cycle}");
            if (random.Next(2) == 0)
                cluster[random.Next(4) + 1].TakeSnapshot();
            int[] voters = [.. Enumerable.Range(1, 4).Where(number => kinds[number - 1] == MemberKind.Voter)];
            cluster.TickUntilSettledOn(voters);
        }

        cluster.Write("end");
        Assert.All(cluster.Nodes, node => Assert.Equal(101, CommandsOf(node).Length));
    }

    /// <summary>Rule 12: the old disk will not come back, so it counts no longer; the new one counts when it has caught up.</summary>
    [Fact]
    public void A_replaced_disk_leaves_at_once_and_the_new_one_joins()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        cluster.Elect(1);
        cluster.Write("a");
        cluster[3].Crash();
        Member renewed = MemberOf(3) with { Storage = new StorageId(33) };
        cluster.AddEmpty(renewed.Id);
        Assert.Equal(ChangeOutcome.Appended, cluster.Leader.Protocol.ProposeChange(new MembershipChange { Add = [renewed] }, timeMs: 1).Outcome);
        Assert.False(cluster.Leader.Protocol.Configuration.CanVote(renewed.Id));
        cluster.TickUntil(() => cluster.Leader.Protocol.Configuration is { IsJoint: false } now && now.CanVote(renewed.Id) && !now.Contains(IdOf(3)));
        cluster.Write("b");
        Assert.Equal(["a", "b"], CommandsOf(cluster.Find(renewed.Id)!));
    }
}

using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Members that replace others and lose their disk, never come, or are not wanted any more. Rules 8 and 13.</summary>
public class ReplacementTests
{
    private static void LoseDisk(ProtocolNode node, long from)
    {
        node.Crash();
        node.Disk.Log.RemoveAll(entry => entry.Index.Value >= from);
        node.Start();
    }

    /// <summary>Nothing leads out of a configuration in which nobody votes: the target was left with a learner alone.
    /// Planted: eng/defects/P04-target-is-left-without-voters.defect</summary>
    [Fact]
    public void A_lost_disk_of_the_only_voter_to_be_leaves_the_group_its_voter()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 1, learners: 1).Checked();
        ProtocolNode joining = cluster.AddEmpty(3);
        cluster.Elect(1);
        MembershipChange change = new() { Set = [MemberOf(2, MemberKind.Learner), MemberOf(3)] };
        Assert.Equal(ChangeOutcome.Appended, cluster.Leader.Protocol.ProposeChange(change, timeMs: 1).Outcome);
        cluster.Settle();
        Add(cluster[1], "x");
        cluster.Settle();                                       // n3 has acknowledged all of it, and no tick has passed
        Assert.Equal(cluster[1].Protocol.LastIndex, cluster[1].Protocol.Peers.Single(peer => peer.Server == IdOf(3)).MatchIndex);
        LoseDisk(joining, from: 3);
        cluster.TickUntilSettledOn(1);
        cluster.Tick(100);
        Assert.True(cluster.HasSettledOn(1), cluster.Describe());
        cluster.Write("after");
    }

    /// <summary>n3 was to go for n4. Without n4 it stays. Planted: eng/defects/P05-replaced-voter-goes-all-the-same.defect</summary>
    [Fact]
    public void A_lost_disk_of_the_joining_voter_keeps_the_voter_that_it_was_to_replace()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        ProtocolNode joining = cluster.AddEmpty(4);
        cluster.Elect(1);
        Assert.Equal(ChangeOutcome.Appended, cluster.Change(1, 2, 4).Outcome);
        cluster.Settle();
        Add(cluster[1], "x");
        cluster.Settle();
        LoseDisk(joining, from: 3);
        cluster.TickUntil(() => cluster[1].LostData.Count > 0);
        cluster.TickUntilSettledOn(1, 2, 3);
        cluster.Tick(100);
        Assert.True(cluster.HasSettledOn(1, 2, 3), cluster.Describe());
    }

    /// <summary>The others that join, and learners, are still wanted; only who was to go stays.</summary>
    [Fact]
    public void What_a_target_adds_is_still_wanted_when_one_of_its_voters_lost_its_disk()
    {
        Configuration now = Configuration.Of([MemberOf(1), MemberOf(2), MemberOf(3), MemberOf(4, MemberKind.Joining), MemberOf(5, MemberKind.Joining)]) with
        {
            Target = [MemberOf(1), MemberOf(2, MemberKind.Learner), MemberOf(4), MemberOf(5), MemberOf(6, MemberKind.Learner)],
        };
        Configuration next = MembershipRules.Without(now, IdOf(4))!;
        Assert.Equal([MemberOf(1), MemberOf(2), MemberOf(3), MemberOf(5), MemberOf(6, MemberKind.Learner)], next.Target);
    }

    /// <summary>The old disk of n3 goes at once, since it will not come back; n2, which is to go as well, waits for the new one.</summary>
    [Fact]
    public void A_node_on_a_new_disk_lets_no_other_voter_go_before_it_has_caught_up()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        Member renewed = MemberOf(3) with { Storage = new StorageId(33) };
        cluster.Elect(1);
        cluster[3].Crash();
        Assert.Equal(ChangeOutcome.Appended, cluster.Leader.Protocol.ProposeChange(new MembershipChange { Set = [MemberOf(1), renewed] }, timeMs: 1).Outcome);
        cluster.Tick(100);
        Assert.Equal([IdOf(1), IdOf(2)], MembershipRules.VotersOf(cluster.Leader.Protocol.Configuration.Current));

        cluster.AddEmpty(renewed.Id);
        cluster.TickUntil(() => cluster.Leader.Protocol.Configuration is { IsJoint: false, Target.Count: 0 } now
            && MembershipRules.VotersOf(now.Current).SequenceEqual([IdOf(1), renewed.Id]));
        cluster.Write("after");
    }

    /// <summary>n4 is dead and was given up for n5. Planted: eng/defects/P06-dead-joiner-blocks-the-others.defect</summary>
    [Fact]
    public void A_dead_joining_member_that_is_not_wanted_any_more_blocks_nobody()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        ProtocolNode dead = cluster.AddEmpty(4);
        cluster.AddEmpty(5);
        cluster.Elect(1);
        dead.Crash();
        Assert.Equal(ChangeOutcome.Appended, cluster.Change(1, 2, 3, 4).Outcome);
        cluster.Tick(5);
        Assert.Equal(ChangeOutcome.Appended, cluster.Change(1, 2, 3, 5).Outcome);
        cluster.TickUntilSettledOn(1, 2, 3, 5);
    }

    /// <summary>A log of an earlier release may name it still, beside a target without it.</summary>
    [Fact]
    public void A_target_waits_for_the_members_that_it_wants_and_no_others()
    {
        Configuration stuck = Configuration.Of([MemberOf(1), MemberOf(2), MemberOf(3), MemberOf(4, MemberKind.Joining), MemberOf(5, MemberKind.Joining)]) with
        {
            Target = [MemberOf(1), MemberOf(2), MemberOf(3), MemberOf(5)],
        };
        ProtocolCluster cluster = new ProtocolCluster(stuck).Checked();
        cluster[4].Crash();
        cluster.TickUntilSettledOn(1, 2, 3, 5);
    }

    /// <summary>Whatever an earlier release's leader appends: a follower does not take it, and the group goes on under another one.
    /// Planted: eng/defects/P16-configuration-without-voters-is-taken.defect</summary>
    [Fact]
    public void A_follower_takes_no_configuration_without_voters()
    {
        var solo = new Solo(voters: 3, term: 2);
        var fatal = new Configuration([MemberOf(2, MemberKind.Learner)], solo.Configuration.Current);
        var entry = new Entry(new LogIndex(2), new Term(2), EntryKind.Configuration, timeMs: 1, fatal.Encode());
        Assert.Empty(solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, entries: entry)));
        Assert.Equal((1L, 1L), (solo.Protocol.LastIndex.Value, solo.Protocol.ConfigurationIndex.Value));
    }

    [Fact]
    public void Only_a_change_of_members_adds_a_configuration()
    {
        var solo = new Solo(voters: 1);
        solo.Tick();
        Assert.Throws<ArgumentException>(() => solo.Protocol.AddEntry(EntryKind.Configuration, ConfigurationOf(2).Encode(), timeMs: 1));
    }
}

using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Disks that forgot, were wiped, or were cut from power at the wrong moment. Rules 12 and 13; faults 33, 38, 39.</summary>
public class LostDiskTests
{
    private static readonly Func<ProtocolSettings, ProtocolSettings> _noTrailing = settings => settings with { SnapshotTrailingEntries = 0 };

    private static Solo Leader()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        Add(solo.Node, "a");
        Add(solo.Node, "b");                                                    // 1 configuration, 2 empty, 3 a, 4 b
        solo.Tell(solo.Accept(2, match: 1) with { SenderStart = 1 }, solo.Accept(3, match: 1) with { SenderStart = 1 });
        return solo;
    }

    /// <summary>Rule 13: a later start that lacks what was acknowledged has lost data; it is reported once and leaves the voters.</summary>
    [Fact]
    public void A_later_start_that_lacks_what_it_acknowledged_is_reported_and_removed()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 4) with { SenderStart = 1 });
        for (int i = 0; i < 2; i++)
            solo.Tell(solo.Reject(2, previous: 4, last: 2) with { SenderStart = 2 });
        Assert.Equal(IdOf(2), Assert.Single(solo.Node.LostData));
        solo.Tick();
        Assert.True(solo.Protocol.Configuration.IsJoint);
        Assert.DoesNotContain(solo.Protocol.Configuration.Current, member => member.Id == IdOf(2));
    }

    /// <summary>Rules 5 and 13: the same start, an older one, or one that has all that it acknowledged: a stale rejection, not lost data.</summary>
    [Theory]
    [InlineData(2, 2)]
    [InlineData(1, 2)]
    [InlineData(3, 4)]
    [InlineData(3, 9)]
    public void A_rejection_that_proves_nothing_accuses_nobody(long start, long last)
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 4) with { SenderStart = 2 });
        solo.Tell(solo.Reject(2, previous: 4, last) with { SenderStart = start });
        solo.Tick();
        Assert.Empty(solo.Node.LostData);
        Assert.False(solo.Protocol.Configuration.IsJoint);
    }

    /// <summary>Rule 13, planted: eng/defects/R13-late-rejection-accuses.defect: a rejection from before a snapshot came may arrive after the word that it was installed, on another connection.</summary>
    [Fact]
    public void A_rejection_that_a_snapshot_has_overtaken_accuses_nobody()
    {
        var solo = new Solo(voters: 3, adjust: _noTrailing);
        solo.BecomeLeader();
        Add(solo.Node, "a");
        Add(solo.Node, "b");
        solo.Tell(solo.Accept(2, match: 2));
        solo.Tell(solo.Accept(2, match: 4));
        solo.Node.TakeSnapshot();
        solo.Tick();
        AppendReply late = solo.Reject(3, previous: 1, last: 0) with { SenderStart = 5 };
        solo.Tell(late);
        Assert.Single(solo.Node.SnapshotsToSend);
        solo.Protocol.OnSnapshotSent(IdOf(3), solo.Protocol.CurrentTerm, new LogIndex(4));

        solo.Tell(late);
        solo.Tick();
        Assert.Empty(solo.Node.LostData);
        Assert.False(solo.Protocol.Configuration.IsJoint);

        // What it acknowledges itself counts again.
        solo.Tell(solo.Accept(3, match: 4) with { SenderStart = 5 });
        solo.Tell(solo.Reject(3, previous: 4, last: 3) with { SenderStart = 6 });
        Assert.Equal(IdOf(3), Assert.Single(solo.Node.LostData));
    }

    /// <summary>What a disk has lost must not commit anything afterwards, and its word confirms no read: it may have lost a vote.</summary>
    [Fact]
    public void What_a_disk_has_lost_counts_in_no_quorum_any_more()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 4) with { SenderStart = 1 });
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);
        Add(solo.Node, "c");
        solo.Node.Poll();                                                       // our disk is still at it
        solo.Node.Step(solo.Accept(2, match: 5) with { SenderStart = 1 });
        solo.Node.Step(solo.Reject(2, previous: 5, last: 4) with { SenderStart = 2 });
        solo.Node.Settle();
        Assert.Equal((5L, 4L), (solo.Protocol.DurableIndex.Value, solo.Protocol.CommitIndex.Value));
        Assert.Equal(IdOf(2), Assert.Single(solo.Node.LostData));

        solo.Node.TakeSent();
        solo.Protocol.StartRead();
        ReadId round = solo.Tell().OfType<ReadQuorumRequest>().First().ReadId;
        solo.Tell(new ReadQuorumReply(IdOf(2), solo.Self, solo.Protocol.CurrentTerm, round));
        Assert.Empty(solo.Node.ReadsReady);
        solo.Tell(new ReadQuorumReply(IdOf(3), solo.Self, solo.Protocol.CurrentTerm, round));
        Assert.Single(solo.Node.ReadsReady);
        solo.Tell(solo.Accept(3, match: 5));
        Assert.Equal(5, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>What it acknowledged is not there, so leadership must not go there: it might win against a member that lags.</summary>
    [Fact]
    public void A_disk_that_lost_data_is_not_asked_to_lead()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 4) with { SenderStart = 1 });
        solo.Tell(solo.Reject(2, previous: 4, last: 2) with { SenderStart = 2 });
        Assert.Equal(TransferStart.Started, solo.Protocol.BeginTransfer(IdOf(2).Node, ticks: 5));
        for (int i = 0; i < 5; i++)
        {
            Assert.Empty(solo.Tick().OfType<TimeoutNow>());
            solo.Tell(solo.Accept(3, match: 2));
        }

        Assert.False(solo.Protocol.IsTransferring);
    }

    /// <summary>Rule 13 from end to end: a lying disk loses its last writes at a power cut; the member goes and comes back on a new disk.</summary>
    [Fact]
    public void A_member_whose_disk_lies_is_replaced_and_nothing_committed_is_lost()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3).Checked();
        cluster.Elect(1);
        cluster.Write("a");
        cluster.Write("b");
        cluster[3].Crash();
        cluster[3].Disk.Log.RemoveAt(cluster[3].Disk.Log.Count - 1);
        cluster[3].Start();
        cluster.TickUntilSettledOn(1, 2);
        Assert.Equal([IdOf(3)], cluster[1].LostData);

        Member renewed = MemberOf(3) with { Storage = new StorageId(33) };
        cluster[3].Crash();
        cluster.AddEmpty(renewed.Id);
        cluster.Leader.Protocol.ProposeChange(new MembershipChange { Add = [renewed] }, timeMs: 1);
        cluster.TickUntil(() => cluster.Leader.Protocol.Configuration is { IsJoint: false } now && now.CanVote(renewed.Id));
        cluster.Write("c");
        Assert.Equal(["a", "b", "c"], CommandsOf(cluster.Find(renewed.Id)!));
    }

    /// <summary>
    /// Fault 39, fault 23, rule 12: n1 and n2 committed, n1 was cut off, n2 is down, n3 comes back wiped. n1 and the new n3 must
    /// not elect, nor may n1 replace it, without a majority of the old set; with n2 back all is there.
    /// Planted: eng/defects/F39-a-wiped-disk-votes-as-the-old-one.defect
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_wiped_member_helps_nobody_to_win(int leads)
    {
        var cluster = new ProtocolCluster(voters: 3);
        cluster.Elect(leads);
        cluster[3].Crash();
        cluster.TickUntil(() => cluster.LeaderOrNull is not null);
        cluster.Write("committed by n1 and n2");
        cluster.Isolate(cluster[1]);
        cluster[2].Crash();
        Member renewed = MemberOf(3) with { Storage = new StorageId(33) };
        ProtocolNode wiped = cluster.AddEmpty(renewed.Id);
        cluster.Heal();
        cluster[1].Protocol.ProposeChange(new MembershipChange { Add = [renewed], IsForced = true }, timeMs: 1);
        cluster.Tick(20);

        // It answers whoever asks for it by its new name, which n1's configuration in force may even hold by now; and n1 asks
        // for the old one, which nobody is any more.
        LogIndex commit = cluster[1].Protocol.CommitIndex;
        for (int i = 0; i < 200; i++)
        {
            cluster.Tick();
            Assert.NotEqual(Role.Leader, cluster[1].Protocol.Role);
            Assert.NotEqual(Role.Leader, wiped.Protocol.Role);
            Assert.Equal(commit, cluster[1].Protocol.CommitIndex);
        }

        cluster[2].Start();
        cluster.TickUntil(() => cluster.LeaderOrNull is not null);
        cluster.Tick(5);
        cluster.Leader.Protocol.ProposeChange(new MembershipChange { Add = [renewed] }, timeMs: 1); // unless n1's attempt goes on
        cluster.TickUntil(() => cluster.Leader.Protocol.Configuration is { IsJoint: false } now && now.CanVote(renewed.Id));
        cluster.Write("after");
        Assert.Equal(["committed by n1 and n2", "after"], CommandsOf(wiped));
    }

    /// <summary>
    /// Fault 33: one voter and a learner. Its append leaves before its own disk has it, and it is cut from power. Elected again
    /// it has another term, so that no index and term ever name two commands. Planted: eng/defects/F33-own-disk-counts-before-it-is-written.defect
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_sole_voter_that_sent_what_it_lost_names_nothing_twice(int survive)
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 1, learners: 1).Checked();
        cluster.TickUntil(() => cluster.LeaderOrNull is not null && cluster[2].Protocol.Leader == IdOf(1));
        cluster.Write("a");
        EntryId lost = Add(cluster[1], "lost");
        cluster[1].Poll();
        foreach (Message message in cluster[1].TakeSent().Where(message => message.To == IdOf(2)))
            cluster[2].Step(message);
        cluster[2].Settle();
        Assert.Equal(lost, cluster[2].Disk.Log[^1].Id);
        cluster[1].Crash(survive);
        cluster[1].Start();
        cluster.Checks!.Check();
        cluster.TickUntil(() => cluster.LeaderOrNull is not null);
        Add(cluster[1], "b");
        cluster.Tick(5);
        string[] expected = survive > 0 ? ["a", "lost", "b"] : ["a", "b"];
        Assert.All(cluster.Nodes, node => Assert.Equal(expected, CommandsOf(node)));
        Entry other = cluster[2].Disk.Log[(int)lost.Index.Value - 1];
        Assert.Equal(survive > 0, other.Term == lost.Term);
    }

    /// <summary>Fault 38, rule 12: two starts of one identity on copies of one disk. What the older one says after the newer one has
    /// acknowledged is at worst stale; the newer one's word stands.</summary>
    [Fact]
    public void An_older_start_of_a_member_takes_nothing_back_from_the_newer()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 4) with { SenderStart = 3 });
        solo.Tell(
            solo.Reject(2, previous: 4, last: 2) with { SenderStart = 2 },
            solo.Accept(2, match: 2) with { SenderStart = 2 },
            solo.Reject(2, previous: 4, last: 1) with { SenderStart = 2 });
        Assert.Equal(4, solo.Protocol.Peers.Single(peer => peer.Server == IdOf(2)).MatchIndex.Value);
        Assert.Empty(solo.Node.LostData);
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>Fault 32, fault 38, rule 4: the leader's older start speaks on; whoever follows the newer one is not confused by its liveness.</summary>
    [Fact]
    public void A_frame_of_another_start_does_not_keep_a_leader_known()
    {
        var cluster = new ProtocolCluster(voters: 3);
        ProtocolNode leader = cluster.Elect(1);
        leader.Crash();
        leader.Start();                                                         // within any failure detector's time-out
        cluster.TickUntil(() => cluster.LeaderOrNull is not null, ticksMax: 11);
        Assert.NotEqual(IdOf(1), cluster.Leader.Id);
    }

    /// <summary>Rules 8 and 13: a member joins and never comes, so nothing else that is wanted happens; but this must, and n4 is still wanted after it.</summary>
    [Fact]
    public void A_disk_that_lost_data_leaves_the_voters_though_a_joining_member_never_comes()
    {
        Solo solo = Leader();
        solo.Liveness.Dead.Add(IdOf(4));
        solo.Tell(solo.Accept(2, match: 4) with { SenderStart = 1 });
        MembershipChange change = new() { Add = [MemberOf(4), MemberOf(5, MemberKind.Learner)] };
        Assert.Equal(ChangeOutcome.Appended, solo.Protocol.ProposeChange(change, timeMs: 1).Outcome);
        solo.Tell();
        solo.Tell(solo.Accept(2, match: 5) with { SenderStart = 1 });

        solo.Tell(solo.Reject(2, previous: 5, last: 1) with { SenderStart = 2 });
        solo.Tick();
        Assert.True(solo.Protocol.Configuration.IsJoint);
        Assert.Equal([IdOf(1), IdOf(3), IdOf(4)], solo.Protocol.Configuration.Current.Select(member => member.Id));
        solo.Tell(solo.Accept(3, match: 6));
        solo.Tell(solo.Accept(3, match: 7));
        Assert.Equal((false, 7L), (solo.Protocol.Configuration.IsJoint, solo.Protocol.CommitIndex.Value));
        Assert.Equal([IdOf(1), IdOf(3), IdOf(4), IdOf(5)], solo.Protocol.Configuration.Target.Select(member => member.Id));
        Assert.Equal(MemberKind.Joining, solo.Protocol.Configuration.Current.Single(member => member.Id == IdOf(4)).Kind);

        // It comes after all, and the rest is done.
        solo.Liveness.Dead.Clear();
        for (int i = 0; i < 10 && !solo.Protocol.Configuration.IsJoint; i++)
        {
            solo.Tick();
            solo.Tell(solo.Accept(4, solo.Protocol.LastIndex.Value, commit: solo.Protocol.CommitIndex.Value));
        }

        Assert.Equal([IdOf(1), IdOf(3), IdOf(4)], MembershipRules.VotersOf(solo.Protocol.Configuration.Current));
        Assert.Contains(solo.Protocol.Configuration.Current, member => member.Id == IdOf(5));
    }

    /// <summary>
    /// Rule 13: n3 is down, so n2, whose disk lost data, cannot be removed. The leader that knows it goes; the next one has it in its
    /// log, counts n2 in nothing, and removes it as soon as that can be. Planted: eng/defects/P13-new-leader-forgets-lost-data.defect
    /// </summary>
    [Fact]
    public void The_next_leader_knows_which_disk_lost_data()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 5).Checked();
        cluster.Elect(1);
        cluster.Write("a");
        cluster.Write("b");
        cluster[4].Crash();
        cluster[5].Crash();
        cluster[2].Crash();
        cluster[2].Disk.Log.RemoveAt(cluster[2].Disk.Log.Count - 1);
        cluster[2].Start();
        cluster.TickUntil(() => cluster[1].LostData.Count > 0);
        cluster.Tick(2);
        Assert.Equal([IdOf(2)], cluster[3].Protocol.Configuration.LostData);   // it reached n3, and cannot be committed: of five only two count

        cluster[1].Crash();
        cluster[4].Start();
        cluster[3].Protocol.OnLivenessChanged();
        cluster.TickUntil(() => cluster.LeaderOrNull is not null);
        Assert.Contains(cluster.Leader.Id, new[] { IdOf(2), IdOf(3) });
        LogIndex commit = cluster.Leader.Protocol.CommitIndex;
        cluster.Tick(20);
        Assert.Equal(commit, cluster.Leader.Protocol.CommitIndex);              // n2, n3, n4: only two of five count

        cluster[5].Start();
        cluster.TickUntilSettledOn(1, 3, 4, 5);
        Assert.Empty(cluster[2].LostData.Concat(cluster[3].LostData));         // reported once, by who found it out
        Assert.Empty(cluster.Leader.Protocol.Configuration.LostData);
        cluster.Write("after");
    }

    /// <summary>A change is under way when it is found out: the next configuration of that change says it, whoever leads then.</summary>
    [Fact]
    public void An_accusation_travels_with_the_change_that_is_under_way()
    {
        var solo = new Solo(voters: 4);
        solo.BecomeLeader();
        solo.Tell([.. new[] { 2, 3, 4 }.Select(number => (Message)(solo.Accept(number, match: 2) with { SenderStart = 1 }))]);
        Assert.Equal(ChangeOutcome.Appended, solo.Protocol.ProposeChange(To(1, 2, 3), timeMs: 1).Outcome);
        solo.Tell();
        solo.Tell(solo.Reject(2, previous: 2, last: 1) with { SenderStart = 2 });
        solo.Tell(solo.Accept(3, match: 3) with { SenderStart = 1 });
        solo.Tell(solo.Accept(4, match: 3) with { SenderStart = 1 });
        Assert.False(solo.Protocol.Configuration.IsJoint);
        Assert.Equal([IdOf(2)], solo.Protocol.Configuration.LostData);
    }

    /// <summary>An earlier release does not look behind the target, and a configuration without accusations has the bytes that it always had.</summary>
    [Fact]
    public void Members_that_lost_data_are_in_the_bytes_of_a_configuration_where_earlier_releases_do_not_look()
    {
        Configuration plain = ConfigurationOf(3);
        Configuration accusing = plain with { LostData = [IdOf(2), IdOf(3)] };
        byte[] bytes = accusing.Encode();
        Assert.Equal([IdOf(2), IdOf(3)], Configuration.Decode(bytes).LostData);
        Assert.Equal(plain.Encode().AsSpan(1), bytes.AsSpan(1, plain.Encode().Length - 1));
        Assert.Equal((1, 2), (plain.Encode()[0], bytes[0]));
        byte[] ofEarlierRelease = bytes[..(plain.Encode().Length + sizeof(int))];       // up to the end of the empty target
        Assert.Equal((3, 0), (Configuration.Decode(ofEarlierRelease).Current.Count, Configuration.Decode(ofEarlierRelease).LostData.Count));
    }
}

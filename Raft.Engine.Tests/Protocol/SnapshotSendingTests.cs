using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Snapshots as a leader sends them: who needs one, and what ends the SNAPSHOT state. PhD 5.4; rules 5 and 6.</summary>
public class SnapshotSendingTests
{
    private static PeerProgress Peer(Solo solo, int number) => solo.Protocol.Peers.Single(peer => peer.Server == IdOf(number));

    /// <summary>A leader whose log begins behind a snapshot at 7; n2 has everything, n3 has nothing.</summary>
    private static Solo LeaderWithSnapshot(Func<ProtocolSettings, ProtocolSettings>? adjust = null)
    {
        var solo = new Solo(adjust: settings => (adjust ?? (one => one))(settings with { SnapshotTrailingEntries = 0 }));
        solo.BecomeLeader();
        solo.Liveness.Following.UnionWith([IdOf(2), IdOf(3)]);
        for (int i = 0; i < 5; i++)
            Add(solo.Node, "x");
        solo.Tell(solo.Accept(2, match: 2));
        solo.Tell(solo.Accept(2, match: 7, commit: 7));
        Assert.Equal(7, solo.Node.TakeSnapshot()!.Index.Value);
        solo.Tell();
        return solo;
    }

    private static void NeedsSnapshot(Solo solo)
    {
        solo.Tick();
        solo.Tell(solo.Reject(3, previous: 1, last: 0));
        solo.Tell(solo.Reject(3, previous: 2, last: 0));
        Assert.Equal("Snapshot", Peer(solo, 3).State);
    }

    /// <summary>B9 22, B2 test_snapshot_follower_is_quiet: nothing but the transfer; only the heartbeat when it does not follow.</summary>
    [Fact]
    public void A_peer_in_snapshot_gets_no_entries_for_a_hundred_ticks()
    {
        Solo solo = LeaderWithSnapshot();
        NeedsSnapshot(solo);
        SnapshotToSend transfer = Assert.Single(solo.Node.SnapshotsToSend);
        Assert.Equal((IdOf(3), 7L), (transfer.Peer, transfer.Snapshot.Index.Value));
        for (int i = 0; i < 100; i++)
        {
            Add(solo.Node, "y");
            solo.Tell(solo.Accept(2, solo.Protocol.LastIndex.Value, commit: solo.Protocol.LastIndex.Value));
            Assert.DoesNotContain(solo.Tick(), message => message.To == IdOf(3));
        }

        Assert.Single(solo.Node.SnapshotsToSend);                             // asked for once
        solo.Liveness.Following.Remove(IdOf(3));
        var heartbeat = (AppendRequest)solo.Tick().Single(message => message.To == IdOf(3));
        Assert.Equal((0L, 0), (heartbeat.PreviousIndex.Value, heartbeat.Entries.Count));
    }

    /// <summary>
    /// B9 22, B1 snapshot_succeed_via_app_resp: the word of the transfer's end is lost for ever, and an acknowledgement frees the
    /// follower, also when the snapshot is the last of the log. Planted: eng/defects/22-only-the-transfers-end-frees-a-peer.defect
    /// </summary>
    [Fact]
    public void An_acknowledgement_ends_the_snapshot_state_without_word_of_the_transfer()
    {
        Solo solo = LeaderWithSnapshot();
        NeedsSnapshot(solo);
        solo.Liveness.Following.Remove(IdOf(3));
        Assert.Single(solo.Tick(), message => message.To == IdOf(3));         // the heartbeat that it answers
        solo.Tell(solo.Accept(3, match: 7));
        Assert.Equal(("Pipeline", 7L, 8L), (Peer(solo, 3).State, Peer(solo, 3).MatchIndex.Value, Peer(solo, 3).NextIndex.Value));
        Add(solo.Node, "z");
        Assert.Equal(8, Assert.Single(((AppendRequest)solo.Tell().Single(message => message.To == IdOf(3))).Entries).Index.Value);
    }

    /// <summary>B9 22, B1 snapshot_succeed_via_app_resp_behind: older than the one that is being sent, and yet the log goes on behind it.</summary>
    [Fact]
    public void An_acknowledgement_below_the_snapshot_ends_it_too_if_the_log_goes_on_there()
    {
        Solo solo = LeaderWithSnapshot(settings => settings with { SnapshotTrailingEntries = 3 });
        Assert.Equal(5, solo.Protocol.FirstIndex.Value);
        solo.Tell(solo.Accept(3, match: 3));                                  // below what the log holds
        Assert.Equal("Snapshot", Peer(solo, 3).State);
        solo.Tell(solo.Accept(3, match: 5));
        Assert.Equal(("Pipeline", 5L), (Peer(solo, 3).State, Peer(solo, 3).MatchIndex.Value));
    }

    /// <summary>B9 22: a transfer that failed is asked for again after a tick, not at once and not never.</summary>
    [Fact]
    public void A_failed_transfer_is_tried_again_after_a_tick()
    {
        Solo solo = LeaderWithSnapshot();
        NeedsSnapshot(solo);
        solo.Node.SnapshotsToSend.Clear();
        solo.Protocol.OnSnapshotSent(IdOf(3), solo.Protocol.CurrentTerm, matchIndex: null);
        solo.Tell();
        Assert.Empty(solo.Node.SnapshotsToSend);
        solo.Tick();
        Assert.Single(solo.Node.SnapshotsToSend);

        solo.Protocol.OnSnapshotSent(IdOf(3), new Term(1), new LogIndex(7));  // of another term: nobody's
        Assert.Equal("Snapshot", Peer(solo, 3).State);
        solo.Protocol.OnSnapshotSent(IdOf(3), solo.Protocol.CurrentTerm, new LogIndex(7));
        solo.Tell();
        Assert.NotEqual("Snapshot", Peer(solo, 3).State);
        Assert.Equal(7, Peer(solo, 3).MatchIndex.Value);
    }

    /// <summary>
    /// B9 23, B1 slow_follower_after_compaction: its window is full, nothing comes back, and what it needs is compacted away. It
    /// gets a snapshot by ticks alone.
    /// </summary>
    [Fact]
    public void A_throttled_follower_whose_entries_are_compacted_away_gets_a_snapshot_without_new_entries()
    {
        Func<ProtocolSettings, ProtocolSettings> adjust = settings => settings with { SnapshotTrailingEntries = 0, MaxInFlightAppends = 2, MaxAppendBytes = 100 };
        ProtocolCluster cluster = new ProtocolCluster(voters: 3, adjust: adjust).Checked();
        ProtocolNode leader = cluster.Elect(1);
        cluster.Filter = message => message.To != IdOf(3) && message.From != IdOf(3);
        for (int i = 0; i < 20; i++)
            Add(leader, $"c{i}");
        cluster.Settle();
        Assert.Equal(2, leader.Protocol.Peers.Single(peer => peer.Server == IdOf(3)).InFlightAppends);
        leader.TakeSnapshot();
        cluster.Settle();
        Assert.True(leader.Protocol.FirstIndex > new LogIndex(20));

        cluster.Filter = _ => true;
        cluster.Tick(6);
        Assert.Equal(20, CommandsOf(cluster[3]).Length);
        Assert.NotNull(cluster[3].Protocol.Snapshot);
    }

    /// <summary>B9 23: in PIPELINE with room in its window, and what comes next is gone.
    /// Planted: eng/defects/23-compacted-away-follower-waits-for-ever.defect</summary>
    [Fact]
    public void A_peer_in_pipeline_whose_next_entry_is_gone_needs_a_snapshot()
    {
        Solo solo = new(adjust: settings => settings with { SnapshotTrailingEntries = 0, MaxInFlightAppends = 1, MaxAppendBytes = 60 });
        solo.BecomeLeader();
        solo.Liveness.Following.UnionWith([IdOf(2), IdOf(3)]);
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        for (int i = 0; i < 5; i++)
            Add(solo.Node, "x");
        solo.Tell();
        for (long match = 3; match <= 7; match++)
            solo.Tell(solo.Accept(2, match, commit: match));
        Assert.Equal(("Pipeline", 4L, 1), (Peer(solo, 3).State, Peer(solo, 3).NextIndex.Value, Peer(solo, 3).InFlightAppends));
        solo.Node.TakeSnapshot();
        solo.Tell(solo.Accept(3, match: 3));
        Assert.Equal("Snapshot", Peer(solo, 3).State);
        Assert.Equal(IdOf(3), Assert.Single(solo.Node.SnapshotsToSend).Peer);
    }

    /// <summary>Rule 6, B4 test_leader_change_during_snapshot_transfere: a new term aborts all transfers before its messages leave, and
    /// the next leader sends anew.</summary>
    [Fact]
    public void A_change_of_leader_aborts_transfers_and_the_next_leader_sends_anew()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { SnapshotTrailingEntries = 0 }).Checked();
        ProtocolNode old = cluster.Elect(1);
        cluster[3].Crash();
        for (int i = 0; i < 10; i++)
            cluster.Write($"c{i}");
        cluster.Tick(2);
        cluster[1].TakeSnapshot();
        cluster[2].TakeSnapshot();
        cluster.Settle();
        int lost = 0;
        cluster.SnapshotFilter = (_, _) => ++lost > 3;
        cluster[3].Start();
        cluster.TickUntil(() => lost > 0);

        cluster.Isolate(old);
        old.Step(new AppendReply(IdOf(2), IdOf(1), new Term(77), LogIndex.Zero, LogIndex.Zero, LogIndex.Zero, new AppendRejection(new LogIndex(9), new LogIndex(9), null, new LogIndex(10))));
        OutputBatch batch = old.Protocol.TakeOutput();
        Assert.True(batch.AbortTransfers);
        Assert.Empty(batch.SnapshotsToSend);
        old.Crash();

        cluster.Heal();
        cluster.TickUntil(() => cluster.LeaderOrNull == cluster[2] && CommandsOf(cluster[3]).Length == 10);
        Assert.True(cluster[3].Protocol.Snapshot is not null);
    }

    /// <summary>B8 raft_snap_test, B4 test_take_snapshot_and_stream: cut off, then a snapshot, then what came after it.</summary>
    [Fact]
    public void A_member_that_was_cut_off_gets_the_snapshot_and_then_the_log()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { SnapshotTrailingEntries = 2 }).Checked();
        ProtocolNode leader = cluster.Elect(1);
        cluster.Isolate(cluster[3]);
        for (int i = 0; i < 10; i++)
        {
            Add(leader, $"c{i}");
            cluster.Tick();
            if (i == 6)
                leader.TakeSnapshot();
        }

        cluster.Heal();
        cluster.TickUntil(() => CommandsOf(cluster[3]).Length == 10, ticksMax: 40);
        Assert.True(cluster[3].Protocol.LastIndex > cluster[3].Protocol.Snapshot!.Index);
    }

    /// <summary>B8 TestLeaderTransferAfterSnapshot, B9 26: the target is brought up by a snapshot first.</summary>
    [Fact]
    public void A_transfer_waits_for_the_targets_snapshot()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { SnapshotTrailingEntries = 0 }).Checked();
        ProtocolNode leader = cluster.Elect(1);
        cluster[3].Crash();
        for (int i = 0; i < 10; i++)
            cluster.Write($"c{i}");
        leader.TakeSnapshot();
        cluster.Settle();
        cluster[3].Start();
        Assert.Equal(TransferStart.Started, leader.Protocol.BeginTransfer(IdOf(3).Node, ticks: 10));
        cluster.TickUntil(() => cluster.LeaderOrNull == cluster[3], ticksMax: 10);
        Assert.Equal(10, CommandsOf(cluster[3]).Length);
    }

    /// <summary>It is gone for less than a tick, so that all that is known of it is kept; only its transfer was aborted.</summary>
    [Fact]
    public void A_member_that_comes_back_while_its_snapshot_was_under_way_is_sent_one_anew()
    {
        var solo = new Solo(voters: 2, learners: 1, adjust: settings => settings with { SnapshotTrailingEntries = 0 });
        solo.BecomeLeader();
        solo.Liveness.Following.UnionWith([IdOf(2), IdOf(3)]);
        Add(solo.Node, "x");
        solo.Tell(solo.Accept(2, match: 2));
        solo.Tell(solo.Accept(2, match: 3, commit: 3));
        solo.Node.TakeSnapshot();
        solo.Tell();
        solo.Tick();
        solo.Tell(solo.Reject(3, previous: 1, last: 0));
        Assert.Single(solo.Node.SnapshotsToSend);

        solo.Protocol.ProposeChange(new MembershipChange { Remove = [IdOf(3)] }, timeMs: 1);
        solo.Tell();
        solo.Tell(solo.Accept(2, match: 4, commit: 4));
        solo.Node.SnapshotsToSend.Clear();                                    // who leaves gets none any more
        solo.Protocol.ProposeChange(new MembershipChange { Add = [MemberOf(3, MemberKind.Learner)] }, timeMs: 1);
        solo.Tell();
        Assert.Equal(IdOf(3), Assert.Single(solo.Node.SnapshotsToSend).Peer);
    }
}

using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>The leader: probe, pipeline, rejections, commit. PhD 3.5, 3.6; rules 2 and 5.</summary>
public class ReplicationTests
{
    private static PeerProgress Peer(Solo solo, int number) => solo.Protocol.Peers.Single(peer => peer.Server == IdOf(number));

    private static Solo Leader(int voters = 3, int learners = 0, long term = 1, long[]? log = null, Func<ProtocolSettings, ProtocolSettings>? adjust = null)
    {
        var solo = new Solo(voters, learners, term, log, adjust: adjust);
        solo.BecomeLeader();
        solo.Liveness.Following.UnionWith(solo.Protocol.Peers.Select(peer => peer.Server));
        return solo;
    }

    /// <summary>B1 probe_and_replicate, B8 TestFastLogRejection: Raft figure 7, every divergent follower converges.</summary>
    [Theory]
    [InlineData(new long[] { 1, 1, 1, 4, 4, 5, 5, 6, 6 }, 1)]
    [InlineData(new long[] { 1, 1, 1, 4 }, 1)]
    [InlineData(new long[] { 1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6 }, 1)]
    [InlineData(new long[] { 1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7 }, 1)]
    [InlineData(new long[] { 1, 1, 1, 4, 4, 4, 4 }, 1)]
    [InlineData(new long[] { 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3 }, 1)]
    [InlineData(new long[] { 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 }, 2)]
    public void A_divergent_follower_converges_in_few_round_trips(long[] followerLog, int rejectionsMax)
    {
        long[] leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
        Configuration configuration = ConfigurationOf(3);
        var cluster = new ProtocolCluster(configuration);
        Write(cluster[1].Disk, leaderLog);
        Write(cluster[2].Disk, followerLog);
        Write(cluster[3].Disk, leaderLog);
        foreach (ProtocolNode node in cluster.Nodes)
        {
            node.Crash();
            node.Start();
        }

        var rejections = 0;
        cluster.Filter = message =>
        {
            rejections += message is AppendReply { Rejection: not null } ? 1 : 0;
            return message is not VoteRequest || message.From == IdOf(1);
        };
        cluster.Elect(1);

        Assert.Equal(cluster[1].Disk.Log.Select(entry => entry.Id), cluster[2].Disk.Log.Select(entry => entry.Id));
        Assert.Equal(cluster[1].Protocol.CommitIndex, cluster[2].Protocol.CommitIndex);
        Assert.InRange(rejections, 0, rejectionsMax);

        static void Write(TestDisk disk, long[] terms) => disk.Write(new PersistRequest(
            new TermAndVote(new Term(7), null), null, [.. terms.Select((term, i) => Solo.EntryOf(i + 2, term))]));
    }

    /// <summary>B9 2, B3 test_leader_election_overwrite_newer_logs: a lower-term last entry may win and overwrite a higher one. Planted: eng/defects/02-higher-term-tail-stays.defect</summary>
    [Fact]
    public void A_higher_term_tail_without_quorum_is_overwritten()
    {
        var cluster = new ProtocolCluster(voters: 5);
        cluster.Elect(1);
        Add(cluster[1], "kept");
        cluster.Tick(3);

        // "second" reaches only n2. Then n5 was elected in term 9 by n3 and n4, who lack it too, and lost its network before
        // its own first entry, at the same index, left it.
        cluster.Filter = message => message.To == IdOf(2) || message is not AppendRequest;
        Add(cluster[1], "second");
        cluster.Settle();
        cluster.Filter = _ => true;
        foreach (int number in new[] { 3, 4, 5 })
        {
            cluster[number].Crash();
            Entry[] tail = number == 5 ? [Solo.EntryOf(cluster[5].Disk.Log.Count + 1, 9, "lost")] : [];
            cluster[number].Disk.Write(new PersistRequest(new TermAndVote(new Term(9), IdOf(5)), null, tail));
            cluster[number].Start();
        }

        cluster.Isolate(cluster[5]);
        cluster.TickUntil(() => cluster.LeaderOrNull is { } now && now.Protocol.CurrentTerm > new Term(9));
        Add(cluster.Leader, "new");
        cluster.Tick(3);
        cluster.Heal();
        cluster.TickUntil(() => cluster.Nodes.All(node => node.Protocol.Leader is { } leader && leader == cluster.LeaderOrNull?.Id));
        cluster.Tick(5);
        Assert.All(cluster.Nodes, node => Assert.Equal(["kept", "second", "new"], CommandsOf(node)));
    }

    /// <summary>B9 1, B3 test_cannot_commit_without_new_term_entry: Raft figure 8. Planted: eng/defects/01-old-terms-commit-by-counting.defect</summary>
    [Fact]
    public void An_entry_of_an_older_term_on_a_majority_is_committed_only_with_one_of_the_current_term()
    {
        Solo solo = Leader(voters: 5, term: 2, log: [2, 2]);
        solo.Tell(solo.Accept(2, match: 3), solo.Accept(3, match: 3));
        Assert.Equal(0, solo.Protocol.CommitIndex.Value);

        solo.Tell(solo.Accept(2, match: 4), solo.Accept(3, match: 4));
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>B1 async_storage_writes, B3 test_progress_leader, rule 2: a quorum decides although our own disk is behind; applied is only what is durable here.</summary>
    [Fact]
    public void A_quorum_of_others_commits_and_our_own_disk_holds_back_only_applying()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        Add(solo.Node, "a");
        solo.Node.Poll();
        Assert.Equal(2, solo.Node.TakeSent().OfType<AppendRequest>().Count()); // on the wire while our disk works
        solo.Node.Step(solo.Accept(2, match: 3));
        solo.Node.Poll();
        Assert.Equal(2, solo.Protocol.CommitIndex.Value);
        solo.Node.Step(solo.Accept(3, match: 3));
        solo.Node.Poll();
        Assert.Equal(3, solo.Protocol.CommitIndex.Value);
        Assert.Equal(2, solo.Node.Applied.Count);

        solo.Node.Settle();
        Assert.Equal(3, solo.Node.Applied.Count);
    }

    /// <summary>B9 29, B8 TestLeaderMsgAppSelfAckAfterTermChange: a completion after losing the term counts for nobody.</summary>
    [Fact]
    public void An_own_completion_after_the_term_was_lost_does_not_commit()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 2));
        Add(solo.Node, "a");
        solo.Node.Poll();
        long term = solo.Protocol.CurrentTerm.Value;
        solo.Node.Step(solo.Append(term + 1, previous: 2, previousTerm: term, entries: Solo.EntryOf(3, term + 1, "b")));
        solo.Node.Poll();
        solo.Node.CompleteWrite();
        Assert.Equal((2L, 2L), (solo.Protocol.DurableIndex.Value, solo.Protocol.CommitIndex.Value));
        solo.Node.Settle();
        Assert.Equal(new Term(term + 1), solo.Node.Disk.Log[2].Term);
    }

    /// <summary>B3 test_progress_paused, test_progress_resume_by_append_resp</summary>
    [Fact]
    public void A_probe_is_one_message_until_an_answer_or_a_tick()
    {
        Solo solo = Leader();
        solo.Liveness.Following.Clear();
        Assert.Equal("Probe", Peer(solo, 2).State);
        Add(solo.Node, "a");
        solo.Node.Settle();
        Assert.Empty(solo.Node.TakeSent());

        Assert.Equal(2, solo.Tick().OfType<AppendRequest>().Count());
        List<Message> sent = solo.Tell(solo.Accept(2, match: 2));
        Assert.Equal("Pipeline", Peer(solo, 2).State);
        Assert.Equal(3, Assert.Single(((AppendRequest)sent.Single(message => message.To == IdOf(2))).Entries).Index.Value);
    }

    /// <summary>B3 test_progress_flow_control: bounded by number and bytes; acknowledgements free.</summary>
    [Fact]
    public void The_pipeline_is_bounded_by_messages_and_bytes()
    {
        Solo solo = Leader(adjust: settings => settings with { MaxInFlightAppends = 3, MaxInFlightBytes = 10_000, MaxAppendBytes = 100 });
        solo.Tell(solo.Accept(2, match: 2));
        for (int i = 0; i < 12; i++)
            Add(solo.Node, "0123456789");                   // 58 bytes with overhead: one per append
        solo.Node.Settle();
        Assert.Equal(3, solo.Node.TakeSent().Count(message => message.To == IdOf(2)));
        Assert.Equal(3, Peer(solo, 2).InFlightAppends);
        Assert.Equal(2, solo.Tell(solo.Accept(2, match: 4)).Count(message => message.To == IdOf(2)));

        Solo bytes = Leader(adjust: settings => settings with { MaxInFlightBytes = 100, MaxAppendBytes = 100 });
        bytes.Tell(bytes.Accept(2, match: 2));
        for (int i = 0; i < 12; i++)
            Add(bytes.Node, "0123456789");
        bytes.Node.Settle();
        Assert.Equal(2, bytes.Node.TakeSent().Count(message => message.To == IdOf(2)));
    }

    /// <summary>B9 23, B1 replicate_pause: appends and acknowledgements are lost; ticks alone repair it. Planted: eng/defects/23-lost-appends-are-not-noticed.defect</summary>
    [Fact]
    public void A_saturated_pipeline_recovers_from_lost_appends_without_new_entries()
    {
        var cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { MaxInFlightAppends = 2, MaxAppendBytes = 100 });
        ProtocolNode leader = cluster.Elect(1);
        cluster.Filter = message => message is not AppendRequest { Entries.Count: > 0 };
        for (int i = 0; i < 10; i++)
            Add(leader, $"c{i}");
        cluster.Settle();
        cluster.Filter = _ => true;
        cluster.Tick(3);
        Assert.All(cluster.Nodes, node => Assert.Equal(10, CommandsOf(node).Length));
    }

    /// <summary>The last append is lost although the follower goes on following.</summary>
    [Fact]
    public void A_lost_last_append_is_found_by_a_tick()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 2, commit: 2), solo.Accept(3, match: 2, commit: 2));
        Add(solo.Node, "a");
        solo.Node.Settle();
        solo.Node.TakeSent();
        var check = (AppendRequest)solo.Tick(2).First(message => message.To == IdOf(2));
        Assert.Equal((3L, 0), (check.PreviousIndex.Value, check.Entries.Count));

        var again = (AppendRequest)solo.Tell(solo.Reject(2, previous: 3, last: 2)).Single(message => message.To == IdOf(2));
        Assert.Equal(3, Assert.Single(again.Entries).Index.Value);
    }

    /// <summary>B9 22, B1 heartbeat_resp_recovers_from_probing: without new entries, within two heartbeats. Planted: eng/defects/22-unreachable-peer-stays-in-probe.defect</summary>
    [Fact]
    public void An_unreachable_peer_goes_to_probe_and_is_back_without_new_entries()
    {
        var cluster = new ProtocolCluster(voters: 3);
        ProtocolNode leader = cluster.Elect(1);
        leader.Protocol.OnUnreachable(IdOf(2));
        cluster.Settle();
        Assert.Equal("Probe", leader.Protocol.Peers.Single(peer => peer.Server == IdOf(2)).State);
        cluster.Tick(2);
        Assert.Equal("Pipeline", leader.Protocol.Peers.Single(peer => peer.Server == IdOf(2)).State);
    }

    /// <summary>B9 18, B2 test_reordered_reject. Planted: eng/defects/18-stale-rejection-counts.defect</summary>
    [Fact]
    public void A_stale_rejection_lowers_nothing()
    {
        Solo solo = Leader(log: [1, 1, 1]);
        solo.Tell(solo.Accept(2, match: 5));
        solo.Tell(solo.Reject(2, previous: 4, last: 1), solo.Reject(2, previous: 5, last: 3), solo.Reject(2, previous: 40, last: 1));
        Assert.Equal(("Pipeline", 5L, 6L), (Peer(solo, 2).State, Peer(solo, 2).MatchIndex.Value, Peer(solo, 2).NextIndex.Value));

        // In PROBE only the answer to the last probe counts.
        solo.Tell(solo.Reject(3, previous: 3, last: 1), solo.Reject(3, previous: 2, last: 1));
        Assert.Equal(5, Peer(solo, 3).NextIndex.Value);
        solo.Tell(solo.Reject(3, previous: 4, last: 2));
        Assert.Equal(3, Peer(solo, 3).NextIndex.Value);
        solo.Tell(solo.Reject(3, previous: 4, last: 2));
        Assert.Equal(3, Peer(solo, 3).NextIndex.Value);
    }

    /// <summary>B9 17, B2 test_reply_from_removed_follower: rule 12; also what no server of this term can say.</summary>
    [Fact]
    public void Answers_of_strangers_other_disks_and_the_future_do_not_count()
    {
        Solo solo = Leader(voters: 5);
        var otherDisk = new ServerId(IdOf(2).Node, new StorageId(99));
        solo.Tell(
            solo.Accept(77, match: 2), solo.Accept(78, match: 2), solo.Reject(77, previous: 1, last: 0),
            solo.Accept(2, match: 2) with { From = otherDisk },
            solo.Accept(3, match: 900), solo.Accept(3, match: 2, term: 1));
        Assert.Equal(0, solo.Protocol.CommitIndex.Value);
        Assert.All(solo.Protocol.Peers, peer => Assert.Equal(0, peer.MatchIndex.Value));
    }

    /// <summary>B2 test_tracker: learners replicate and do not count.</summary>
    [Fact]
    public void Learners_do_not_count_for_commit()
    {
        Solo solo = Leader(voters: 3, learners: 2);
        solo.Tell(solo.Accept(4, match: 2), solo.Accept(5, match: 2));
        Assert.Equal(0, solo.Protocol.CommitIndex.Value);
        solo.Tell(solo.Accept(3, match: 2));
        Assert.Equal(2, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>It needs a hundred entries that only the leader's disk holds, and the disk does not answer.</summary>
    private static ProtocolNode LetTheThirdLag(ProtocolCluster cluster)
    {
        ProtocolNode leader = cluster.Elect(1);
        cluster[3].Crash();
        for (int i = 0; i < 100; i++)
        {
            Add(leader, $"c{i}");
            cluster.Settle();
        }

        leader.AnswersReads = false;
        cluster[3].Start();
        cluster.Tick(5);
        return leader;
    }

    /// <summary>Rule 5: memory does not hold what a lagging peer needs; it is paused while the disk reads.</summary>
    [Fact]
    public void A_lagging_peer_is_served_from_disk()
    {
        var cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { MaxCacheBytes = 200, MaxAppendBytes = 300 });
        ProtocolNode leader = LetTheThirdLag(cluster);
        Assert.Equal("Reading", leader.Protocol.Peers.Single(peer => peer.Server == IdOf(3)).State);
        EntriesWanted wanted = leader.EntriesWanted.Single();
        leader.EntriesWanted.Clear();

        // A read that fails is tried again at the next tick.
        leader.Protocol.OnEntriesRead(wanted.Peer, wanted.From, []);
        cluster.Tick(1);
        Assert.Equal(wanted, leader.EntriesWanted.Single());

        leader.AnswersReads = true;
        leader.AnswerReads();
        cluster.Tick(5);
        Assert.Equal(100, CommandsOf(cluster[3]).Length);
    }

    /// <summary>Rule 5: whatever way entries come, at most so many appends are under way. Found by the simulator.</summary>
    [Fact]
    public void Entries_that_were_read_from_the_disk_respect_the_window()
    {
        var cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { MaxCacheBytes = 200, MaxAppendBytes = 100, MaxInFlightAppends = 2 });
        ProtocolNode leader = LetTheThirdLag(cluster);
        EntriesWanted wanted = leader.EntriesWanted.Single();
        leader.Protocol.OnEntriesRead(wanted.Peer, wanted.From, leader.Disk.Read(wanted with { MaxBytes = 5000 }));
        Assert.Equal(2, leader.Protocol.Peers.Single(peer => peer.Server == IdOf(3)).InFlightAppends);

        leader.AnswersReads = true;
        cluster.Tick(30);
        Assert.Equal(100, CommandsOf(cluster[3]).Length);
    }

    /// <summary>Found by seed 507179: an acknowledgement of earlier entries overtakes the read, and the peer must not wait for ever.</summary>
    [Fact]
    public void An_acknowledgement_that_overtakes_a_read_does_not_leave_the_peer_paused()
    {
        Solo solo = Leader(adjust: settings => settings with { MaxCacheBytes = 0 });
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 1));
        for (int i = 0; i < 5; i++)
        {
            Add(solo.Node, "a");
            solo.Node.Settle();
            solo.Tell(solo.Accept(2, match: 3 + i));
        }

        solo.Node.AnswersReads = false;
        solo.Protocol.OnUnreachable(IdOf(3));
        solo.Tick();
        solo.Tell(solo.Accept(3, match: 1));
        Assert.Equal("Reading", Peer(solo, 3).State);
        EntriesWanted wanted = solo.Node.EntriesWanted.Single();

        solo.Tell(solo.Accept(3, match: 4));                   // an older one, late
        solo.Node.AnswerReads();
        Assert.Equal(2, wanted.From.Value);
        Assert.Equal("Pipeline", Peer(solo, 3).State);
        solo.Node.Settle();
        Assert.Equal(5, solo.Node.EntriesWanted.Single().From.Value);
    }

    /// <summary>B1 lagging_commit: told with the next append, or at the next tick; at once when it waits. Rule 5</summary>
    [Fact]
    public void Commit_progress_is_told_at_the_next_tick_or_at_once_to_whoever_waits()
    {
        Solo solo = Leader();
        solo.Tell(solo.Accept(2, match: 2), solo.Accept(3, match: 2));
        solo.Tick();
        solo.Tell(solo.Accept(2, match: 2, commit: 2), solo.Accept(3, match: 2, commit: 2));
        Add(solo.Node, "a");
        solo.Node.Settle();
        solo.Node.TakeSent();
        solo.Protocol.OnPeerWaits(IdOf(3), new LogIndex(3));

        var told = (AppendRequest)solo.Tell(solo.Accept(2, match: 3, commit: 2)).Single();
        Assert.Equal((IdOf(3), 3L, 0), (told.To, told.CommitIndex.Value, told.Entries.Count));
        solo.Tell(solo.Accept(3, match: 3, commit: 3));
        Assert.Equal(IdOf(2), Assert.Single(solo.Tick()).To);
        solo.Tell(solo.Accept(2, match: 3, commit: 3));
        Assert.Empty(solo.Tick(5));
    }

    /// <summary>The leader's time stamps never fall.</summary>
    [Fact]
    public void Time_stamps_never_fall()
    {
        var solo = new Solo(voters: 1);
        solo.Tick();
        solo.Protocol.AddEntry(EntryKind.Command, default, timeMs: 100);
        solo.Protocol.AddEntry(EntryKind.Command, default, timeMs: 50);
        solo.Protocol.AddEntry(EntryKind.Command, default, timeMs: 120);
        solo.Node.Settle();
        Assert.Equal([100, 100, 120], solo.Node.Disk.Log.TakeLast(3).Select(entry => entry.TimeMs));
    }

    /// <summary>B9 5, B9 16, B2 test_tracker, PhD 4.3: while joint both majorities commit; leaving it happens exactly once.</summary>
    [Fact]
    public void A_joint_configuration_needs_both_majorities_and_is_left_once()
    {
        Configuration old = ConfigurationOf(3);
        var joint = new Configuration([MemberOf(1), MemberOf(4), MemberOf(5)], old.Current);
        var cluster = new ProtocolCluster(joint);
        cluster.Isolate(cluster[4]);
        cluster.Isolate(cluster[5]);
        cluster.Tick(200);
        Assert.Null(cluster.LeaderOrNull);

        cluster.Heal();
        cluster.TickUntil(() => cluster.LeaderOrNull is { } now && now.Protocol.Configuration.CanVote(now.Id) && !now.Protocol.Configuration.IsJoint);
        cluster.Tick(30);
        Assert.Equal(2, cluster.Leader.Disk.Log.Count(entry => entry.Kind == EntryKind.Configuration));
        Assert.Contains(cluster.Leader.Id, new[] { IdOf(1), IdOf(4), IdOf(5) });
    }
}

using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>The follower: match, truncate, acknowledge. PhD 3.5; rules 1 and 5.</summary>
public class FollowingTests
{
    /// <summary>B9 19, B4 replace_log_leaders_log_empty, follower_one_common_1, follower_one_common_2, simple_3_spurious_1, simple_3_spurious_2, simple_3_follower_4_1, simple_3_short_leader, follower_not_matching: the shapes of divergence. Planted: eng/defects/19-old-append-truncates.defect</summary>
    [Theory]
    [InlineData(new long[] { 1, 1 }, 3, 1, new long[] { }, new long[] { 1, 1, 1 })]         // a probe changes nothing
    [InlineData(new long[] { 1, 1 }, 1, 1, new long[] { 2 }, new long[] { 1, 2 })]          // conflict at the first
    [InlineData(new long[] { 1, 1 }, 2, 1, new long[] { 2, 2 }, new long[] { 1, 1, 2, 2 })] // one common
    [InlineData(new long[] { 1, 1 }, 1, 1, new long[] { 1 }, new long[] { 1, 1, 1 })]       // older part again: nothing is lost
    [InlineData(new long[] { 1, 1 }, 3, 1, new long[] { 3 }, new long[] { 1, 1, 1, 3 })]
    public void Entries_are_appended_and_only_conflicts_removed(long[] log, long previous, long previousTerm, long[] sent, long[] expected)
    {
        var solo = new Solo(log: log);
        Entry[] entries = [.. sent.Select((term, i) => Solo.EntryOf(previous + 1 + i, term))];
        var reply = (AppendReply)solo.Tell(solo.Append(term: 5, previous, previousTerm, entries: entries)).Single();
        Assert.Null(reply.Rejection);
        Assert.Equal(previous + sent.Length, reply.MatchIndex.Value);
        Assert.Equal(expected, solo.Terms);
        Assert.Equal(expected, solo.Node.Disk.Log.Select(entry => entry.Term.Value));
    }

    /// <summary>B9 19, B8 TestLogReplicationWithReorderedMessage: doubled and reordered appends.</summary>
    [Fact]
    public void Doubled_and_reordered_appends_are_harmless()
    {
        var solo = new Solo();
        AppendRequest first = solo.Append(term: 2, previous: 1, previousTerm: 1, entries: [Solo.EntryOf(2, 2), Solo.EntryOf(3, 2)]);
        AppendRequest second = solo.Append(term: 2, previous: 3, previousTerm: 2, commit: 4, entries: Solo.EntryOf(4, 2));

        Assert.NotNull(((AppendReply)solo.Tell(second).Single()).Rejection);
        solo.Tell(first);
        solo.Tell(second);
        Assert.Equal(4, ((AppendReply)solo.Tell(first).Single()).MatchIndex.Value);
        Assert.Equal([1, 2, 2, 2], solo.Terms);
        Assert.Equal(4, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>B3 test_old_messages: an old leader's entries are not taken; it learns of the newer term.</summary>
    [Fact]
    public void An_old_leader_is_told_so()
    {
        var solo = new Solo(term: 5);
        var reply = (AppendReply)solo.Tell(solo.Append(term: 4, previous: 1, previousTerm: 1, entries: Solo.EntryOf(2, 4))).Single();
        Assert.NotNull(reply.Rejection);
        Assert.Equal(new Term(5), reply.Term);
        Assert.Equal(1, solo.Protocol.LastIndex.Value);
        Assert.Null(solo.Protocol.Leader);
    }

    /// <summary>A9 #9965: commit is bounded by what was verified with this leader, not by the own last index.</summary>
    [Fact]
    public void Commit_never_passes_what_was_verified_with_this_leader()
    {
        var solo = new Solo(term: 2, log: [2, 2, 2]);
        solo.Tell(solo.Append(term: 3, previous: 1, previousTerm: 1, commit: 4));
        Assert.Equal(1, solo.Protocol.CommitIndex.Value);
        Assert.Equal(1, ((AppendReply)solo.Tell(solo.Append(term: 3, previous: 1, previousTerm: 1, commit: 4)).Single()).MatchIndex.Value);
        solo.Tell(solo.Append(term: 3, previous: 1, previousTerm: 1, commit: 2, entries: Solo.EntryOf(2, 3)));
        Assert.Equal([1, 3], solo.Terms);
        Assert.Equal(2, solo.Protocol.CommitIndex.Value);
    }

    /// <summary>Rule 5: conflict hints. What is later than the append's previous term cannot match, and is skipped. The follower's log is
    /// 1 2 2 4 4 by terms. Planted: eng/defects/P09-rejection-does-not-skip-later-terms.defect</summary>
    [Theory]
    [InlineData(9, 5, 4L, 4)]                   // longer than ours: the last of ours that can match has term 4, from index 4 on
    [InlineData(9, 4, null, 6)]                 // of the same term as our last: the logs meet there
    [InlineData(5, 5, 4L, 4)]
    [InlineData(9, 3, 2L, 2)]                   // our entries of term 4 cannot match
    [InlineData(5, 3, 2L, 2)]
    [InlineData(9, 2, 4L, 4)]                   // the logs meet before the first of term 4
    [InlineData(5, 2, 4L, 4)]
    [InlineData(4, 1, 2L, 2)]
    public void A_rejection_says_where_to_go_on(long previous, long previousTerm, long? conflictTerm, long conflictFirst)
    {
        var solo = new Solo(term: 4, log: [2, 2, 4, 4]);
        AppendRejection rejection = ((AppendReply)solo.Tell(solo.Append(term: 5, previous, previousTerm)).Single()).Rejection!;
        Term? conflict = conflictTerm is { } term ? new Term(term) : null;
        Assert.Equal(new AppendRejection(new LogIndex(previous), new LogIndex(5), conflict, new LogIndex(conflictFirst)), rejection);
    }

    /// <summary>B1 async_storage_writes, rule 1: an acknowledgement waits for the disk; a tick says what has arrived meanwhile. Rule 4</summary>
    [Fact]
    public void An_acknowledgement_waits_for_the_disk_and_a_tick_tells_what_arrived()
    {
        var solo = new Solo(term: 2);
        solo.Node.Step(solo.Append(term: 2, previous: 1, previousTerm: 1, commit: 2, entries: [Solo.EntryOf(2, 2), Solo.EntryOf(3, 2)]));
        solo.Node.Poll();
        Assert.Empty(solo.Node.TakeSent());
        Assert.Empty(solo.Node.Applied.Skip(1)); // committed, and not durable here

        solo.Protocol.Tick();
        solo.Node.Poll();
        var received = (AppendReply)solo.Node.TakeSent().Single();
        Assert.Equal((1L, 3L), (received.MatchIndex.Value, received.ReceivedIndex.Value));

        solo.Node.Settle();
        Assert.Equal(3, ((AppendReply)solo.Node.TakeSent().Single()).MatchIndex.Value);
        Assert.Equal(2, solo.Node.Applied.Count);
    }

    /// <summary>B9 29, B1 async_storage_writes_append_aba_race: index and term come back, and the first write's completion says nothing. Planted: eng/defects/29-completion-of-an-overwritten-write-counts.defect</summary>
    [Fact]
    public void A_late_completion_of_an_overwritten_write_makes_nothing_durable()
    {
        var solo = new Solo(term: 2);
        solo.Node.Step(solo.Append(term: 2, previous: 1, previousTerm: 1, entries: [Solo.EntryOf(2, 2, "a"), Solo.EntryOf(3, 2, "b")]));
        solo.Node.Poll();                                                      // batch 1: 2@2, 3@2
        solo.Node.Step(solo.Append(term: 3, previous: 1, previousTerm: 1, from: 3, entries: Solo.EntryOf(2, 3, "c")));
        solo.Node.Poll();                                                      // batch 2: truncates from 2, 2@3
        solo.Node.Step(solo.Append(term: 4, previous: 1, previousTerm: 1, entries: [Solo.EntryOf(2, 2, "a"), Solo.EntryOf(3, 2, "b")]));
        solo.Node.Poll();                                                      // batch 3: 2@2 and 3@2 again
        solo.Node.TakeSent();

        solo.Node.CompleteWrite();
        Assert.Equal(1, solo.Protocol.DurableIndex.Value);
        solo.Node.CompleteWrite();
        Assert.Equal(1, solo.Protocol.DurableIndex.Value);
        solo.Node.CompleteWrite();
        Assert.Equal(3, solo.Protocol.DurableIndex.Value);
        Assert.Equal([1, 2, 2], solo.Node.Disk.Log.Select(entry => entry.Term.Value));
    }

    /// <summary>A truncation that no batch carries yet lowers completions as well.</summary>
    [Fact]
    public void A_completion_counts_only_up_to_a_truncation_that_is_still_to_be_written()
    {
        var solo = new Solo(term: 2);
        solo.Node.Step(solo.Append(term: 2, previous: 1, previousTerm: 1, entries: [Solo.EntryOf(2, 2), Solo.EntryOf(3, 2), Solo.EntryOf(4, 2)]));
        solo.Node.Poll();
        solo.Node.Step(solo.Append(term: 3, previous: 2, previousTerm: 2, from: 3, entries: Solo.EntryOf(3, 3)));
        solo.Node.CompleteWrite();
        Assert.Equal(2, solo.Protocol.DurableIndex.Value);
        solo.Node.Settle();
        Assert.Equal(3, solo.Protocol.DurableIndex.Value);
    }

    /// <summary>B9 7, B2 test_truncate_rederives_config_indices: what was in force before is in force again.</summary>
    [Fact]
    public void Truncating_a_configuration_restores_the_one_before()
    {
        var solo = new Solo(term: 2);
        Configuration other = ConfigurationOf(voters: 2);
        var entry = new Entry(new LogIndex(2), new Term(2), EntryKind.Configuration, timeMs: 1, other.Encode());
        solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, entries: entry));
        Assert.Equal((2L, 2), (solo.Protocol.ConfigurationIndex.Value, solo.Protocol.Configuration.Current.Count));

        solo.Tell(solo.Append(term: 3, previous: 1, previousTerm: 1, from: 3, entries: Solo.EntryOf(2, 3)));
        Assert.Equal((1L, 3), (solo.Protocol.ConfigurationIndex.Value, solo.Protocol.Configuration.Current.Count));
        Assert.Equal([2, 3], solo.Node.Configurations.Select(configuration => configuration.Current.Count));
    }

    /// <summary>Input of peers is refused, never an invariant.</summary>
    [Fact]
    public void A_malformed_append_is_refused()
    {
        var solo = new Solo(term: 2);
        var unreadable = new Entry(new LogIndex(2), new Term(2), EntryKind.Configuration, timeMs: 1, new byte[] { 99 });
        Assert.Empty(solo.Tell(
            solo.Append(term: 2, previous: 1, previousTerm: 1, entries: Solo.EntryOf(5, 2)),
            solo.Append(term: 2, previous: 1, previousTerm: 1, entries: [Solo.EntryOf(2, 2), Solo.EntryOf(4, 2), Solo.EntryOf(4, 2)]),
            solo.Append(term: 2, previous: 1, previousTerm: 1, entries: Solo.EntryOf(2, 7)),
            solo.Append(term: 2, previous: 1, previousTerm: 1, entries: unreadable)));
        Assert.Equal(1, solo.Protocol.LastIndex.Value);
    }

    /// <summary>B9 20, B2 test_append_entry_inside_snapshot, test_log_last_conf_idx: the log begins after the snapshot. Planted: eng/defects/20-append-inside-the-snapshot-is-rejected.defect</summary>
    [Fact]
    public void An_append_that_begins_inside_the_snapshot_matches()
    {
        Configuration configuration = ConfigurationOf(3);
        var snapshot = new SnapshotDescriptor("s", new LogIndex(10), new Term(3), configuration, new LogIndex(1), SizeBytes: 0, Hash: 0);
        var state = new PersistedState(new TermAndVote(new Term(4), null), snapshot, new LogIndex(11), new LogIndex(10), [], [], []);
        var protocol = new RaftProtocol(
            new ProtocolSettings { Self = IdOf(1), StartCount = 1 }, state, new ScriptedLiveness(), new Random(7));
        Assert.Equal((10L, 10L, 11L), (protocol.CommitIndex.Value, protocol.DurableIndex.Value, protocol.FirstIndex.Value));
        Assert.Equal(new Term(3), protocol.TermAt(new LogIndex(10)));
        Assert.Equal(configuration, protocol.Configuration);

        protocol.Step(new AppendRequest(IdOf(2), IdOf(1), new Term(4), new LogIndex(8), new Term(2), new LogIndex(11),
            [Solo.EntryOf(9, 3), Solo.EntryOf(10, 3), Solo.EntryOf(11, 4)]));

        OutputBatch batch = protocol.TakeOutput();
        Assert.Equal(11, ((AppendReply)batch.SendWhenDurable.Single()).MatchIndex.Value);
        Assert.Equal(11, Assert.Single(batch.Persist!.Entries).Index.Value);
        protocol.OnDurable(batch.Number);
        Assert.Equal(11, Assert.Single(protocol.TakeOutput().ToApply).Index.Value);
    }

    /// <summary>Rule 7: after a start most of the log is on disk only; it reaches the state machine through bounded reads.</summary>
    [Fact]
    public void What_memory_does_not_hold_is_read_for_the_state_machine()
    {
        var cluster = new ProtocolCluster(voters: 1);
        cluster.Tick();
        for (int i = 0; i < 50; i++)
            Add(cluster.Leader, $"c{i}");
        cluster.Settle();
        cluster[1].Crash();
        cluster[1].Disk.RecentMax = 5;
        cluster[1].Start();
        cluster.Tick(3);
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"c{i}"), CommandsOf(cluster[1]));
    }
}

using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Snapshots as a server takes and installs them. PhD 5; rule 6.</summary>
public class SnapshotTests
{
    private static readonly Configuration _three = ConfigurationOf(3);

    private static SnapshotDescriptor SnapshotOf(long index, long term, Configuration? configuration = null, long configurationIndex = 1) => new(
        $"leader-{index}", new LogIndex(index), new Term(term), configuration ?? _three, new LogIndex(configurationIndex), SizeBytes: 0, Hash: 0);

    /// <summary>What a snapshot of the log up to there stands for; only its length matters to these tests.</summary>
    private static List<Entry> ContentOf(SnapshotDescriptor snapshot) =>
        [FirstEntry(_three), .. Enumerable.Range(2, (int)snapshot.Index.Value - 1).Select(index => Solo.EntryOf(index, snapshot.Term.Value))];

    private static bool Receive(Solo solo, SnapshotDescriptor snapshot, long term, int from = 2) =>
        solo.Node.Receive(IdOf(from), start: 1, new Term(term), snapshot, ContentOf(snapshot));

    /// <summary>B2 test_log_last_conf_idx, PhD 5.3: what a log of another history holds goes whole, in one write.</summary>
    [Fact]
    public void A_snapshot_that_does_not_match_takes_the_place_of_the_whole_log()
    {
        var solo = new Solo(term: 3, log: [2, 2, 2, 2, 2, 2, 2, 2]);          // up to 9, nothing of it committed
        solo.Protocol.JudgeSnapshot(IdOf(2), 1, new Term(3), LogIndex.Zero, SnapshotOf(6, 3));
        Assert.True(solo.Protocol.InstallSnapshot(IdOf(2), new Term(3), SnapshotOf(6, 3)));
        OutputBatch batch = solo.Protocol.TakeOutput();
        Assert.Equal((1L, 6L, 6L), (batch.Persist!.TruncateFrom!.Value.Value, batch.Persist.Snapshot!.Index.Value, batch.Persist.DeleteThrough!.Value.Value));
        Assert.Empty(batch.Persist.Entries);
        Assert.Null(batch.SnapshotToLoad);                                    // not before it is durable
        Assert.Equal((6L, 7L, 6L), (solo.Protocol.LastIndex.Value, solo.Protocol.FirstIndex.Value, solo.Protocol.CommitIndex.Value));

        solo.Protocol.OnDurable(batch.Number);
        Assert.Equal(6, solo.Protocol.TakeOutput().SnapshotToLoad!.Index.Value);
        Assert.Equal(6, solo.Protocol.DurableIndex.Value);
        solo.Protocol.OnApplied(new LogIndex(6));
    }

    /// <summary>
    /// Fault 35, rule 6: a late snapshot, over a suffix that was acknowledged meanwhile. The log matches at its index, so all
    /// above stays, on the disk too, and is still acknowledged. Planted: eng/defects/F35-late-snapshot-cuts-the-log.defect
    /// </summary>
    [Fact]
    public void A_late_snapshot_over_an_acknowledged_suffix_takes_nothing_back()
    {
        var solo = new Solo(term: 2);
        solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, entries: [.. Enumerable.Range(2, 8).Select(index => Solo.EntryOf(index, 2))]));
        Assert.Equal(0, solo.Protocol.CommitIndex.Value);
        Assert.True(Receive(solo, SnapshotOf(5, 2), term: 2));
        solo.Node.Settle();
        Assert.Equal((9L, 9L, 5L), (solo.Protocol.LastIndex.Value, solo.Protocol.DurableIndex.Value, solo.Protocol.CommitIndex.Value));
        Assert.Equal(9, solo.Node.Disk.LastIndex.Value);
        var reply = (AppendReply)solo.Tell(solo.Append(term: 2, previous: 9, previousTerm: 2, commit: 9)).Single();
        Assert.Equal(9, reply.MatchIndex.Value);

        solo.Node.Crash();
        solo.Node.Start();
        Assert.Equal(9, solo.Protocol.LastIndex.Value);
    }

    /// <summary>The same while the suffix is on its way to the disk: it stays on its way.</summary>
    [Fact]
    public void A_late_snapshot_over_a_suffix_under_way_lets_it_arrive()
    {
        var solo = new Solo(term: 2);
        solo.Node.Step(solo.Append(term: 2, previous: 1, previousTerm: 1, entries: [.. Enumerable.Range(2, 8).Select(index => Solo.EntryOf(index, 2))]));
        solo.Node.Poll();
        Assert.True(Receive(solo, SnapshotOf(5, 2), term: 2));
        solo.Node.Settle();
        Assert.Equal((9L, 9L), (solo.Protocol.DurableIndex.Value, solo.Node.Disk.LastIndex.Value));
        Assert.Equal(9, solo.Node.TakeSent().OfType<AppendReply>().Last().MatchIndex.Value);
    }

    /// <summary>
    /// B9 21, B2 test_reject_outdated_remote_snapshot: what lies at or below the commit index changes nothing, also when the
    /// commit index has passed it while it was on its way. Planted: eng/defects/21-outdated-snapshot-is-installed.defect
    /// </summary>
    [Fact]
    public void An_outdated_snapshot_is_refused()
    {
        var solo = new Solo(term: 2);
        SnapshotDescriptor snapshot = SnapshotOf(3, 2);
        Assert.Equal(SnapshotVerdict.Wanted, solo.Protocol.JudgeSnapshot(IdOf(2), 1, new Term(2), LogIndex.Zero, snapshot));
        solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, commit: 4, entries: [Solo.EntryOf(2, 2), Solo.EntryOf(3, 2), Solo.EntryOf(4, 2), Solo.EntryOf(5, 2)]));
        Assert.Equal(4, solo.Node.Applied.Count);

        foreach (long index in new[] { 2, 3, 4 })
        {
            Assert.False(solo.Protocol.InstallSnapshot(IdOf(2), new Term(2), SnapshotOf(index, 2)));
            Assert.Equal(SnapshotVerdict.NotNeeded, solo.Protocol.JudgeSnapshot(IdOf(2), 1, new Term(2), LogIndex.Zero, SnapshotOf(index, 2)));
        }

        solo.Tell();
        Assert.Null(solo.Protocol.Snapshot);
        Assert.Equal((5L, 4), (solo.Protocol.LastIndex.Value, solo.Node.Applied.Count));
    }

    /// <summary>A13: an own one that comes after a newer one from the leader changes nothing.</summary>
    [Fact]
    public void An_own_snapshot_that_is_older_than_the_installed_one_is_dropped()
    {
        var solo = new Solo(term: 2);
        solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, commit: 3, entries: [Solo.EntryOf(2, 2), Solo.EntryOf(3, 2)]));
        (Term term, Configuration configuration, LogIndex configurationIndex) = solo.Protocol.DescribeSnapshot(new LogIndex(3));
        Assert.True(Receive(solo, SnapshotOf(8, 2), term: 2));
        solo.Protocol.OnSnapshotTaken(new SnapshotDescriptor("own", new LogIndex(3), term, configuration, configurationIndex, 0, 0));
        solo.Node.Settle();
        Assert.Equal((8L, 8), (solo.Protocol.Snapshot!.Index.Value, solo.Node.Applied.Count));
    }

    /// <summary>Rule 6, B2 test_leader_ignores_messages_with_current_term: of an older term, or to a leader: refused. To a candidate of the same term: it follows.</summary>
    [Fact]
    public void Only_the_leader_of_the_term_can_send_a_snapshot()
    {
        var solo = new Solo(term: 5);
        Assert.Equal(SnapshotVerdict.Refused, Judge(solo, term: 4));
        Assert.Null(solo.Protocol.Leader);
        solo.BecomeCandidate();
        Assert.Equal(SnapshotVerdict.Wanted, Judge(solo, term: 6));
        Assert.Equal((Role.Follower, (ServerId?)IdOf(2)), (solo.Protocol.Role, solo.Protocol.Leader));
        Assert.Equal(SnapshotVerdict.Refused, Judge(solo, term: 6, from: 3));

        var leader = new Solo();
        leader.BecomeLeader();
        Assert.Equal(SnapshotVerdict.Refused, Judge(leader, term: leader.Protocol.CurrentTerm.Value));
        Assert.Equal(Role.Leader, leader.Protocol.Role);

        static SnapshotVerdict Judge(Solo to, long term, int from = 2) =>
            to.Protocol.JudgeSnapshot(IdOf(from), 1, new Term(term), LogIndex.Zero, SnapshotOf(9, term));
    }

    /// <summary>A term that has passed while the file was written: it is not installed.</summary>
    [Fact]
    public void A_snapshot_of_a_leader_that_was_overtaken_is_not_installed()
    {
        var solo = new Solo(term: 2);
        solo.Protocol.JudgeSnapshot(IdOf(2), 1, new Term(2), LogIndex.Zero, SnapshotOf(9, 2));
        solo.Tell(solo.Append(term: 3, previous: 1, previousTerm: 1, from: 3));
        Assert.False(solo.Protocol.InstallSnapshot(IdOf(2), new Term(2), SnapshotOf(9, 2)));
        Assert.Null(solo.Protocol.Snapshot);
    }

    /// <summary>
    /// B9 12, B2 test_non_voter_confchange_in_snapshot: a server learns from a snapshot what it has become.
    /// Planted: eng/defects/12-snapshot-brings-no-configuration.defect
    /// </summary>
    [Fact]
    public void Promotion_and_demotion_are_learned_from_a_snapshot()
    {
        var promoted = new Solo(voters: 3, learners: 1, term: 2, self: 4);
        Configuration four = ConfigurationOf(4);
        Assert.True(Receive(promoted, SnapshotOf(6, 2, four, configurationIndex: 5), term: 2));
        promoted.Node.Settle();
        Assert.Equal((5L, 4), (promoted.Protocol.ConfigurationIndex.Value, promoted.Node.Configurations[^1].Current.Count(member => member.Kind == MemberKind.Voter)));
        promoted.Node.TakeSent();
        promoted.BecomePreCandidate();
        promoted.Tell(promoted.Grant(1, isPreVote: true), promoted.Grant(2, isPreVote: true));
        promoted.Tell(promoted.Grant(1), promoted.Grant(2));
        Assert.Equal(Role.Leader, promoted.Protocol.Role);

        var demoted = new Solo(voters: 4, term: 2, self: 4);
        Assert.True(Receive(demoted, SnapshotOf(6, 2, ConfigurationOf(3, learners: 1), configurationIndex: 5), term: 2));
        demoted.Node.Settle();
        demoted.Node.TakeSent();
        Assert.Empty(demoted.Tick(200).OfType<VoteRequest>());
    }

    /// <summary>B9 20, B2 test_append_entry_inside_snapshot: right after an install, with entries before, at and behind it.</summary>
    [Fact]
    public void Appends_around_an_installed_snapshot_match()
    {
        var solo = new Solo(term: 3);
        Assert.True(Receive(solo, SnapshotOf(6, 2), term: 3));
        solo.Node.Settle();
        solo.Node.TakeSent();
        Entry[] entries = [.. Enumerable.Range(3, 6).Select(index => Solo.EntryOf(index, index <= 6 ? 2 : 3))];
        var inside = (AppendReply)solo.Tell(solo.Append(term: 3, previous: 2, previousTerm: 2, commit: 7, entries: entries)).Single();
        Assert.Equal((8L, 7L), (inside.MatchIndex.Value, inside.CommitIndex.Value));
        var old = (AppendReply)solo.Tell(solo.Append(term: 3, previous: 0, previousTerm: 0, entries: [.. Enumerable.Range(1, 4).Select(index => Solo.EntryOf(index, 1))])).Single();
        Assert.Equal(8, old.MatchIndex.Value);
        Assert.Equal(7, solo.Node.Applied.Count);
    }

    /// <summary>Entries that come while the log is being replaced are left to be sent again; nothing of them is acknowledged.</summary>
    [Fact]
    public void Entries_that_come_with_the_install_are_acknowledged_only_once_they_are_there()
    {
        var solo = new Solo(term: 2);
        solo.Protocol.JudgeSnapshot(IdOf(2), 1, new Term(2), LogIndex.Zero, SnapshotOf(6, 2));
        Assert.True(Receive(solo, SnapshotOf(6, 2), term: 2));
        solo.Node.Step(solo.Append(term: 2, previous: 6, previousTerm: 2, commit: 7, entries: Solo.EntryOf(7, 2)));
        solo.Node.Settle();
        foreach (AppendReply reply in solo.Node.TakeSent().OfType<AppendReply>())
            Assert.True(reply.MatchIndex <= solo.Node.Disk.LastIndex);
        Assert.Equal(7, ((AppendReply)solo.Tell(solo.Append(term: 2, previous: 6, previousTerm: 2, commit: 7, entries: Solo.EntryOf(7, 2))).Single()).MatchIndex.Value);
        Assert.Equal(7, solo.Node.Applied.Count);
    }

    /// <summary>Rule 6, B7: a crash at any write of taking, receiving and installing; the start finds log and snapshot contiguous.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_crash_while_a_snapshot_is_installed_leaves_the_old_or_the_new(int survive)
    {
        var solo = new Solo(term: 2, log: [1, 1, 1]);
        solo.Node.Step(solo.Append(term: 2, previous: 2, previousTerm: 1, commit: 2, entries: Solo.EntryOf(3, 2)));
        solo.Node.Poll();
        Receive(solo, SnapshotOf(6, 2), term: 2);
        solo.Node.Poll();
        solo.Node.Crash(survive);
        solo.Node.Start();

        bool isInstalled = solo.Protocol.Snapshot is not null;
        Assert.Equal(survive >= 2, isInstalled);
        (long, long) expected = isInstalled ? (6, 7) : (survive == 0 ? 4 : 3, 1);
        Assert.Equal(expected, (solo.Protocol.LastIndex.Value, solo.Protocol.FirstIndex.Value));
        Assert.True(Receive(solo, SnapshotOf(6, 2), term: 2));
        solo.Node.Settle();
        solo.Tell(solo.Append(term: 2, previous: 6, previousTerm: 2, commit: 7, entries: Solo.EntryOf(7, 2)));
        Assert.Equal(7, solo.Node.Applied.Count);
    }

    /// <summary>Rule 2: no snapshot covers what this disk does not hold; rule 6: what is kept below it is bounded by number and bytes.</summary>
    [Theory]
    [InlineData(100, 1_000_000, 1)]
    [InlineData(3, 1_000_000, 8)]
    [InlineData(100, 150, 8)]
    [InlineData(0, 1_000_000, 11)]
    [InlineData(100, 0, 11)]
    public void Entries_below_a_snapshot_are_kept_within_number_and_bytes(long entries, long bytes, long firstIndex)
    {
        var solo = new Solo(voters: 1, adjust: settings => settings with { SnapshotTrailingEntries = entries, SnapshotTrailingBytes = bytes });
        solo.Tick();
        for (int i = 0; i < 8; i++)
            Add(solo.Node, "x");                                              // 49 bytes each, up to index 10
        solo.Node.Settle();
        Assert.Equal(10, solo.Node.TakeSnapshot()!.Index.Value);
        solo.Node.Settle();
        Assert.Equal((firstIndex, 10L), (solo.Protocol.FirstIndex.Value, solo.Protocol.LastIndex.Value));
        Assert.Equal(firstIndex, solo.Node.Disk.FirstIndex.Value);
        Assert.Null(solo.Node.TakeSnapshot());                                // no news
    }

    /// <summary>A7, PhD 3.4: the term at the snapshot's index still judges candidates when the log is empty.</summary>
    [Fact]
    public void A_vote_is_judged_by_the_snapshot_when_the_log_is_empty()
    {
        var solo = new Solo(term: 3);
        Receive(solo, SnapshotOf(6, 2), term: 3);
        solo.Node.Settle();
        solo.Liveness.Sign = LeaderSign.Denies;
        solo.Tick(9);
        solo.Node.TakeSent();
        Assert.False(Vote(last: 5, lastTerm: 2, term: 4));
        Assert.False(Vote(last: 9, lastTerm: 1, term: 5));
        Assert.True(Vote(last: 6, lastTerm: 2, term: 6));

        bool Vote(long last, long lastTerm, long term) => solo.Tell(solo.AskVote(from: 3, term, last, lastTerm)).OfType<VoteReply>().Single().IsGranted;
    }
}

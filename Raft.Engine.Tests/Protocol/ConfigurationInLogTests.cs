using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Which configuration is in force: as the log says, through truncation, snapshots and restarts. PhD 4.1; rule 8.</summary>
public class ConfigurationInLogTests
{
    private static Entry Change(long index, long term, int voters) =>
        new(new LogIndex(index), new Term(term), EntryKind.Configuration, timeMs: 1, ConfigurationOf(voters).Encode());

    private static (long Index, int Members) InForce(Solo solo) =>
        (solo.Protocol.ConfigurationIndex.Value, solo.Protocol.Configuration.Current.Count);

    private static SnapshotDescriptor SnapshotOf(long index, long term, int voters, long configurationIndex) =>
        new($"s{index}", new LogIndex(index), new Term(term), ConfigurationOf(voters), new LogIndex(configurationIndex), SizeBytes: 0, Hash: 0);

    private static RaftProtocol Started(SnapshotDescriptor? snapshot, long firstIndex, params Entry[] entries)
    {
        var runs = new List<TermRun>();
        foreach (Entry entry in entries)
        {
            if (runs.Count == 0 || runs[^1].Term != entry.Term)
                runs.Add(new TermRun(entry.Index, entry.Term));
        }

        var state = new PersistedState(
            new TermAndVote(new Term(9), null), snapshot, new LogIndex(firstIndex), new LogIndex(firstIndex + entries.Length - 1), runs, entries,
            [.. entries.Where(entry => entry.Kind == EntryKind.Configuration)]);
        return new RaftProtocol(new ProtocolSettings { Self = IdOf(1), StartCount = 1 }, state, new ScriptedLiveness(), new Random(7));
    }

    /// <summary>
    /// B9 7, B2 test_truncate_rederives_config_indices, B4 rpc_configuration_truncate_restore_from_log: the one before comes back,
    /// to the log and to whoever keeps the addresses, and not the oldest. Planted: eng/defects/07-truncation-restores-the-oldest.defect
    /// </summary>
    [Fact]
    public void Truncation_restores_the_configuration_before_and_not_the_oldest()
    {
        var solo = new Solo(voters: 3, term: 2);
        solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, entries: [Change(2, 2, 4), Solo.EntryOf(3, 2), Change(4, 2, 5), Change(5, 2, 6)]));
        Assert.Equal((5, 6), InForce(solo));

        solo.Tell(solo.Append(term: 3, previous: 4, previousTerm: 2, from: 3, entries: Solo.EntryOf(5, 3)));
        Assert.Equal((4, 5), InForce(solo));
        solo.Tell(solo.Append(term: 4, previous: 3, previousTerm: 2, from: 2, entries: Solo.EntryOf(4, 4)));
        Assert.Equal((2, 4), InForce(solo));
        Assert.Equal([6, 5, 4], solo.Node.Configurations.Select(configuration => configuration.Current.Count));

        solo.Node.Crash();
        solo.Node.Start();
        Assert.Equal((2, 4), InForce(solo));
    }

    /// <summary>B9 7, B4 rpc_configuration_truncate_restore_from_snp: below the truncated one there is only a snapshot.</summary>
    [Fact]
    public void Truncation_restores_the_configuration_of_the_snapshot()
    {
        RaftProtocol protocol = Started(SnapshotOf(index: 5, term: 2, voters: 3, configurationIndex: 4), firstIndex: 6, Solo.EntryOf(6, 2), Change(7, 2, 5));
        Assert.Equal(7, protocol.ConfigurationIndex.Value);
        protocol.Step(new AppendRequest(IdOf(2), IdOf(1), new Term(9), new LogIndex(6), new Term(2), new LogIndex(5), [Solo.EntryOf(7, 9)]));
        Assert.Equal((4L, 3), (protocol.ConfigurationIndex.Value, protocol.Configuration.Current.Count));
        Assert.Equal(3, protocol.TakeOutput().ConfigurationInForce!.Current.Count);
    }

    /// <summary>
    /// B9 8, B2 test_log_last_conf_idx: a snapshot with entries kept below it, and an uncommitted configuration above. What is in
    /// force at the snapshot stays known, also to the next start.
    /// </summary>
    [Fact]
    public void A_snapshot_below_an_uncommitted_configuration_keeps_the_one_before()
    {
        var solo = new Solo(voters: 3, term: 2, adjust: settings => settings with { SnapshotTrailingEntries = 2 });
        solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, commit: 5,
            entries: [Change(2, 2, 4), Solo.EntryOf(3, 2), Solo.EntryOf(4, 2), Solo.EntryOf(5, 2), Solo.EntryOf(6, 2), Change(7, 2, 5)]));
        SnapshotDescriptor taken = solo.Node.TakeSnapshot()!;
        Assert.Equal((5L, 2L, 4), (taken.Index.Value, taken.ConfigurationIndex.Value, taken.Configuration.Current.Count));
        solo.Node.Settle();
        Assert.Equal(4, solo.Protocol.FirstIndex.Value);
        Assert.Equal((7, 5), InForce(solo));

        solo.Node.Crash();
        solo.Node.Start();
        Assert.Equal((7, 5), InForce(solo));
        solo.Tell(solo.Append(term: 3, previous: 6, previousTerm: 2, from: 3, entries: Solo.EntryOf(7, 3)));
        Assert.Equal((2, 4), InForce(solo));
    }

    /// <summary>B9 8: the same without a restart in between. Planted: eng/defects/08-compaction-forgets-the-configuration.defect</summary>
    [Fact]
    public void Truncation_after_a_compaction_restores_the_configuration_at_the_snapshot()
    {
        var solo = new Solo(voters: 3, term: 2, adjust: settings => settings with { SnapshotTrailingEntries = 0 });
        solo.Tell(solo.Append(term: 2, previous: 1, previousTerm: 1, commit: 4, entries: [Change(2, 2, 4), Change(3, 2, 5), Solo.EntryOf(4, 2), Change(5, 2, 6)]));
        solo.Node.TakeSnapshot();
        solo.Node.Settle();
        Assert.Equal((5L, 5L), (solo.Protocol.FirstIndex.Value, solo.Protocol.ConfigurationIndex.Value));
        solo.Tell(solo.Append(term: 3, previous: 4, previousTerm: 2, from: 3, entries: Solo.EntryOf(5, 3)));
        Assert.Equal((3, 5), InForce(solo));
    }

    /// <summary>B9 8, B2 test_log_last_conf_idx, B7: what a start finds, with and without entries below and above the snapshot, and with a gap.</summary>
    [Fact]
    public void A_start_finds_the_configuration_in_force()
    {
        SnapshotDescriptor snapshot = SnapshotOf(index: 5, term: 2, voters: 4, configurationIndex: 3);

        // Entries kept below the snapshot: the snapshot's own configuration holds, whatever older ones the log has.
        RaftProtocol trailing = Started(snapshot, 2, Change(2, 1, 3), Change(3, 2, 4), Solo.EntryOf(4, 2), Solo.EntryOf(5, 2), Solo.EntryOf(6, 2));
        Assert.Equal((3L, 4, 6L), (trailing.ConfigurationIndex.Value, trailing.Configuration.Current.Count, trailing.LastIndex.Value));
        Assert.Equal((3, 4), (trailing.DescribeSnapshot(new LogIndex(5)).ConfigurationIndex.Value, trailing.DescribeSnapshot(new LogIndex(5)).Configuration.Current.Count));

        RaftProtocol above = Started(snapshot, 6, Solo.EntryOf(6, 2), Change(7, 3, 5));
        Assert.Equal((7L, new Term(2), new Term(3)), (above.ConfigurationIndex.Value, above.TermAt(new LogIndex(5)), above.TermAt(new LogIndex(7))));
        Assert.Null(above.TermAt(new LogIndex(4)));

        // A log that ends before the snapshot has nothing that counts.
        RaftProtocol gap = Started(snapshot, 2, Solo.EntryOf(2, 1), Change(3, 1, 3));
        Assert.Equal((6L, 5L, 3L), (gap.FirstIndex.Value, gap.LastIndex.Value, gap.ConfigurationIndex.Value));
        Assert.Equal(4, gap.Configuration.Current.Count);
    }

    /// <summary>
    /// B9 10, B6 snapshotting_preserves_config_test: a snapshot has the configuration of its index, not a later one.
    /// Planted: eng/defects/10-snapshot-has-the-latest-configuration.defect
    /// </summary>
    [Fact]
    public void A_snapshot_has_the_configuration_of_its_index()
    {
        var solo = new Solo(voters: 3);
        solo.BecomeLeader();
        solo.Tell(solo.Accept(2, match: 2));
        solo.Protocol.ProposeChange(To(1, 2), timeMs: 1);
        solo.Tell();
        Assert.True(solo.Protocol.Configuration.IsJoint);
        SnapshotDescriptor taken = solo.Node.TakeSnapshot()!;
        Assert.Equal((2L, 1L), (taken.Index.Value, taken.ConfigurationIndex.Value));
        Assert.Equal(ConfigurationOf(3).Current, taken.Configuration.Current);
        Assert.False(taken.Configuration.IsJoint);
    }

    /// <summary>B9 10, B6 snapshotting_preserves_config_test: with nothing left but snapshots the group elects and goes on.</summary>
    [Fact]
    public void A_group_whose_log_is_all_in_snapshots_elects_and_goes_on()
    {
        ProtocolCluster cluster = new ProtocolCluster(voters: 3, adjust: settings => settings with { SnapshotTrailingEntries = 0 }).Checked();
        cluster.Elect(1);
        cluster.Write("a");
        cluster.Tick(3);
        foreach (ProtocolNode node in cluster.Nodes)
        {
            node.TakeSnapshot();
            node.Settle();
            Assert.Empty(node.Disk.Log);
            node.Crash();
            node.Start();
        }

        cluster.Write("b");
        Assert.All(cluster.Nodes, node => Assert.Equal(["a", "b"], CommandsOf(node)));
    }

    /// <summary>
    /// B9 9, B6 snapshot_uses_correct_term_test: the term of the entry at the index, whatever the term now.
    /// Planted: eng/defects/09-snapshot-has-the-current-term.defect
    /// </summary>
    [Fact]
    public void A_snapshot_has_the_term_of_its_index()
    {
        var solo = new Solo(voters: 3, term: 4, log: [2, 3, 3]);
        solo.Tell(solo.Append(term: 7, previous: 4, previousTerm: 3, commit: 3));
        Assert.Equal(new Term(3), solo.Protocol.DescribeSnapshot(new LogIndex(3)).Term);
        Assert.Equal(new Term(2), solo.Protocol.DescribeSnapshot(new LogIndex(2)).Term);
        Assert.Equal(new Term(3), solo.Node.TakeSnapshot()!.Term);
    }

    /// <summary>
    /// B8 TestRestoreWithVotersOutgoing, B1 confchange_v2_add_double_implicit: a snapshot taken in a joint configuration brings it,
    /// and whoever leads from there leaves it.
    /// </summary>
    [Fact]
    public void A_joint_configuration_comes_with_a_snapshot_and_is_left()
    {
        var joint = new Configuration([MemberOf(1), MemberOf(2)], ConfigurationOf(3).Current);
        var snapshot = new SnapshotDescriptor("s", new LogIndex(5), new Term(2), joint, new LogIndex(5), SizeBytes: 0, Hash: 0);
        var cluster = new ProtocolCluster(voters: 3);
        foreach (ProtocolNode node in cluster.Nodes)
        {
            node.Crash();
            node.Disk.Files["s"] = [FirstEntry(ConfigurationOf(3)), Solo.EntryOf(2, 2), Solo.EntryOf(3, 2), Solo.EntryOf(4, 2),
                new Entry(new LogIndex(5), new Term(2), EntryKind.Configuration, 1, joint.Encode())];
            node.Disk.Write(new PersistRequest(new TermAndVote(new Term(2), null), null, []) { Snapshot = snapshot, DeleteThrough = new LogIndex(5) });
            node.Start();
            Assert.True(node.Protocol.Configuration.IsJoint);
        }

        cluster.TickUntilSettledOn(1, 2);
        cluster.Tick(5);
        Assert.Equal(1, cluster.Leader.Disk.Log.Count(entry => entry.Kind == EntryKind.Configuration));
        Assert.False(cluster[3].Protocol.Configuration.Contains(IdOf(3)));
    }
}

using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// Scenario 30 and B5: calls whose entry comes here only inside a snapshot. Rule 11.
public sealed class SnapshotWaiterTests
{
    /// <summary>B9 30, B5 test_add_entry_applied_load_snapshot_at_entry, test_add_entry_applied_load_snapshot_past_entry,
    /// test_add_entry_committed_load_snapshot_at_entry, test_add_entry_committed_load_snapshot_past_entry,
    /// test_add_entry_applied_wait_resolved_via_drop_waiters, test_add_entry_committed_wait_resolved_via_drop_waiters.
    /// Planted: eng/defects/30-covered-entry-is-called-unknown.defect. A write on a follower that hears where its entry is, and then nothing but the snapshot that covers it.</summary>
    [Theory]
    [InlineData(WaitFor.Committed, 0)]
    [InlineData(WaitFor.Committed, 5)]
    [InlineData(WaitFor.Applied, 0)]
    [InlineData(WaitFor.Applied, 5)]
    public void A_forwarded_entry_that_only_a_snapshot_of_its_term_brings_succeeds(WaitFor wait, int entriesAfter) => Cluster.Run(
        3, seed: 341, settings: SnapshotTests.WithoutTrailing, scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            Member behind = followers[0];
            cluster.Network.Filter = message => !(message is AppendRequest { Entries.Count: > 0 } && message.To == behind.Id);
            Task<AddedEntry> call = behind.AddAsync("mine", wait);
            await cluster.World.UntilAsync(() => leader.Applied.Count == 1, "it is applied on the leader");
            for (int n = 0; n < entriesAfter; n++)
                await leader.AddAsync($"after {n}");
            await cluster.PassAsync(0.2);
            Assert.False(call.IsCompleted);

            SnapshotDescriptor? snapshot = await leader.Server.TriggerSnapshotAsync(default);
            AddedEntry added = await call;

            Assert.Equal(entriesAfter, snapshot!.Index - added.Index);
            Assert.Equal(snapshot.Term, added.Term);
            Assert.Null(added.Result);
            Assert.Equal(wait == WaitFor.Applied, added.IsResultLost);
            if (wait == WaitFor.Applied)
                Assert.Equal("mine", behind.Applied[0]);        // it is part of the state when the call returns
        });

    [Fact]
    public void A_reply_that_comes_after_the_snapshot_still_succeeds() => Cluster.Run(3, seed: 342, settings: SnapshotTests.WithoutTrailing, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member behind = followers[0];
        cluster.Network.Filter = message => !(message is AppendRequest { Entries.Count: > 0 } && message.To == behind.Id);
        cluster.Network.ReplyDelay = _ => TimeSpan.FromSeconds(1);
        Task<AddedEntry> call = behind.AddAsync("mine");
        await cluster.World.UntilAsync(() => leader.Applied.Count == 1, "it is applied on the leader");
        await leader.Server.TriggerSnapshotAsync(default);
        await cluster.World.UntilAsync(() => behind.Machine.PicturesLoaded == 1, "the snapshot has overtaken the reply");
        Assert.False(call.IsCompleted);

        Assert.True((await call).IsResultLost);
    });

    /// <summary>B9 30, B5 test_commit_waiter_dropped_before_notifying_above_snapshot. Planted: eng/defects/30-unknown-is-called-dropped.defect</summary>
    [Fact]
    public void What_a_snapshot_of_a_later_term_covers_is_unknown_and_what_lies_above_it_is_dropped_in_index_order() => Cluster.Run(
        3, seed: 343, settings: SnapshotTests.WithoutTrailing, scenario: async cluster =>
        {
            (Member old, Member[] followers) = await cluster.RolesAsync();
            await old.AddAsync("first");
            cluster.Network.Isolate(old.Id);
            List<int> ended = [];
            List<Task<AddedEntry>> calls = [.. Enumerable.Range(0, 10).Select(n => old.AddAsync($"lost {n}"))];
            for (int n = 0; n < calls.Count; n++)
                _ = NoteAsync(n);

            // The new leader's log holds its first entry and two more: so many of the old one's are covered. Of the last one
            // the snapshot tells the term.
            Member leader = await cluster.LeaderAsync(otherThan: old);
            await leader.AddAsync("one");
            await leader.AddAsync("two");
            await leader.Server.TriggerSnapshotAsync(default);
            cluster.Network.Heal();

            for (int n = 0; n < 2; n++)
                await Expect.FailsAsync<CommitStatusUnknownException>(calls[n]);
            for (int n = 2; n < 10; n++)
                await Expect.FailsAsync<DroppedEntryException>(calls[n]);
            await cluster.World.UntilAsync(() => ended.Count == calls.Count, "all calls have ended");
            Assert.Equal(Enumerable.Range(0, 10), ended);
            await cluster.ConvergesToAsync("first", "one", "two");

            async Task NoteAsync(int n)
            {
                try
                {
                    await calls[n];
                }
                catch (RaftException)
                {
                    ended.Add(n);
                }
            }
        });

    [Fact]
    public void A_leaders_own_entry_that_its_successor_committed_in_a_snapshot_of_its_term_succeeds() => Cluster.Run(
        3, seed: 344, settings: SnapshotTests.WithoutTrailing, scenario: async cluster =>
        {
            (Member old, Member[] followers) = await cluster.RolesAsync();
            await old.AddAsync("first");
            // The followers get the entry; the leader's disk hangs and never hears of it.
            cluster.Network.Filter = message => message is not AppendReply;
            Task<AddedEntry> call = old.AddAsync("mine");
            await cluster.World.UntilAsync(() => followers.All(member => member.Disk.LastIndex == old.Server.LastIndex), "the entry on all disks");
            cluster.Network.Filter = null;
            cluster.Network.Isolate(old.Id);
            Member leader = await cluster.LeaderAsync(otherThan: old);
            await cluster.World.UntilAsync(() => leader.Applied.Count == 2, "it is committed");
            cluster.Network.Heal();

            Assert.False((await call).IsResultLost);        // the log still told it
        });

    [Fact]
    public void A_read_that_waits_for_what_a_snapshot_brings_returns() => Cluster.Run(3, seed: 345, settings: SnapshotTests.WithoutTrailing, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member behind = followers[0];
        cluster.Network.Filter = message => !(message is AppendRequest { Entries.Count: > 0 } && message.To == behind.Id);
        AddedEntry added = await leader.AddAsync("one");
        Task<LogIndex> read = behind.ReadAsync();
        await cluster.PassAsync(0.2);
        Assert.False(read.IsCompleted);

        await leader.Server.TriggerSnapshotAsync(default);

        Assert.True(await read >= added.Index);
        Assert.Equal(["one"], behind.Applied);
    });
}

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// Snapshots of the own state: when, of what, and what goes on meanwhile. Rule 6.
public sealed class SnapshotTests
{
    internal static RaftServerSettings WithoutTrailing(RaftServerSettings settings) => settings with
    {
        Protocol = settings.Protocol with { SnapshotTrailingEntries = 0 },
    };

    [Fact]
    public void One_is_taken_when_the_log_has_grown_and_a_restart_begins_with_it() => Cluster.Run(
        3, seed: 301, settings: one => WithoutTrailing(one) with { SnapshotFloorBytes = 1_000 },
        scenario: async cluster =>
        {
            Member leader = await cluster.LeaderAsync();
            string[] commands = [.. Enumerable.Range(0, 100).Select(n => $"command {n}")];
            foreach (string command in commands)
                await leader.AddAsync(command);

            await cluster.EventuallyAsync(member => member.Server.Status.Snapshot is not null && !member.Server.Status.IsTakingSnapshot);
            foreach (Member member in cluster.Members)
            {
                Assert.True(member.Disk.FirstIndex > new LogIndex(50), $"{member} has a log from {member.Disk.FirstIndex} on");
                member.Crash();
            }

            foreach (Member member in cluster.Members)
                await member.StartAsync();
            await (await cluster.LeaderAsync()).AddAsync("after");

            await cluster.ConvergesToAsync([.. commands, "after"]);
            Assert.All(cluster.Members, member => Assert.Equal(1, member.Machine.PicturesLoaded));
        });

    [Fact]
    public void The_next_one_waits_until_the_log_has_grown_by_the_size_of_the_last() => Cluster.Run(
        1, seed: 302, settings: one => WithoutTrailing(one) with { SnapshotFloorBytes = 1 },
        scenario: async cluster =>
        {
            Member leader = await cluster.LeaderAsync();
            for (int n = 0; n < 200; n++)
                await leader.AddAsync($"command {n}");

            // Each picture holds all commands, so each wait is longer than the one before: with a fixed step it were 200.
            Assert.InRange(leader.Machine.PicturesTaken, 5, 20);
        });

    [Fact]
    public void A_log_that_reaches_what_the_disk_may_hold_does_not_wait_for_that() => Cluster.Run(
        1, seed: 303, settings: one => WithoutTrailing(one) with { SnapshotFloorBytes = 1, MaxLogDiskBytes = 600 },
        scenario: async cluster =>
        {
            Member leader = await cluster.LeaderAsync();
            for (int n = 0; n < 200; n++)
                await leader.AddAsync($"command {n}");

            Assert.InRange(leader.Machine.PicturesTaken, 18, 40);
        });

    [Fact]
    public void One_that_finds_no_room_is_given_up_told_and_tried_again_later() => Cluster.Run(
        1, seed: 351, settings: one => WithoutTrailing(one) with { SnapshotFloorBytes = 1_000 },
        scenario: async cluster =>
        {
            Member leader = await cluster.LeaderAsync();
            leader.Disk.LacksRoom = true;
            for (int n = 0; n < 200; n++)
                await leader.AddAsync($"command {n}");
            await Expect.FailsAsync<OutOfSpaceException>(leader.Server.TriggerSnapshotAsync(CancellationToken.None));
            Assert.True(leader.Server.IsAlive);
            Assert.False(leader.Server.Status.IsTakingSnapshot);
            Assert.InRange(leader.Machine.PicturesTaken, 1, 3);         // not with every command

            leader.Disk.LacksRoom = false;
            await cluster.PassAsync(leader.Server.Settings.SnapshotRetry.TotalSeconds + 1);
            await leader.AddAsync("after");
            await cluster.EventuallyAsync(one => one.Server.Status.Snapshot is not null);
        });

    [Fact]
    public void A_follower_without_room_for_the_leaders_goes_on_and_takes_it_later() => Cluster.Run(
        3, seed: 352, settings: WithoutTrailing,
        scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            followers[0].Crash();
            string[] commands = [.. Enumerable.Range(0, 50).Select(n => $"command {n}")];
            foreach (string command in commands)
                await leader.AddAsync(command);
            await leader.Server.TriggerSnapshotAsync(CancellationToken.None);

            followers[0].Disk.LacksRoom = true;
            await followers[0].StartAsync();
            await cluster.PassAsync(5);
            Assert.True(followers[0].Server.IsAlive);
            Assert.Equal(0, followers[0].Machine.PicturesLoaded);
            followers[0].Disk.LacksRoom = false;
            await cluster.ConvergesToAsync(commands);
        });

    [Fact]
    public void What_is_replayed_after_a_start_counts_too() => Cluster.Run(
        1, seed: 304, settings: one => WithoutTrailing(one) with { SnapshotFloorBytes = 10_000 },
        scenario: async cluster =>
        {
            Member member = cluster.Members[0];
            for (int round = 0; round < 4; round++)
            {
                await cluster.LeaderAsync();
                for (int n = 0; n < 50; n++)
                    await member.AddAsync($"command {n}");     // less than the floor in each life
                if (round == 3)
                    break;
                member.Crash();
                await member.StartAsync();
            }

            await cluster.EventuallyAsync(one => one.Server.Status.Snapshot is not null);
        });

    [Fact]
    public void Who_asks_for_one_gets_it_when_it_is_durable_and_the_same_again_when_nothing_was_applied_since() => Cluster.Run(3, seed: 305, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        foreach (Member member in (Member[])[leader, followers[0]])
        {
            await cluster.World.UntilAsync(() => member.Applied.Count == 1, "one applied");
            SnapshotDescriptor? taken = await member.Server.TriggerSnapshotAsync(default);
            Assert.Equal(member.Disk.Snapshot, taken);
            Assert.Equal(member.Server.AppliedIndex, taken!.Index);
            Assert.Equal(cluster.Configuration.Current, taken.Configuration.Current);
            Assert.Equal(member.Server.ConfigurationIndex, taken.ConfigurationIndex);

            Assert.Equal(taken, await member.Server.TriggerSnapshotAsync(default));
            Assert.Equal(1, member.Machine.PicturesTaken);
        }
    });

    [Fact]
    public void Where_nothing_was_applied_there_is_none() => Cluster.Run(3, seed: 306, isStarted: false, scenario: async cluster =>
    {
        await cluster.Members[0].StartAsync();

        Assert.Null(await cluster.Members[0].Server.TriggerSnapshotAsync(default));
    });

    [Fact]
    public void Its_term_is_that_of_its_last_entry_and_not_the_current_one() => Cluster.Run(3, seed: 307, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        AddedEntry added = await leader.AddAsync("one");
        await cluster.EventuallyAsync(member => member.Applied.Count == 1);
        // From now on nothing commits, and terms go up.
        cluster.Network.Isolate(followers[0].Id);
        followers[0].Server.Receive([new VoteRequest(followers[1].Id, followers[0].Id, new Term(50), added.Index, added.Term, false, true)]);
        await cluster.World.UntilAsync(() => followers[0].Server.CurrentTerm == new Term(50), "a higher term");

        SnapshotDescriptor? taken = await followers[0].Server.TriggerSnapshotAsync(default);

        Assert.Equal((added.Index, added.Term), (taken!.Index, taken.Term));
    });

    [Fact]
    public void Writes_go_on_while_one_is_written() => Cluster.Run(3, seed: 308, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        AddedEntry before = await leader.AddAsync("before");
        leader.Machine.Writing.Hold();
        Task<SnapshotDescriptor?> first = leader.Server.TriggerSnapshotAsync(default);
        await cluster.World.UntilAsync(() => leader.Server.Status.IsTakingSnapshot, "one is taken");

        AddedEntry during = await leader.AddAsync("during");
        Task<SnapshotDescriptor?> second = leader.Server.TriggerSnapshotAsync(default);
        await cluster.PassAsync(1);
        Assert.False(first.IsCompleted || second.IsCompleted);
        leader.Machine.Writing.Release();

        Assert.Equal(before.Index, (await first)!.Index);
        Assert.Equal(during.Index, (await second)!.Index);      // what was applied when it was asked for
        Assert.Equal(2, leader.Machine.PicturesTaken);
        Assert.False(leader.Server.Status.IsTakingSnapshot);
    });

    [Fact]
    public void One_that_cannot_be_written_stops_the_server() => Cluster.Run(3, seed: 309, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        leader.Machine.Writing.IsFailing = true;

        await Expect.FailsAsync<StoppedException>(leader.Server.TriggerSnapshotAsync(default));

        await Expect.FailsAsync<InvalidOperationException>(leader.Server.Stopped);
        await (await cluster.LeaderAsync(otherThan: leader)).AddAsync("two");
    });

    [Fact]
    public void A_stop_while_one_is_written_is_no_failure() => Cluster.Run(3, seed: 310, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        leader.Machine.Writing.Hold();
        Task call = leader.Server.TriggerSnapshotAsync(default);
        await cluster.World.UntilAsync(() => leader.Server.Status.IsTakingSnapshot, "one is taken");

        await leader.Server.AbortAsync("the end");
        leader.Machine.Writing.Release();

        Assert.Equal("the end", (await Expect.FailsAsync<StoppedException>(call)).Reason);
        await leader.Server.Stopped;
    });

    [Fact]
    public void Who_does_not_wait_any_longer_hears_so_and_it_is_taken_all_the_same() => Cluster.Run(1, seed: 311, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        leader.Machine.Writing.Hold();
        using var cancellation = new CancellationTokenSource();
        Task call = leader.Server.TriggerSnapshotAsync(cancellation.Token);
        await cluster.World.UntilAsync(() => leader.Server.Status.IsTakingSnapshot, "one is taken");

        cancellation.Cancel();

        await Expect.FailsAsync<RaftTimeoutException>(call);
        leader.Machine.Writing.Release();
        await cluster.World.UntilAsync(() => leader.Disk.Snapshot is not null, "the snapshot");
    });

    [Fact]
    public void A_server_takes_part_while_its_state_machine_still_loads() => Cluster.Run(3, seed: 312, settings: WithoutTrailing, scenario: async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        await cluster.EventuallyAsync(member => member.Applied.Count == 1);
        foreach (Member member in cluster.Members)
            await member.Server.TriggerSnapshotAsync(default);
        foreach (Member member in cluster.Members)
            member.Crash();

        foreach (Member member in cluster.Members)
        {
            Task started = member.StartAsync();
            member.Machine.Loading.Hold();
            await started;
        }

        leader = await cluster.LeaderAsync();
        await leader.AddAsync("two", WaitFor.Committed);
        Task<AddedEntry> third = leader.AddAsync("three");
        await cluster.PassAsync(1);
        Assert.False(third.IsCompleted);
        Assert.Equal(LogIndex.Zero, leader.Server.AppliedIndex);
        foreach (Member member in cluster.Members)
            member.Machine.Loading.Release();

        Assert.Equal("three is number 3", (await third).Result);
        await cluster.ConvergesToAsync("one", "two", "three");
    });

    [Fact]
    public void System_entries_come_to_the_state_machine_marked_also_forwarded_ones() => Cluster.Run(3, seed: 313, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("user's");

        AddedEntry own = await leader.Server.AddSystemEntryAsync("own"u8.ToArray(), WaitFor.Applied, default);
        AddedEntry forwarded = await followers[0].Server.AddSystemEntryAsync("forwarded"u8.ToArray(), WaitFor.Applied, default);

        Assert.Equal("own is number 2", own.Result);
        Assert.Equal("forwarded is number 3", forwarded.Result);
        await cluster.ConvergesToAsync("user's", "own", "forwarded");
        foreach (Member member in cluster.Members)
            Assert.Equal([false, true, true], member.Machine.Commands.Select(command => command.IsSystem));
    });
}

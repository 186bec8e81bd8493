using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// Whatever waits inside a server is counted somewhere, and refused or dropped beyond a limit. Rule 7.
public sealed class BoundedWaitingTests
{
    private static RaftServerSettings Small(RaftServerSettings settings) => settings with { MaxWaitingBytes = 10 * WaitingBytes.CallBytes };

    /// <summary>Planted: eng/defects/V01-waiting-calls-have-no-limit.defect</summary>
    [Fact]
    public void Writes_that_wait_for_a_leader_are_bounded() => Cluster.Run(3, seed: 411, settings: Small, isStarted: false, scenario: async cluster =>
    {
        Member alone = cluster.Members[0];
        await alone.StartAsync();
        List<Task<AddedEntry>> calls = [];
        for (int n = 0; n < 50; n++)
        {
            calls.Add(alone.Server.AddEntryAsync(ReadOnlyMemory<byte>.Empty, WaitFor.Committed, default));
            await cluster.PassAsync(0.06);      // longer than a tick: those that are parked are looked at again and again
        }

        Assert.Equal(40, calls.Count(call => call.IsFaulted));
        OverloadedException error = await Expect.FailsAsync<OverloadedException>(calls[^1]);
        Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
        Assert.Contains("MaxWaitingBytes is 5120", error.Message);

        await cluster.Members[1].StartAsync();
        await Expect.AllAsync(calls.Take(10));
        await cluster.World.UntilAsync(() => alone.Server.Status.WaitingBytes == 0, "they are not counted any more");
    });

    [Fact]
    public void Writes_that_wait_for_the_leaders_answer_are_bounded_here_and_there() => Cluster.Run(3, seed: 412, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        cluster.Network.ReplyDelay = _ => TimeSpan.FromSeconds(1);

        List<Task<AddedEntry>> calls = [.. Enumerable.Range(0, 20).Select(_ => followers[0].Server.AddEntryAsync(ReadOnlyMemory<byte>.Empty, WaitFor.Committed, default))];
        await cluster.PassAsync(0.1);
        Assert.Equal(10, calls.Count(call => call.IsFaulted));
        Assert.Equal(0, leader.Server.Status.WaitingBytes);     // appended there
        await Expect.AllAsync(calls.Take(10));
        await cluster.World.UntilAsync(() => followers[0].Server.Status.WaitingBytes == 0, "they are not counted any more");
    });

    [Fact]
    public void Forwarded_writes_beyond_the_leaders_limit_are_refused_there() => Cluster.Run(3, seed: 413, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        cluster.Network.Filter = message => message is not TimeoutNow;
        Task transfer = leader.Server.TransferLeadershipAsync(followers[0].Id.Node, TimeSpan.FromSeconds(1), default);      // writers wait for its end
        await cluster.PassAsync(0.05);

        List<Task<LeaderReply>> calls = [.. Enumerable.Range(0, 20).Select(_ => leader.Server.ReceiveCallAsync(followers[0].Id, new AddEntryCall(new byte[1], 10_000)))];
        await cluster.PassAsync(0.05);

        Assert.All(calls.Skip(9), call => Assert.Equal(CallRefusal.Overloaded, Assert.IsType<CallRefusedReply>(call.Result).Reason));
        foreach (Task<LeaderReply> call in calls.Take(9))
            Assert.IsType<EntryAddedReply>(await call);
        await Expect.FailsAsync<RaftTimeoutException>(transfer);
        await cluster.World.UntilAsync(() => leader.Server.Status.WaitingBytes == 0, "they are not counted any more");
    });

    [Fact]
    public void All_groups_of_a_process_share_one_limit() => Cluster.Run(3, seed: 414, isStarted: false, scenario: async cluster =>
    {
        var budget = new MemoryBudget(1 << 20) { MaxWaitingBytes = 10 * WaitingBytes.CallBytes };
        Member alone = cluster.Members[0];
        alone.Budget = budget;
        await alone.StartAsync();
        Assert.True(budget.TryAddWaiting(6 * WaitingBytes.CallBytes, isCommand: true));      // another group's

        Task<AddedEntry>[] calls = [.. Enumerable.Range(0, 10).Select(_ => alone.Server.AddEntryAsync(ReadOnlyMemory<byte>.Empty, WaitFor.Committed, default))];
        await cluster.PassAsync(0.1);
        Assert.Equal(6, calls.Count(call => call.IsFaulted));
        Task read = alone.ReadAsync();          // reads and operators have a reserve
        Task change = alone.Server.SetConfigurationAsync(cluster.Configuration.Current, default);
        await cluster.PassAsync(0.1);
        Assert.False(read.IsCompleted || change.IsCompleted);

        await alone.Server.AbortAsync("test");

        Assert.Equal(6 * WaitingBytes.CallBytes, budget.WaitingBytes);      // it gives back what it held
        foreach (Task call in calls.Take(4).Append(read).Append(change))
            await Expect.FailsAsync<StoppedException>(call);
    });

    [Fact]
    public void Calls_of_all_kinds_are_bounded_in_number_and_operators_still_get_through() => Cluster.Run(
        3, seed: 415, isStarted: false, settings: one => one with { MaxPendingCalls = 4 }, scenario: async cluster =>
        {
            Member alone = cluster.Members[0];
            await alone.StartAsync();
            Task[] waiting = [alone.AddAsync("one"), alone.ReadAsync(), alone.Server.WaitForLeaderAsync(default), alone.AddAsync("two")];
            await cluster.PassAsync(0.1);

            await Expect.FailsAsync<OverloadedException>(alone.AddAsync("three"));
            await Expect.FailsAsync<OverloadedException>(alone.ReadAsync());
            await Expect.FailsAsync<OverloadedException>(alone.Server.WaitForStateChangeAsync(default));
            Task change = alone.Server.SetConfigurationAsync(cluster.Configuration.Current, default);
            await cluster.PassAsync(0.1);
            Assert.False(change.IsCompleted);

            await cluster.Members[1].StartAsync();
            foreach (Task call in waiting.Append(change))
                await call;
            await alone.AddAsync("three");
        });

    [Fact]
    public void A_command_larger_than_the_limit_passes_alone() => Cluster.Run(1, seed: 416, settings: Small, scenario: async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync(new string('x', 100_000));
        Task<AddedEntry> large = leader.AddAsync(new string('y', 100_000));
        Task<AddedEntry> small = leader.AddAsync("z");
        await Expect.FailsAsync<OverloadedException>(small);
        await large;
    });

    /// <summary>Planted: eng/defects/V04-cancelled-waiters-stay.defect</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Cancelled_calls_are_forgotten_however_long_their_index_is_not_applied(bool areReads) => Cluster.Run(3, seed: 417, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        await cluster.EventuallyAsync(member => member.Applied.Count == 1);
        Member slow = followers[0];
        slow.Machine.Hold();
        await leader.AddAsync("not applied there");
        int most = 0;
        for (int n = 0; n < 500; n++)
        {
            using var cancellation = new CancellationTokenSource();
            Task call = areReads ? slow.ReadAsync(cancellation.Token) : slow.AddAsync($"c{n}", cancellation: cancellation.Token);
            await cluster.PassAsync(0.01);
            Assert.False(call.IsCompleted);
            cancellation.Cancel();
            await Expect.FailsAsync<RaftException>(call);
            most = Math.Max(most, slow.Server.Status.Waiters);
        }

        Assert.InRange(most, 10, 130);
        slow.Machine.Release();
        await slow.ReadAsync();
        await cluster.World.UntilAsync(() => slow.Server.Status.Waiters == 0, "nobody waits any more");
    });

    /// <summary>Planted: eng/defects/V14-lost-answers-to-reads-are-waited-for.defect</summary>
    [Fact]
    public void A_read_whose_answer_is_lost_is_asked_again() => Cluster.Run(
        3, seed: 418, settings: one => one with { ForwardTimeout = TimeSpan.FromSeconds(1) }, scenario: async cluster =>
        {
            (_, Member[] followers) = await cluster.RolesAsync();
            int asked = 0;
            cluster.Network.CallTimeout = TimeSpan.FromHours(1);
            cluster.Network.ReplyFilter = call => call is not ReadBarrierCall || ++asked > 1;

            await followers[0].ReadAsync();

            Assert.Equal(2, asked);
        });

    /// <summary>Planted: eng/defects/V12-results-are-bounded-in-number-alone.defect</summary>
    [Fact]
    public void Results_that_are_kept_for_late_replies_are_bounded_in_bytes()
    {
        var results = new RecentResults(capacity: 100, maxBytes: 10_000);
        for (int n = 1; n <= 300; n++)
            results.Add(new LogIndex(2 * n), new byte[n % 3 == 0 ? 1_000 : 10]);

        Assert.InRange(results.Bytes, 9_000, 10_000);
        Assert.True(results.TryGet(new LogIndex(600), out object? last));
        Assert.Equal(1_000, ((byte[])last!).Length);
        Assert.True(results.TryGet(new LogIndex(598), out _));
        Assert.False(results.TryGet(new LogIndex(599), out _));
        Assert.False(results.TryGet(new LogIndex(2), out _));

        results.Add(new LogIndex(700), new string('x', 5_001));     // alone more than all of it
        Assert.False(results.TryGet(new LogIndex(700), out _));
        Assert.Equal((0, 0), (results.Count, results.Bytes));

        for (int n = 0; n < 300; n++)
            results.Add(new LogIndex(1_000 + n), null);
        Assert.Equal(100, results.Count);
        Assert.True(results.TryGet(new LogIndex(1_200), out object? none));
        Assert.Null(none);
        Assert.False(results.TryGet(new LogIndex(1_199), out _));
        results.Clear();
        Assert.Equal((0, 0), (results.Count, results.Bytes));
    }

    /// <summary>A day of messages to a disk that hangs must not fill memory; here it is minutes, and a small limit. Planted: eng/defects/V02-disk-queue-has-no-limit.defect</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Writes_that_wait_for_a_disk_that_hangs_are_bounded_and_the_group_goes_on(bool isLeaders) => Cluster.Run(
        3, seed: 419, settings: one => one with { MaxQueuedBatches = 16 }, scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            await leader.AddAsync("before");
            Member hung = isLeaders ? leader : followers[0];
            hung.Disk.Hold();
            int most = 0;
            int number = 0;
            int failed = 0;
            for (int n = 0; n < 400; n++)
            {
                Member asked = cluster.Members.First(member => member != hung);
                using var cancellation = new CancellationTokenSource();
                Task<AddedEntry> call = asked.AddAsync($"c{++number}", WaitFor.Committed, cancellation.Token);
                await cluster.PassAsync(0.2);
                cancellation.Cancel();
                try
                {
                    await call;
                }
                catch (RaftException)
                {
                    failed++;
                }

                most = Math.Max(most, hung.Server.Status.QueuedBatches);
            }

            Assert.True(failed < 40, $"{failed} of 400 writes failed");
            Assert.False(hung.IsLeader);
            Assert.InRange(most, 1, 16 + 16);
            hung.Disk.Release();
            await cluster.EventuallyAsync(member => member.Server.AppliedIndex == cluster.Members.Max(one => one.Server.CommitIndex) && member.Server.Status.QueuedBatches == 0);
        });

    [Fact]
    public void A_burst_on_a_leader_whose_disk_hangs_queues_no_more_than_the_limit() => Cluster.Run(
        3, seed: 420, settings: one => one with { MaxQueuedBatches = 16, DiskStall = TimeSpan.FromMinutes(1) }, scenario: async cluster =>
        {
            (Member leader, _) = await cluster.RolesAsync();
            await leader.AddAsync("before");
            leader.Disk.Hold();
            List<Task<AddedEntry>> calls = [];
            for (int n = 0; n < 200; n++)
            {
                calls.Add(leader.AddAsync($"c{n}"));
                await cluster.PassAsync(0.002);
            }

            Assert.InRange(leader.Server.Status.QueuedBatches, 1, 16);
            Assert.True(leader.Server.Status.AdmissionWaiting > 100);
            leader.Disk.Release();
            await Expect.AllAsync(calls);
            Assert.Equal("c199", leader.Applied[^1]);
        });

    /// <summary>While its term is not durable, each answer to a read round is a promise, and so a batch of its own. Found by seed 559 of the
    /// simulator. Planted: eng/defects/V17-read-rounds-fill-the-disk-queue.defect</summary>
    [Fact]
    public void Read_rounds_before_a_term_is_durable_queue_no_more_than_the_limit() => Cluster.Run(
        3, seed: 422, settings: one => one with { MaxQueuedBatches = 16 }, scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            await leader.AddAsync("before");
            Member hung = followers[0], next = followers[1];
            hung.Disk.Hold();
            await leader.Server.TransferLeadershipAsync(next.Id.Node, TimeSpan.FromSeconds(5), default);
            await cluster.World.UntilAsync(() => hung.Server.CurrentTerm == next.Server.CurrentTerm && next.IsLeader, "the new term is known to the server whose disk hangs");
            int most = 0;
            for (int n = 0; n < 200; n++)
            {
                await next.Server.ReadBarrierAsync(default);
                await cluster.PassAsync(0.01);
                most = Math.Max(most, hung.Server.Status.QueuedBatches);
            }

            Assert.InRange(most, 1, 16 + 16);
            hung.Disk.Release();
            await next.AddAsync("after");
            await cluster.ConvergesToAsync("before", "after");
        });

    /// <summary>It hears of no leader, so it asks for votes again and again: none of that may pile up before the disk. Planted: eng/defects/V03-elections-go-on-before-a-full-disk-queue.defect</summary>
    [Fact]
    public void A_server_that_is_alone_with_a_disk_that_hangs_queues_no_more_than_the_limit() => Cluster.Run(
        3, seed: 421, settings: one => one with { MaxQueuedBatches = 16 }, scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            await leader.AddAsync("before");
            followers[0].Disk.Hold();
            await leader.AddAsync("during", WaitFor.Committed);
            await cluster.World.UntilAsync(() => followers[0].Server.Status.QueuedBatches > 0, "something waits for the disk");
            cluster.Network.Isolate(followers[0].Id);
            int most = 0;
            for (int n = 0; n < 200; n++)
            {
                await cluster.PassAsync(1);
                most = Math.Max(most, followers[0].Server.Status.QueuedBatches);
            }

            Assert.InRange(most, 1, 16 + 16);
            followers[0].Disk.Release();
            cluster.Network.Heal();
            await leader.AddAsync("after");
            await cluster.ConvergesToAsync("before", "during", "after");
        });
}

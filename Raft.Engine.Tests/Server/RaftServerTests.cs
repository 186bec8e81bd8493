using System.Diagnostics.Metrics;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// After B5: what a call on a server that stopped, was cancelled, or is touched wrongly ends with.
public sealed class RaftServerTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_call_on_a_stopped_server_says_why_even_when_cancelled(bool isCancelled) => Cluster.Run(3, seed: 111, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        await leader.Server.AbortAsync("the test wants it");
        await leader.Server.Stopped;
        var token = new CancellationToken(isCancelled);

        Task[] calls =
        [
            leader.AddAsync("no", WaitFor.Applied, token), leader.ReadAsync(token),
            leader.Server.WaitForLeaderAsync(token), leader.Server.WaitForStateChangeAsync(token),
        ];

        foreach (Task call in calls)
        {
            StoppedException error = await Expect.FailsAsync<StoppedException>(call);
            Assert.Equal("the test wants it", error.Reason);
            Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
        }

        Assert.False(leader.Server.IsAlive);
        await leader.Server.AbortAsync("again");        // nothing happens
    });

    [Fact]
    public void Calls_that_wait_end_when_the_server_stops() => Cluster.Run(3, seed: 112, isStarted: false, scenario: async cluster =>
    {
        Member member = cluster.Members[0];
        await member.StartAsync();
        Task[] calls = [member.AddAsync("no"), member.ReadAsync(), member.Server.WaitForLeaderAsync(default)];
        await cluster.PassAsync(0.1);

        await member.Server.AbortAsync("the end");

        foreach (Task call in calls)
            Assert.Equal(WriteOutcome.NotSubmitted, (await Expect.FailsAsync<StoppedException>(call)).Outcome);
    });

    [Fact]
    public void An_appended_entry_is_unknown_when_the_server_stops() => Cluster.Run(3, seed: 113, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        cluster.Network.Isolate(leader.Id);
        Task call = leader.AddAsync("maybe");
        await cluster.PassAsync(0.01);

        await leader.Server.AbortAsync("the end");

        Assert.Equal(WriteOutcome.Unknown, (await Expect.FailsAsync<StoppedException>(call)).Outcome);
    });

    [Fact]
    public void Cancelling_ends_the_wait_and_not_the_entry() => Cluster.Run(3, seed: 114, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        using var cancellation = new CancellationTokenSource();
        leader.Machine.Hold();
        Task<AddedEntry> call = leader.AddAsync("one", cancellation: cancellation.Token);
        await cluster.PassAsync(0.05);

        cancellation.Cancel();

        await Expect.FailsAsync<CommitStatusUnknownException>(call);
        leader.Machine.Release();
        await cluster.ConvergesToAsync("one");
    });

    [Fact]
    public void A_token_that_is_cancelled_before_means_nothing_was_submitted() => Cluster.Run(3, seed: 115, async cluster =>
    {
        await cluster.RolesAsync();
        foreach (Member member in cluster.Members)
        {
            RaftTimeoutException error = await Expect.FailsAsync<RaftTimeoutException>(member.AddAsync("no", cancellation: new CancellationToken(true)));
            Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
            await Expect.FailsAsync<RaftTimeoutException>(member.ReadAsync(new CancellationToken(true)));
        }

        await cluster.Members[0].AddAsync("yes");
        await cluster.ConvergesToAsync("yes");
    });

    [Fact]
    public void Waiting_for_a_state_change_can_be_cancelled() => Cluster.Run(3, seed: 116, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        using var cancellation = new CancellationTokenSource();
        Task change = leader.Server.WaitForStateChangeAsync(cancellation.Token);
        await cluster.PassAsync(3);
        Assert.False(change.IsCompleted);

        cancellation.Cancel();

        await Expect.FailsAsync<RaftTimeoutException>(change);
    });

    [Fact]
    public void A_state_change_wakes_who_waits_for_it() => Cluster.Run(3, seed: 117, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Task change = followers[0].Server.WaitForStateChangeAsync(default);

        leader.Crash();
        await change;
        ServerId next = await followers[0].Server.WaitForLeaderAsync(default);

        Assert.NotEqual(leader.Id, next);
        Assert.Equal(next, followers[0].Server.CurrentLeader);
    });

    [Fact]
    public void A_server_that_has_not_started_refuses_calls() => Cluster.Run(1, seed: 118, async cluster =>
    {
        Member member = cluster.Members[0];
        var parts = new RaftServerParts(
            Cluster.Group, cluster.World.NewShard(), member.Endpoint, member.Disk.Open(), member.Machine, member.Endpoint, new TraceLogger(cluster.World, member.Id));
        await using var server = new RaftServer(parts, member.Server.Settings);

        await Expect.FailsAsync<StoppedException>(server.AddEntryAsync(new byte[1], WaitFor.Applied, default));
        Assert.False(server.IsAlive);
        Assert.Equal(Role.Follower, server.Role);
    });

    [Fact]
    public void Internals_are_out_of_reach_of_other_threads() => Cluster.Run(1, seed: 119, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        Assert.Throws<WrongShardException>(() => leader.Server.Protocol);
    });

    [Fact]
    public void A_message_for_another_disk_is_not_read() => Cluster.Run(3, seed: 120, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        var former = new ServerId(leader.Id.Node, new StorageId(77));

        leader.Server.Receive([new VoteRequest(followers[0].Id, former, new Term(50), new LogIndex(99), new Term(49), false, true)]);
        await cluster.PassAsync(1);

        Assert.True(leader.IsLeader);
    });

    [Fact]
    public void What_it_publishes_is_in_order() => Cluster.Run(3, seed: 121, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        for (int n = 0; n < 50; n++)
        {
            AddedEntry added = await leader.AddAsync($"c{n}");
            ServerStatus status = leader.Server.Status;
            Assert.True(status.AppliedIndex >= added.Index);
            Assert.True(status.AppliedIndex <= status.CommitIndex && status.AppliedIndex <= status.DurableIndex && status.CommitIndex <= status.LastIndex);
        }

        await cluster.PassAsync(0.2);
        Assert.Equal(2, leader.Server.Peers.Count(peer => peer.Server != leader.Id && peer.MatchIndex == leader.Server.LastIndex));
    });

    [Fact]
    public void Stages_of_a_write_are_measured() => Cluster.Run(3, seed: 122, async cluster =>
    {
        HashSet<string> stages = [];
        HashSet<string> counters = [];
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == "Raft.Engine")
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((_, value, tags, _) =>
        {
            Assert.True(value >= 0);
            foreach (KeyValuePair<string, object?> tag in tags)
            {
                if (tag.Key == "stage")
                    lock (stages)
                        stages.Add((string)tag.Value!);
            }
        });
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) =>
        {
            if (value == 0)
                return;         // a series begins at 0: nothing has happened
            lock (counters)
                counters.Add(instrument.Name);
        });
        listener.Start();

        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        await leader.ReadAsync();

        Assert.Superset(new HashSet<string> { "admitted", "durable", "committed", "applied" }, stages);
        Assert.Superset(new HashSet<string> { "raft.entries.added", "raft.messages.sent", "raft.messages.received", "raft.entries.applied", "raft.reads", "raft.batches" }, counters);
    });
}

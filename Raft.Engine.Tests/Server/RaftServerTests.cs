using System.Diagnostics.Metrics;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
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

    /// <summary>Planted: eng/defects/V11-second-start-is-taken.defect</summary>
    [Fact]
    public void A_second_start_is_refused_and_the_server_continues() => Cluster.Run(3, seed: 123, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();

        await Expect.FailsAsync<InvalidOperationException>(leader.Server.StartAsync(default));
        await leader.AddAsync("after");
        await leader.Server.AbortAsync("test");
        await Expect.FailsAsync<InvalidOperationException>(leader.Server.StartAsync(default));
    });

    /// <summary>Planted: eng/defects/V09-callbacks-escape-from-the-stop.defect</summary>
    [Fact]
    public void Callbacks_that_throw_while_a_server_stops_lose_no_call() => Cluster.Run(3, seed: 124, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        leader.Machine.Token.Register(static () => throw new InvalidOperationException("a state machine's own trouble"));
        cluster.Network.Filter = _ => false;
        leader.Endpoint.Stopping = () => throw new InvalidOperationException("the network's own trouble");
        Task[] calls =
        [
            leader.AddAsync("two"), leader.ReadAsync(), leader.Server.WaitForStateChangeAsync(default),
            leader.Server.TransferLeadershipAsync(null, TimeSpan.FromMinutes(1), default),
        ];
        Task<LeaderReply> forwarded = leader.Server.ReceiveCallAsync(followers[0].Id, new ReadBarrierCall(60_000));
        await cluster.PassAsync(0.05);

        await leader.Server.AbortAsync("test");

        await leader.Server.Stopped;
        foreach (Task call in calls)
            await Expect.FailsAsync<StoppedException>(call);
        Assert.IsType<CallRefusedReply>(await forwarded);
    });

    [Fact]
    public void Settings_out_of_range_are_named_with_their_value_and_range() => Cluster.Run(1, seed: 125, async cluster =>
    {
        Member member = cluster.Members[0];
        var parts = new RaftServerParts(
            Cluster.Group, cluster.World.NewShard(), member.Endpoint, member.Disk.Open(), member.Machine, member.Endpoint, new TraceLogger(cluster.World, member.Id));
        RaftServerSettings good = member.Server.Settings;
        (RaftServerSettings Bad, string Text)[] cases =
        [
            (good with { Tick = TimeSpan.Zero }, "RaftServerSettings.Tick is 00:00:00; allowed: 00:00:00.0010000 to 00:01:00."),
            (good with { Tick = Timeout.InfiniteTimeSpan }, "Tick is -00:00:00.0010000"),
            (good with { DiskStall = Timeout.InfiniteTimeSpan }, "DiskStall is -00:00:00.0010000"),
            (good with { ForwardTimeout = TimeSpan.MaxValue }, "ForwardTimeout is 10675199"),
            (good with { MaxCommandBytes = 0 }, "MaxCommandBytes is 0; allowed: 1 to 1073741824."),
            (good with { MaxUncommittedBytes = 0 }, "MaxUncommittedBytes is 0"),
            (good with { MaxWaitingBytes = -1 }, "MaxWaitingBytes is -1"),
            (good with { MaxPendingCalls = 0 }, "MaxPendingCalls is 0"),
            (good with { MaxQueuedBatches = 15 }, "MaxQueuedBatches is 15"),
            (good with { SnapshotFloorBytes = -1 }, "SnapshotFloorBytes is -1"),
            (good with { MaxLogDiskBytes = 0 }, "MaxLogDiskBytes is 0"),
            (good with { SnapshotChunkBytes = 0 }, "SnapshotChunkBytes is 0"),
            (good with { SnapshotSendBytesPerSecond = -1 }, "SnapshotSendBytesPerSecond is -1"),
            (good with { MaxApplyEntries = 0 }, "MaxApplyEntries is 0"),
            (good with { MaxApplyBytes = 0 }, "MaxApplyBytes is 0"),
        ];

        foreach ((RaftServerSettings bad, string text) in cases)
            Assert.Contains(text, Assert.Throws<ArgumentOutOfRangeException>(() => new RaftServer(parts, bad)).Message);
        Assert.Throws<ArgumentNullException>(() => new RaftServer(parts with { Storage = null! }, good));
        Assert.Throws<ArgumentException>(() => new RaftServer(parts with { Group = default }, good));
        await using var longest = new RaftServer(parts, good with { DiskStall = TimeSpan.MaxValue, ForwardTimeout = TimeSpan.FromDays(24) });
    });

    [Fact]
    public void Arguments_that_mean_nothing_are_refused_at_the_door() => Cluster.Run(1, seed: 126, async cluster =>
    {
        RaftServer server = (await cluster.LeaderAsync()).Server;
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = server.AddEntryAsync(new byte[1], (WaitFor)7, default); });
        Assert.Throws<ArgumentNullException>(() => { _ = server.SetConfigurationAsync(null!, default); });
        Assert.Throws<ArgumentNullException>(() => { _ = server.ModifyConfigurationAsync([], null!, default); });
        Assert.Throws<ArgumentNullException>(() => { _ = server.ChangeMembersAsync(null!, default); });
        Assert.Throws<ArgumentNullException>(() => { _ = server.AbortAsync(null!); });
        Assert.Throws<ArgumentNullException>(() => server.Receive(null!));
        Assert.Throws<ArgumentNullException>(() => { _ = server.ReceiveSnapshotAsync(server.Id, null!); });
        Assert.IsType<CallRefusedReply>(await server.ReceiveCallAsync(server.Id, null!));
        Assert.IsType<CallRefusedReply>(await server.ReceiveCallAsync(server.Id, new ChangeMembersCall(null!, 1)));
        Assert.IsType<CallRefusedReply>(await server.ReceiveCallAsync(server.Id, new ChangeMembersCall(new MembershipChange { Set = [null!] }, 1)));
        Assert.IsType<CallRefusedReply>(await server.ReceiveCallAsync(server.Id, new TransferCall(default(NodeId), 1)));
        await Expect.FailsAsync<InvalidConfigurationException>(server.SetConfigurationAsync([null!], default));
        await Expect.FailsAsync<InvalidConfigurationException>(server.ModifyConfigurationAsync([], [default], default));
        await Expect.FailsAsync<InvalidConfigurationException>(server.ModifyConfigurationAsync(
            [new Raft.Engine.Protocol.Member(new NodeId("n2"), default, (MemberKind)9, "", "")], [], default));
        await Expect.FailsAsync<InvalidConfigurationException>(server.ModifyConfigurationAsync(
            [new Raft.Engine.Protocol.Member(new NodeId("n2"), default, MemberKind.Voter, null!, "")], [], default));
        Assert.True(server.IsAlive);
    });

    /// <summary>Planted: eng/defects/V08-one-calls-error-stops-the-server.defect</summary>
    [Fact]
    public void An_error_in_the_handling_of_one_call_is_its_own() => Cluster.Run(1, seed: 127, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        var error = new InvalidCastException("a bug");
        var call = new FaultyCall(leader.Server, error);

        leader.Server.Submit(call);
        await leader.AddAsync("after");

        Assert.Same(error, call.Broken);
        Assert.True(leader.Server.IsAlive);
        await cluster.World.UntilAsync(() => leader.Server.Status.WaitingBytes == 0, "it is not counted any more");
    });

    [Fact]
    public void A_call_that_finds_an_invariant_broken_stops_the_server_and_is_answered() => Cluster.Run(1, seed: 128, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        var error = new InvariantViolationException("1 == 2", "file", 1);
        var call = new FaultyCall(leader.Server, error);

        leader.Server.Submit(call);

        Assert.Same(error, await Expect.FailsAsync<InvariantViolationException>(leader.Server.Stopped));
        Assert.Same(error, call.Broken);
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_the_network_throws_at_a_call_stops_no_server(bool isOnce) => Cluster.Run(4, seed: 129, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        int calls = 0;
        followers[0].Endpoint.Calling = _ =>
        {
            if (++calls == 1 || !isOnce)
                throw new NotSupportedException("a bug of the network");
        };
        RaftServer asked = followers[0].Server;
        using var cancellation = new CancellationTokenSource();
        Task read = asked.ReadBarrierAsync(cancellation.Token);
        await cluster.PassAsync(1);
        Assert.Equal(isOnce, read.IsCompletedSuccessfully);     // asked again: a read changes nothing

        await (isOnce ? Task.CompletedTask : Expect.FailsAsync<CommitStatusUnknownException>(followers[0].AddAsync("maybe")));
        cancellation.Cancel();
        Assert.All(cluster.Members, member => Assert.True(member.Server.IsAlive));
        followers[0].Endpoint.Calling = null;
        await followers[0].AddAsync("after");
        await followers[0].ReadAsync();
        Assert.True(leader.IsLeader);
    });

    private sealed class FaultyCall(RaftServer server, Exception error) : ICall
    {
        public Exception? Broken { get; private set; }
        public RaftServer Server => server;
        public int WaitingCharge { get; set; }

        public void Begin() => throw error;

        public void Break(Exception cause) => Broken = cause;

        public void Overloaded(string detail) => throw new NotSupportedException();

        public void Stop(string reason) => throw new NotSupportedException();
    }
}

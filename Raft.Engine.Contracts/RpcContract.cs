using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

/// <summary>What every <see cref="IRaftRpc"/> must do: each line of its remarks as a test.</summary>
/// <remarks>
/// To run it on a network of your own: reference this package from an xunit project, derive a public class, and give a
/// network of the number of servers asked for from <see cref="CreateNetworkAsync"/>, running, with nothing started on it yet:
/// <code>
/// public sealed class MyRpcTests : RpcContract
/// {
///     protected override async ValueTask&lt;RpcNetwork&gt; CreateNetworkAsync(int servers) => await MyNetwork.StartAsync(servers);
/// }
/// </code>
/// A network may lose messages, so the tests send again until one arrives; they never wait for a time.
/// </remarks>
public abstract partial class RpcContract
{
    /// <summary>A new network of that many servers.</summary>
    protected abstract ValueTask<RpcNetwork> CreateNetworkAsync(int servers);

    [Fact]
    public async Task Messages_of_every_kind_arrive_unchanged()
    {
        await using Endpoints net = await StartAsync(2);
        IReadOnlyList<Message> sent = MessageSamples.All(net.Id(0), net.Id(1));
        foreach (Message message in sent)
        {
            await RecordingHandler.RepeatUntilAsync(
                () => net.Rpc(0).Send([message]),
                () => net.Handler(1).Received.Any(received => MessageSamples.AreSame(message, received)),
                $"the arrival of {message}");
        }

        Assert.All(net.Handler(1).Received, received => MessageSamples.AssertAmong(received, sent));
    }

    [Fact]
    public async Task A_received_message_carries_the_start_of_its_sender()
    {
        await using Endpoints net = await StartAsync(2);
        Message message = MessageSamples.Numbered(net.Id(0), net.Id(1), 1) with { SenderStart = 999_999 };
        await net.SendUntilReceivedAsync(0, 1, message);
        Assert.All(net.Handler(1).Received, received => Assert.Equal(net.Network.StartCountOf(0), received.SenderStart));
    }

    [Fact]
    public async Task Each_message_of_one_send_reaches_its_own_server_only()
    {
        await using Endpoints net = await StartAsync(3);
        Message toOne = MessageSamples.Numbered(net.Id(0), net.Id(1), 1);
        Message toTwo = MessageSamples.Numbered(net.Id(0), net.Id(2), 2);
        Message voteToOne = new VoteRequest(net.Id(0), net.Id(1), new Term(3), new LogIndex(3), new Term(3), IsPreVote: false, IsTransfer: false);
        await RecordingHandler.RepeatUntilAsync(
            () => net.Rpc(0).Send([toOne, toTwo, voteToOne]),
            () => net.Handler(1).Received.Count >= 2 && net.Handler(2).Received.Count >= 1,
            "the arrival at both");

        Assert.All(net.Handler(1).Received, received => Assert.Equal(net.Id(1), received.To));
        Assert.All(net.Handler(2).Received, received => Assert.Equal(net.Id(2), received.To));
        Assert.Empty(net.Handler(0).Received);
    }

    [Fact]
    public async Task A_message_to_another_disk_of_the_same_node_is_not_delivered()
    {
        await using Endpoints net = await StartAsync(2);
        var former = new ServerId(net.Id(1).Node, new StorageId(net.Id(1).Storage.Value + 1));
        AppendRequest proper = MessageSamples.Numbered(net.Id(0), net.Id(1), 1);
        for (int n = 0; n < 3; n++)
        {
            net.Rpc(0).Send([MessageSamples.Numbered(net.Id(0), former, 2)]);
            await net.SendUntilReceivedAsync(0, 1, proper with { PreviousIndex = new LogIndex(10 + n) });
        }

        Assert.All(net.Handler(1).Received, received => Assert.Equal(net.Id(1), received.To));
    }

    [Fact]
    public async Task Messages_to_one_server_keep_their_order_as_far_as_they_arrive()
    {
        await using Endpoints net = await StartAsync(2);
        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 0));
        const int Last = 2_000;
        for (int n = 1; n <= Last; n++)
            net.Rpc(0).Send([MessageSamples.Numbered(net.Id(0), net.Id(1), n, bytes: n % 50 * 40), MessageSamples.Numbered(net.Id(0), net.Id(1), n)]);
        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), Last + 1));

        long[] numbers = [.. net.Handler(1).Received.Cast<AppendRequest>().Select(message => message.PreviousIndex.Value)];
        Assert.Equal(numbers.Order(), numbers);
    }

    [Fact]
    public async Task Both_directions_work_at_once()
    {
        await using Endpoints net = await StartAsync(2);
        await Task.WhenAll(
            net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 1)),
            net.SendUntilReceivedAsync(1, 0, MessageSamples.Numbered(net.Id(1), net.Id(0), 2)));
    }

    [Fact]
    public async Task Another_group_does_not_hear_it()
    {
        await using Endpoints net = await StartAsync(2, Samples.Group, Samples.OtherGroup);
        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 1));
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1_000));
        Assert.Empty(net.Handler(1, Samples.OtherGroup).Received);
        Assert.Equal(0, net.Handler(1, Samples.OtherGroup).Calls);

        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 2), Samples.OtherGroup);
        Assert.DoesNotContain(net.Handler(1).Received, received => received is AppendRequest { PreviousIndex.Value: 2 });
    }

    [Fact]
    public async Task A_group_that_the_receiver_does_not_run_costs_the_other_groups_nothing()
    {
        await using Endpoints net = await StartAsync(2);
        var unknown = new GroupId("only-here");
        IRaftRpc rpc = net.Network.Rpc(0, unknown);
        rpc.Start(new RecordingHandler());
        rpc.ConfigurationChanged(Configuration.Of(net.Network.Members));
        for (int n = 0; n < 3; n++)
        {
            rpc.Send([MessageSamples.Numbered(net.Id(0), net.Id(1), n)]);
            await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 100 + n));
        }

        Assert.All(net.Handler(1).Received, received => Assert.InRange(((AppendRequest)received).PreviousIndex.Value, 100, 102));
    }

    [Fact]
    public async Task A_call_arrives_unchanged_and_gets_its_own_answer()
    {
        await using Endpoints net = await StartAsync(2);
        byte[] command = new byte[(1 << 20) - 5];
        new Random(1).NextBytes(command);
        ServerId caller = default;
        LeaderCall? heard = null;
        net.Handler(1).Answer = (from, call) =>
        {
            (caller, heard) = (from, call);
            return Task.FromResult<LeaderReply>(new EntryAddedReply(new EntryId(new LogIndex(0x1_0000_0001), new Term(9))));
        };

        LeaderReply reply = await net.CallUntilAnsweredAsync(0, 1, new AddEntryCall(command, 4_321));
        Assert.Equal(new EntryAddedReply(new EntryId(new LogIndex(0x1_0000_0001), new Term(9))), reply);
        Assert.Equal(net.Id(0), caller);
        var add = Assert.IsType<AddEntryCall>(heard);
        Assert.Equal(4_321, add.TimeoutMs);
        Assert.True(add.Command.Span.SequenceEqual(command));
    }

    [Fact]
    public async Task Calls_of_every_kind_arrive_unchanged()
    {
        await using Endpoints net = await StartAsync(2);
        foreach (LeaderCall call in MessageSamples.Calls())
        {
            string? heard = null;
            net.Handler(1).Answer = (_, received) =>
            {
                heard = MessageSamples.Describe(received);
                return Task.FromResult<LeaderReply>(new NotLeaderReply(null, Term.Zero));
            };
            await net.CallUntilAnsweredAsync(0, 1, call);
            Assert.Equal(MessageSamples.Describe(call), heard);
        }
    }

    [Fact]
    public async Task Replies_of_every_kind_come_back_unchanged()
    {
        await using Endpoints net = await StartAsync(3);
        LeaderReply[] replies =
        [
            new EntryAddedReply(new EntryId(new LogIndex(5), new Term(2))),
            new ReadBarrierReply(new LogIndex(long.MaxValue / 2)),
            new NotLeaderReply(net.Id(2), new Term(8)),
            new NotLeaderReply(null, new Term(3)),
            new TransferDoneReply(net.Id(2)),
            new TransferDoneReply(null),
            .. Enum.GetValues<CallRefusal>().Select(reason => new CallRefusedReply(reason, $"because of {reason}: ä€")),
        ];
        foreach (LeaderReply expected in replies)
        {
            net.Handler(1).Answer = (_, _) => Task.FromResult(expected);
            Assert.Equal(expected, await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1_000)));
        }
    }

    [Fact]
    public async Task Calls_under_way_together_are_answered_in_any_order()
    {
        await using Endpoints net = await StartAsync(2);
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        net.Handler(1).Answer = async (_, call) =>
        {
            int number = ((ReadBarrierCall)call).TimeoutMs;
            if (number % 2 == 0)
                await gate.Task;
            return new ReadBarrierReply(new LogIndex(number));
        };

        Task<LeaderReply>[] calls = [.. Enumerable.Range(0, 100).Select(n => net.Rpc(0).CallAsync(net.Id(1), new ReadBarrierCall(n), default))];
        for (int n = 1; n < 100; n += 2)
            Assert.Equal(new ReadBarrierReply(new LogIndex(n)), await calls[n].WaitAsync(Samples.Bound));
        Assert.All(calls.Where((_, n) => n % 2 == 0), call => Assert.False(call.IsCompleted));
        gate.SetResult();
        for (int n = 0; n < 100; n += 2)
            Assert.Equal(new ReadBarrierReply(new LogIndex(n)), await calls[n].WaitAsync(Samples.Bound));
    }

    [Fact]
    public async Task Cancelling_ends_the_wait_for_an_answer()
    {
        await using Endpoints net = await StartAsync(2);
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        var never = new TaskCompletionSource<LeaderReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        net.Handler(1).Answer = (_, _) => never.Task;
        using var cancel = new CancellationTokenSource();
        Task<LeaderReply> call = net.Rpc(0).CallAsync(net.Id(1), new ReadBarrierCall(2), cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(Samples.Bound));
        never.SetResult(new NotLeaderReply(null, Term.Zero));
    }

    [Fact]
    public async Task A_call_to_a_dead_server_fails()
    {
        await using Endpoints net = await StartAsync(2);
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        await net.Network.KillAsync(1);
        Exception error = await Assert.ThrowsAnyAsync<RaftException>(() => net.CallAsync(0, 1, new ReadBarrierCall(1)));
        Assert.True(error is DestinationNotAliveException or TransportException, $"Neither of the two errors allowed: {error}");
    }

    [Fact]
    public async Task A_call_to_another_disk_of_the_same_node_fails()
    {
        await using Endpoints net = await StartAsync(2);
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        int calls = net.Handler(1).Calls;
        var former = new ServerId(net.Id(1).Node, new StorageId(net.Id(1).Storage.Value + 1));
        Exception error = await Assert.ThrowsAnyAsync<RaftException>(
            () => net.Rpc(0).CallAsync(former, new ReadBarrierCall(1), default).WaitAsync(Samples.Bound));
        Assert.True(error is DestinationNotAliveException or TransportException, $"Neither of the two errors allowed: {error}");
        Assert.Equal(calls, net.Handler(1).Calls);
    }

    [Fact]
    public async Task A_call_to_a_group_that_the_receiver_does_not_run_fails_at_once_and_was_never_done()
    {
        await using Endpoints net = await StartAsync(2);
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        int calls = net.Handler(1).Calls;
        IRaftRpc rpc = net.Network.Rpc(0, new GroupId("only-here"));
        rpc.Start(new RecordingHandler());
        rpc.ConfigurationChanged(Configuration.Of(net.Network.Members));
        foreach (LeaderCall call in new LeaderCall[] { new AddEntryCall(new byte[10], 60_000), new ReadBarrierCall(60_000) })
            await Assert.ThrowsAsync<DestinationNotAliveException>(() => rpc.CallAsync(net.Id(1), call, default).WaitAsync(Samples.Bound));
        Assert.Equal(calls, net.Handler(1).Calls);
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
    }

    [Fact]
    public async Task A_call_that_was_under_way_when_the_server_died_may_have_arrived()
    {
        await using Endpoints net = await StartAsync(2);
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var never = new TaskCompletionSource<LeaderReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        net.Handler(1).Answer = (_, _) =>
        {
            arrived.TrySetResult();
            return never.Task;
        };
        Task<LeaderReply> call = net.Rpc(0).CallAsync(net.Id(1), new ReadBarrierCall(2), default);
        await arrived.Task.WaitAsync(Samples.Bound);
        await net.Network.KillAsync(1);
        await Assert.ThrowsAsync<TransportException>(() => call.WaitAsync(Samples.Bound));
        never.TrySetResult(new NotLeaderReply(null, Term.Zero));
    }

    [Fact]
    public async Task The_handler_is_told_of_a_dead_server_and_the_others_are_still_reached()
    {
        await using Endpoints net = await StartAsync(3);
        await net.SendUntilReceivedAsync(0, 2, MessageSamples.Numbered(net.Id(0), net.Id(2), 1));
        await net.Network.KillAsync(2);
        await RecordingHandler.RepeatUntilAsync(
            () => net.Rpc(0).Send([MessageSamples.Numbered(net.Id(0), net.Id(2), 2)]),
            () => net.Handler(0).WasToldUnreachable(net.Id(2)),
            "being told that the dead server is unreachable");

        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 3));
        Assert.False(net.Handler(0).WasToldUnreachable(net.Id(1)));
    }

    [Fact]
    public async Task What_waits_for_a_dead_server_is_bounded()
    {
        await using Endpoints net = await StartAsync(3);
        await net.Network.KillAsync(2);
        var payloads = new List<WeakReference>();
        for (int n = 0; n < 1_500; n++)
            payloads.Add(SendOneMebibyte(net, n));

        // What is only on its way through a thread may take its time; what is queued stays.
        await RecordingHandler.RepeatUntilAsync(
            GC.Collect,
            () => payloads.Count(payload => payload.IsAlive) <= 1_024,
            "letting go of all but 1 GiB for a dead server");
        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 2));
    }

    private static WeakReference SendOneMebibyte(Endpoints net, int number)
    {
        byte[] payload = new byte[1 << 20];
        var entry = new Entry(new LogIndex(number + 1), new Term(2), EntryKind.Command, 1, payload);
        net.Rpc(0).Send([MessageSamples.Numbered(net.Id(0), net.Id(2), number) with { Entries = [entry] }]);
        return new WeakReference(payload);
    }

    [Fact]
    public async Task After_stop_nothing_is_delivered_and_sends_are_dropped()
    {
        await using Endpoints net = await StartAsync(3);
        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 1));
        await net.SendUntilReceivedAsync(1, 2, MessageSamples.Numbered(net.Id(1), net.Id(2), 1));
        net.Rpc(1).Stop();
        int received = net.Handler(1).Received.Count, calls = net.Handler(1).Calls;

        for (int n = 0; n < 20; n++)
        {
            net.Rpc(0).Send([MessageSamples.Numbered(net.Id(0), net.Id(1), 2)]);
            net.Rpc(1).Send([MessageSamples.Numbered(net.Id(1), net.Id(2), 2)]);
        }

        await Assert.ThrowsAnyAsync<RaftException>(() => net.CallAsync(1, 2, new ReadBarrierCall(1)));
        await net.SendUntilReceivedAsync(0, 2, MessageSamples.Numbered(net.Id(0), net.Id(2), 3)); // the way is free; the stopped one was sent to before
        Assert.Equal((received, calls), (net.Handler(1).Received.Count, net.Handler(1).Calls));
        Assert.DoesNotContain(net.Handler(2).Received, message => message is AppendRequest { PreviousIndex.Value: 2 });
    }

    [Fact]
    public async Task A_server_is_reached_once_a_configuration_names_it()
    {
        await using Endpoints net = await StartAsync(3, configureAll: false);
        Configuration two = Configuration.Of(net.Network.Members.Take(2));
        Configuration three = Configuration.Of(net.Network.Members);
        net.Rpc(0).ConfigurationChanged(two);
        net.Rpc(1).ConfigurationChanged(two);
        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 1));

        net.Rpc(0).ConfigurationChanged(three); // the third has no configuration yet: it is new
        await net.SendUntilReceivedAsync(0, 2, MessageSamples.Numbered(net.Id(0), net.Id(2), 2));

        net.Rpc(0).ConfigurationChanged(two); // the entry was truncated
        net.Rpc(0).ConfigurationChanged(three);
        await net.SendUntilReceivedAsync(0, 2, MessageSamples.Numbered(net.Id(0), net.Id(2), 3));
        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 4));
    }

    private Task<Endpoints> StartAsync(int servers, params GroupId[] groups) => StartAsync(servers, configureAll: true, groups);

    private async Task<Endpoints> StartAsync(int servers, bool configureAll, params GroupId[] groups)
    {
        RpcNetwork network = await CreateNetworkAsync(servers);
        return new Endpoints(network, groups.Length == 0 ? [Samples.Group] : groups, configureAll);
    }

    /// <summary>The network with a recording handler on each endpoint.</summary>
    private sealed class Endpoints : IAsyncDisposable
    {
        private readonly Dictionary<(int, GroupId), RecordingHandler> _handlers = [];

        public Endpoints(RpcNetwork network, GroupId[] groups, bool configureAll)
        {
            Network = network;
            for (int server = 0; server < network.Members.Count; server++)
            {
                foreach (GroupId group in groups)
                {
                    var handler = new RecordingHandler();
                    _handlers.Add((server, group), handler);
                    network.Rpc(server, group).Start(handler);
                    if (configureAll)
                        network.Rpc(server, group).ConfigurationChanged(Configuration.Of(network.Members));
                }
            }
        }

        public RpcNetwork Network { get; }

        public ServerId Id(int server) => Network.Members[server].Id;

        public IRaftRpc Rpc(int server) => Network.Rpc(server, Samples.Group);

        public RecordingHandler Handler(int server, GroupId? group = null) => _handlers[(server, group ?? Samples.Group)];

        public Task SendUntilReceivedAsync(int from, int to, Message message, GroupId? group = null) => RecordingHandler.RepeatUntilAsync(
            () => Network.Rpc(from, group ?? Samples.Group).Send([message]),
            () => Handler(to, group).Received.Any(received => MessageSamples.AreSame(message, received)),
            $"the arrival of {message} at {Id(to)}");

        public Task<LeaderReply> CallAsync(int from, int to, LeaderCall call) => Rpc(from).CallAsync(Id(to), call, default).WaitAsync(Samples.Bound);

        /// <summary>Asks again while the connection is not up yet.</summary>
        public Task<LeaderReply> CallUntilAnsweredAsync(int from, int to, LeaderCall call) => UntilAnsweredAsync(() => CallAsync(from, to, call));

        public Task<SnapshotReply> SendChunkAsync(int from, int to, SnapshotChunk chunk, GroupId? group = null, CancellationToken cancellation = default) =>
            Network.Rpc(from, group ?? Samples.Group).SendSnapshotAsync(Id(to), chunk, cancellation).WaitAsync(Samples.Bound, CancellationToken.None);

        public Task<SnapshotReply> SendChunkUntilAnsweredAsync(int from, int to, SnapshotChunk chunk, GroupId? group = null) =>
            UntilAnsweredAsync(() => SendChunkAsync(from, to, chunk, group));

        private static async Task<T> UntilAnsweredAsync<T>(Func<Task<T>> ask)
        {
            for (long end = Environment.TickCount64 + (long)Samples.Bound.TotalMilliseconds; ;)
            {
                try
                {
                    return await ask();
                }
                catch (RaftException error) when (error is DestinationNotAliveException or TransportException)
                {
                    if (Environment.TickCount64 > end)
                        throw;
                    await Task.Delay(20);
                }
            }
        }

        public ValueTask DisposeAsync() => Network.DisposeAsync();
    }
}

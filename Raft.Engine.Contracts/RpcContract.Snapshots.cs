using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

// Snapshots: chunks that are answered one by one, on a way of their own.
public abstract partial class RpcContract
{
    private static readonly SnapshotReply Fine = new(new Term(9), SnapshotStatus.Continue, NextOffset: 5, LogIndex.Zero);

    [Fact]
    public async Task A_chunk_arrives_unchanged_and_carries_the_start_of_its_sender()
    {
        await using Endpoints net = await StartAsync(2);
        byte[] bytes = new byte[512 << 10];
        new Random(3).NextBytes(bytes);
        SnapshotChunk[] chunks =
        [
            MessageSamples.Chunk(0, default),                            // asks where to go on
            MessageSamples.Chunk((1L << 40) - bytes.Length, bytes),
            MessageSamples.Chunk(0, default, sizeBytes: 0),
            MessageSamples.Chunk(17, bytes.AsMemory(0, 1)) with { SenderStart = 999_999 },
        ];
        foreach (SnapshotChunk chunk in chunks)
        {
            (ServerId From, string Text, long Start) heard = default;
            net.Handler(1).AnswerChunk = (from, received) =>
            {
                heard = (from, MessageSamples.Describe(received), received.SenderStart);
                return Task.FromResult(Fine);
            };
            await net.SendChunkUntilAnsweredAsync(0, 1, chunk);
            Assert.Equal((net.Id(0), MessageSamples.Describe(chunk), net.Network.StartCountOf(0)), heard);
        }
    }

    [Fact]
    public async Task Answers_to_chunks_come_back_unchanged()
    {
        await using Endpoints net = await StartAsync(2);
        SnapshotReply[] replies =
        [
            new(new Term(0x1_0000_0007), SnapshotStatus.Continue, NextOffset: 1L << 40, LogIndex.Zero),
            new(new Term(7), SnapshotStatus.Installed, NextOffset: 0, new LogIndex(0x1_2345_6789)),
            new(new Term(8), SnapshotStatus.Refused, NextOffset: 0, LogIndex.Zero),
        ];
        foreach (SnapshotReply reply in replies)
        {
            net.Handler(1).AnswerChunk = (_, _) => Task.FromResult(reply);
            Assert.Equal(reply, await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(3, new byte[3])));
        }
    }

    [Fact]
    public async Task The_bytes_of_a_chunk_are_the_sender_s_again_once_it_is_answered_and_stay_until_the_answer()
    {
        await using Endpoints net = await StartAsync(2);
        net.Handler(1).AnswerChunk = async (_, chunk) =>
        {
            await Task.Delay(1); // looks later
            byte expected = (byte)chunk.Offset;
            return chunk.Bytes.Span.ContainsAnyExcept(expected) ? Fine with { Status = SnapshotStatus.Refused } : Fine;
        };
        byte[] buffer = new byte[300_000];
        for (int n = 0; n < 100; n++)
        {
            Array.Fill(buffer, (byte)n);
            Assert.Equal(Fine, await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(n, buffer.AsMemory(0, 1 + (n * 3_000)))));
        }
    }

    [Fact]
    public async Task A_chunk_that_waits_for_its_answer_delays_neither_messages_nor_calls_nor_another_group_s_chunks()
    {
        await using Endpoints net = await StartAsync(2, Samples.Group, Samples.OtherGroup);
        await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, default));
        var gate = new TaskCompletionSource<SnapshotReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        net.Handler(1).AnswerChunk = (_, _) => gate.Task;
        net.Handler(1, Samples.OtherGroup).AnswerChunk = (_, _) => Task.FromResult(Fine);
        Task<SnapshotReply> slow = net.SendChunkAsync(0, 1, MessageSamples.Chunk(0, new byte[1 << 20]));

        await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), 1));
        await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        Assert.Equal(Fine, await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, new byte[1 << 20]), Samples.OtherGroup));
        Assert.False(slow.IsCompleted);

        gate.SetResult(Fine);
        Assert.Equal(Fine, await slow);
    }

    [Fact]
    public async Task A_stream_of_big_chunks_keeps_no_message_from_arriving()
    {
        await using Endpoints net = await StartAsync(2);
        net.Handler(1).AnswerChunk = (_, _) => Task.FromResult(Fine);
        using var stop = new CancellationTokenSource();
        Task transfer = Task.Run(async () =>
        {
            byte[] bytes = new byte[1 << 20];
            while (!stop.IsCancellationRequested)
                await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, bytes));
        });
        for (int n = 1; n <= 50; n++)
        {
            await net.SendUntilReceivedAsync(0, 1, MessageSamples.Numbered(net.Id(0), net.Id(1), n));
            await net.CallUntilAnsweredAsync(0, 1, new ReadBarrierCall(1));
        }

        await stop.CancelAsync();
        await transfer.WaitAsync(Samples.Bound);
    }

    [Fact]
    public async Task A_chunk_that_was_under_way_when_the_server_died_may_have_arrived()
    {
        await using Endpoints net = await StartAsync(2);
        await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, default));
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var never = new TaskCompletionSource<SnapshotReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        net.Handler(1).AnswerChunk = (_, _) =>
        {
            arrived.TrySetResult();
            return never.Task;
        };
        Task<SnapshotReply> chunk = net.SendChunkAsync(0, 1, MessageSamples.Chunk(0, new byte[100]));
        await arrived.Task.WaitAsync(Samples.Bound);
        await net.Network.KillAsync(1);
        await Assert.ThrowsAsync<TransportException>(() => chunk);
        never.SetResult(Fine);
    }

    [Fact]
    public async Task A_chunk_to_a_dead_or_unknown_server_fails()
    {
        await using Endpoints net = await StartAsync(2);
        var unknown = new ServerId(new NodeId("nobody"), new StorageId(1));
        await Assert.ThrowsAsync<DestinationNotAliveException>(
            () => net.Rpc(0).SendSnapshotAsync(unknown, MessageSamples.Chunk(0, default), default).WaitAsync(Samples.Bound));

        await net.Network.KillAsync(1);
        for (int n = 0; n < 3; n++)
            await Assert.ThrowsAnyAsync<RaftException>(() => net.SendChunkAsync(0, 1, MessageSamples.Chunk(0, new byte[100])));
        await Assert.ThrowsAsync<DestinationNotAliveException>(() => net.SendChunkAsync(0, 1, MessageSamples.Chunk(0, new byte[100])));
    }

    [Fact]
    public async Task A_chunk_for_another_disk_of_the_same_node_is_not_delivered()
    {
        await using Endpoints net = await StartAsync(2);
        await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, default));
        int chunks = net.Handler(1).Chunks;
        var former = new ServerId(net.Id(1).Node, new StorageId(net.Id(1).Storage.Value + 1));
        await Assert.ThrowsAsync<DestinationNotAliveException>(
            () => net.Rpc(0).SendSnapshotAsync(former, MessageSamples.Chunk(0, default), default).WaitAsync(Samples.Bound));
        Assert.Equal(chunks, net.Handler(1).Chunks);
    }

    [Fact]
    public async Task A_chunk_of_a_group_that_the_receiver_does_not_run_fails_at_once()
    {
        await using Endpoints net = await StartAsync(2);
        await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, default));
        int chunks = net.Handler(1).Chunks;
        IRaftRpc rpc = net.Network.Rpc(0, new GroupId("only-here"));
        rpc.Start(new RecordingHandler());
        rpc.ConfigurationChanged(Configuration.Of(net.Network.Members));
        await Assert.ThrowsAsync<DestinationNotAliveException>(
            () => rpc.SendSnapshotAsync(net.Id(1), MessageSamples.Chunk(0, new byte[10]), default).WaitAsync(Samples.Bound));
        Assert.Equal(chunks, net.Handler(1).Chunks);
        await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, default));
    }

    [Fact]
    public async Task Cancelling_ends_the_wait_for_the_answer_to_a_chunk_and_the_next_one_is_sent()
    {
        await using Endpoints net = await StartAsync(2);
        await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, default));
        var never = new TaskCompletionSource<SnapshotReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        net.Handler(1).AnswerChunk = (_, _) => never.Task;
        using var cancel = new CancellationTokenSource();
        Task<SnapshotReply> chunk = net.SendChunkAsync(0, 1, MessageSamples.Chunk(0, new byte[100]), cancellation: cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => chunk);

        net.Handler(1).AnswerChunk = (_, _) => Task.FromResult(Fine);
        Assert.Equal(Fine, await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, new byte[100])));
        never.SetResult(Fine);
    }

    [Fact]
    public async Task After_stop_no_chunk_is_delivered_or_sent()
    {
        await using Endpoints net = await StartAsync(2);
        await net.SendChunkUntilAnsweredAsync(0, 1, MessageSamples.Chunk(0, default));
        await net.SendChunkUntilAnsweredAsync(1, 0, MessageSamples.Chunk(0, default));
        net.Rpc(1).Stop();
        int here = net.Handler(1).Chunks, there = net.Handler(0).Chunks;
        await Assert.ThrowsAnyAsync<RaftException>(() => net.SendChunkAsync(0, 1, MessageSamples.Chunk(0, new byte[100])));
        await Assert.ThrowsAnyAsync<RaftException>(() => net.SendChunkAsync(1, 0, MessageSamples.Chunk(0, new byte[100])));
        Assert.Equal((here, there), (net.Handler(1).Chunks, net.Handler(0).Chunks));
    }
}

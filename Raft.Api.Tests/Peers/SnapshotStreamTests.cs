using Microsoft.Extensions.Logging;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>The stream that is there only while snapshots are sent.</summary>
public sealed class SnapshotStreamTests : IAsyncLifetime
{
    private static readonly NodeIdentity One = PeerNode.IdentityOf("n1", 1);
    private static readonly NodeIdentity Two = PeerNode.IdentityOf("n2", 2);
    private static readonly NodeIdentity Stranger = PeerNode.IdentityOf("n3", 3);
    private static readonly GroupId Group = new("default");
    private static readonly FrameAddress FromStranger = new("default"u8.ToArray(), FrameAddress.HashOf(Stranger.Server), FrameAddress.HashOf(Two.Server));

    private readonly RecordingPeerHandler _handler = new();
    private PeerNode _one = null!; // set by InitializeAsync
    private PeerNode _two = null!;

    public async Task InitializeAsync()
    {
        _one = await PeerNode.StartAsync(One, settings: new PeerSettings { SnapshotIdle = TimeSpan.FromMilliseconds(200) });
        _two = await PeerNode.StartAsync(Two);
        Configuration both = Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two)]);
        foreach (PeerNode node in new[] { _one, _two })
        {
            node.Transport.Group(Group).Start(node == _two ? _handler : new RecordingPeerHandler());
            node.Transport.Group(Group).ConfigurationChanged(both);
        }

        await Eventually.HoldsAsync(() => _one.Transport.Peers.Single().IsConnected && _two.Transport.Peers.Single().IsConnected, "the connections", _one.Explain);
    }

    public async Task DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    [Fact]
    public async Task It_is_opened_for_a_chunk_closed_when_idle_and_opened_again()
    {
        for (int n = 1; n <= 2; n++)
        {
            await SendAsync(new byte[1_000]);
            int round = n;
            await Eventually.HoldsAsync(() => Logged(_one, 2101) == round && Logged(_one, 2102) == round, "the end of the idle stream", _one.Explain);
        }

        Assert.True(_one.Transport.Peers.Single().IsConnected);
        Assert.DoesNotContain(_one.Log.Lines, line => line.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task A_chunk_that_fits_into_no_frame_is_refused_and_the_stream_lives()
    {
        await SendAsync(new byte[1]);
        await Assert.ThrowsAsync<TransportException>(() => SendAsync(new byte[12 << 20]));
        await SendAsync(new byte[11 << 20]);
    }

    [Fact]
    public async Task Garbage_on_it_closes_that_connection_only()
    {
        (RawPeer control, _) = await RawPeer.GreetAsync(_two, Stranger, Two.Server);
        using (control)
        {
            await IsClosedAfterAsync(writer => MessageCodec.Write(writer, FromStranger, Vote(1)));
            await IsClosedAfterAsync(writer => SnapshotCodec.WriteHead(writer, FromStranger with { Source = 1 }, 1, Chunk(default)));
            await IsClosedAfterAsync(writer => SnapshotCodec.WriteHead(writer, FromStranger, 1, Chunk(default) with { Offset = 1L << 50 }));
            await IsClosedAfterAsync(writer => writer.Int32(13 << 20));
            Assert.Equal(0, _handler.Chunks);

            await control.WriteAsync(writer => MessageCodec.Write(writer, FromStranger, Vote(2)));
            await Eventually.HoldsAsync(() => _handler.Received.Count == 1, "a vote on the control stream", _two.Explain);
            await SendAsync(new byte[1]);
        }
    }

    [Fact]
    public async Task A_handler_that_fails_is_an_answer()
    {
        _handler.AnswerChunk = (_, _) => throw new InvalidOperationException("on purpose");
        await Assert.ThrowsAsync<TransportException>(() => SendAsync(new byte[1]));
        _handler.AnswerChunk = RecordingPeerHandler.Refuse;
        await SendAsync(new byte[1]);
    }

    [Fact]
    public async Task Chunks_that_wait_for_their_answers_are_bounded()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _handler.AnswerChunk = async (from, chunk) =>
        {
            await gate.Task;
            return await RecordingPeerHandler.Refuse(from, chunk);
        };
        Task<SnapshotReply>[] chunks = [.. Enumerable.Range(0, 40).Select(_ => SendAsync(new byte[3 << 20]))];
        await Eventually.HoldsAsync(() => _handler.Chunks >= 3, "the first chunks", _two.Explain);
        await _two.Transport.Group(Group).CallAsync(One.Server, new ReadBarrierCall(1), default); // the way is free
        Assert.InRange(_handler.Chunks, 3, 4); // 12 MiB
        gate.SetResult();
        await Task.WhenAll(chunks);
        Assert.Equal(40, _handler.Chunks);
    }

    [Fact]
    public async Task A_call_of_a_newer_release_is_refused_and_the_stream_lives()
    {
        (RawPeer peer, _) = await RawPeer.GreetAsync(_two, Stranger, Two.Server, StreamKind.Bulk);
        using (peer)
        {
            await peer.WriteAsync(writer =>
            {
                writer.Begin(FrameKind.Call, FromStranger);
                writer.UInt64(7);
                writer.Byte(99);
                writer.Text("whatever that may be");
                writer.End();
                MessageCodec.Write(writer, FromStranger, Vote(3));
            });
            await Eventually.HoldsAsync(() => _handler.Received.Count == 1, "the vote behind it", _two.Explain);
        }
    }

    private Task<SnapshotReply> SendAsync(byte[] bytes) => _one.Transport.Group(Group).SendSnapshotAsync(Two.Server, Chunk(bytes), default);

    private async Task IsClosedAfterAsync(Action<FrameWriter> write)
    {
        (RawPeer peer, Welcome? welcome) = await RawPeer.GreetAsync(_two, Stranger, Two.Server, StreamKind.Snapshot);
        using (peer)
        {
            Assert.Equal(Refusal.None, welcome!.Reason);
            await peer.WriteAsync(write);
            Assert.Equal(FrameKind.Goodbye, (await peer.NextAsync())?.Kind);
            Assert.Null(await peer.NextAsync());
        }
    }

    private static int Logged(PeerNode node, int id) =>
        node.Log.Lines.Count(line => line.Id == id && line.Text.Contains("Snapshot stream is", StringComparison.Ordinal));

    private static VoteRequest Vote(long term) =>
        new(Stranger.Server, Two.Server, new Term(term), new LogIndex(1), new Term(1), IsPreVote: true, IsTransfer: false);

    private static SnapshotChunk Chunk(ReadOnlyMemory<byte> bytes) => new(
        new Term(3), new LogIndex(9), new SnapshotDescriptor("s", new LogIndex(8), new Term(2), Configuration.Empty, new LogIndex(1), 1L << 40, 5), 0, bytes);
}

using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

public sealed class SendQueueTests
{
    private readonly SendQueue _queue = new(maxBytes: 10_000, maxFrameBytes: 5_000, headBytes: 22);

    [Fact]
    public void What_waits_is_bounded_and_what_is_being_written_counts()
    {
        _queue.Open();
        Assert.Equal(Queued.Full, Add(6_000));
        Assert.Equal(Queued.Yes, Add(4_000));
        Assert.Equal(Queued.Yes, Add(4_000));
        Assert.Equal(Queued.Full, Add(4_000));
        FrameWriter batch = _queue.Take()!;
        Assert.Equal(2, batch.Frames);
        Assert.Equal(Queued.Full, Add(4_000));
        _queue.Done(batch);
        Assert.Equal(Queued.Yes, Add(4_000));
    }

    [Fact]
    public async Task The_writer_is_woken_once_for_all()
    {
        _queue.Open();
        ValueTask<bool> waiting = _queue.WaitAsync();
        Add(10);
        Add(10);
        Assert.False(waiting.IsCompleted);
        _queue.Wake();
        Assert.True(await waiting);
        Assert.Equal(2, _queue.Take()!.Frames);
        Assert.Null(_queue.Take());
    }

    [Fact]
    public async Task Closing_tells_the_writer_and_says_what_may_have_left()
    {
        _queue.Open();
        Assert.Equal(Queued.Yes, Add(10, out long left));
        _queue.Done(_queue.Take()!);
        Assert.Equal(Queued.Yes, Add(10, out long waits));
        long leftUpTo = _queue.Close();
        Assert.InRange(leftUpTo, left, waits - 1);
        Assert.False(await _queue.WaitAsync());
        Assert.Equal(Queued.Closed, Add(10));

        _queue.Open();
        ValueTask<bool> waiting = _queue.WaitAsync();
        _queue.Close();
        Assert.False(await waiting);
    }

    [Fact]
    public void A_frame_for_an_earlier_connection_does_not_reach_the_next()
    {
        _queue.Open();
        int generation = _queue.Generation;
        _queue.Close();
        _queue.Open();
        Assert.Equal(Queued.Closed, _queue.Add(new Filler(10), out _, generation));
        Assert.Equal(Queued.Yes, _queue.Add(new Filler(10), out _, _queue.Generation));
    }

    private Queued Add(int bytes) => Add(bytes, out _);

    private Queued Add(int bytes, out long position) => _queue.Add(new Filler(bytes), out position);

    private readonly record struct Filler(int Bytes) : IFrameSource
    {
        public long SizeBound => Bytes + 20;

        public void WriteTo(FrameWriter writer)
        {
            writer.Begin(FrameKind.Liveness);
            writer.Bytes(new byte[Bytes]);
            writer.End();
        }
    }
}

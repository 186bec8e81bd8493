using System.Buffers;
using System.Buffers.Binary;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

public sealed class SendQueueTests
{
    private readonly SendQueue _queue = new(maxBytes: 10_000, maxFrameBytes: 5_000, headBytes: 22);

    [Fact]
    public void What_waits_is_bounded_and_what_is_being_written_counts()
    {
        _queue.Open();
        Assert.Equal(Queued.Full, Add(5_500));
        Assert.Equal(Queued.Yes, Add(3_500));
        Assert.Equal(Queued.Yes, Add(3_500));
        Assert.Equal(Queued.Full, Add(3_500));
        FrameWriter batch = _queue.Take()!;
        Assert.Equal(2, batch.Frames);
        Assert.Equal(Queued.Full, Add(3_500));
        _queue.Done(batch);
        Assert.Equal(Queued.Yes, Add(3_500));
    }

    [Fact]
    public void A_flood_of_one_group_leaves_room_for_those_that_hold_little()
    {
        _queue.Open();
        while (Add(400) == Queued.Yes)
        {
        }

        Assert.InRange(_queue.Bytes, 7_000, 7_500);
        object other = new();
        Assert.Equal(Queued.Yes, _queue.Add(new Filler(400, other), out _));
        Assert.Equal(Queued.Full, _queue.Add(new Filler(400, other), out _)); // more than little
        Assert.Equal(Queued.Yes, _queue.Add(new Filler(400, new object()), out _));
    }

    [Fact]
    public void Groups_take_turns_and_each_keeps_its_order()
    {
        const int Frame = 50_000;
        var queue = new SendQueue(maxBytes: 64 << 20, maxFrameBytes: 1 << 20, headBytes: 0);
        queue.Open();
        object flood = new(), small = new();
        for (int n = 0; n < 100; n++)
            queue.Add(new Filler(Frame, flood, n), out _);
        for (int n = 0; n < 3; n++)
            queue.Add(new Filler(20, small, 200 + n), out _);

        List<int> numbers = [];
        int before = 0;
        for (int batches = 0; queue.Take() is { } batch; batches++)
        {
            Assert.InRange(batch.Length, 1, SendQueue.SegmentBytes + Frame + 100);
            numbers.AddRange(NumbersIn(batch));
            if (numbers.Contains(200) && before == 0)
                before = batches;
            queue.Done(batch);
        }

        Assert.InRange(before, 0, 2); // after a turn of the flood, not after all of it
        Assert.Equal(Enumerable.Range(0, 100), numbers.Where(number => number < 200));
        Assert.Equal([200, 201, 202], numbers.Where(number => number >= 200));
        Assert.Equal(0, queue.Bytes);
    }

    [Fact]
    public void Little_of_many_groups_leaves_in_one_write()
    {
        _queue.Open();
        for (int n = 0; n < 50; n++)
            _queue.Add(new Filler(10, new object(), n), out _);
        FrameWriter batch = _queue.Take()!;
        Assert.Equal(50, batch.Frames);
        Assert.Null(_queue.Take());
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
        Assert.Equal(Queued.Yes, Add(10, out SendSegment? left));
        _queue.Done(_queue.Take()!);
        Assert.Equal(Queued.Yes, Add(10, out SendSegment? waits));
        _queue.Close();
        Assert.True(left!.IsTaken);
        Assert.False(waits!.IsTaken);
        Assert.Equal(0, _queue.Bytes);
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
        Assert.Equal(Queued.Closed, _queue.Add(new Filler(10, Lane), out _, generation));
        Assert.Equal(Queued.Yes, _queue.Add(new Filler(10, Lane), out _, _queue.Generation));
    }

    private static readonly object Lane = new();

    private Queued Add(int bytes) => Add(bytes, out _);

    private Queued Add(int bytes, out SendSegment? segment) => _queue.Add(new Filler(bytes, Lane), out segment);

    private static IEnumerable<int> NumbersIn(FrameWriter batch)
    {
        var reader = new FrameReader(1 << 20);
        var buffer = new ReadOnlySequence<byte>(batch.Written.ToArray());
        while (reader.TryRead(ref buffer, out Frame frame))
            yield return BinaryPrimitives.ReadInt32LittleEndian(frame.Payload.Span);
    }

    private readonly record struct Filler(int Bytes, object Lane, int Number = 0) : IFrameSource
    {
        public long SizeBound => Bytes + 20;

        public void WriteTo(FrameWriter writer)
        {
            writer.Begin(FrameKind.Liveness);
            writer.Int32(Number);
            writer.Bytes(new byte[Bytes - 4]);
            writer.End();
        }
    }
}

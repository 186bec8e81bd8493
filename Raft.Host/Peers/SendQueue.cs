using System.Threading.Tasks.Sources;

namespace Raft.Host.Peers;

/// <summary>Something that can be written as one frame.</summary>
internal interface IFrameSource
{
    /// <summary>Not less than what <see cref="WriteTo"/> writes.</summary>
    long SizeBound { get; }

    /// <summary>Whose turn it takes, by reference: one object for each group.</summary>
    object Lane { get; }

    void WriteTo(FrameWriter writer);
}

internal enum Queued : byte
{
    Yes,

    /// <summary>Not connected.</summary>
    Closed,

    /// <summary>Over the bound of bytes of the queue, or of a frame.</summary>
    Full,
}

/// <summary>What waits for one stream, bounded in bytes. Frames are encoded where they are queued; the stream's only
/// writer takes a batch at a time.</summary>
/// <remarks>
/// All groups share the stream, and none can starve another: they take turns of at most <see cref="SegmentBytes"/>, in
/// order within each group; and the last quarter of the room is for groups that hold little of it, so that a flood fills
/// three quarters and the heartbeat of the next group still gets in. Any thread may add; nothing blocks but for the
/// copying of others. Hot path.
/// </remarks>
internal sealed class SendQueue(long maxBytes, int maxFrameBytes, int headBytes) : IValueTaskSource<bool>, IDisposable
{
    /// <summary>About what leaves in one write, and what a group may send in one turn; a frame is never cut.</summary>
    public const int SegmentBytes = 256 << 10;

    private const int SparesMax = 4;

    private readonly Lock _gate = new();
    private readonly Dictionary<object, SendLane> _lanes = new(ReferenceEqualityComparer.Instance);
    private readonly Queue<SendLane> _turns = new(); // lanes with something to send
    private readonly Stack<FrameWriter> _spares = new();
    private readonly long _commonBytes = maxBytes / 4 * 3;
    private readonly long _littleBytes = maxBytes / 16;
    private ManualResetValueTaskSourceCore<bool> _ready = new() { RunContinuationsAsynchronously = true };
    private bool _isOpen;
    private bool _isWriterWaiting;
    private long _waiting;
    private long _inFlight;
    private int _generation;

    /// <summary>Counts connections, so that a frame that leans on an earlier one never follows it to the next connection.</summary>
    public int Generation => Volatile.Read(ref _generation);

    /// <summary>Bytes that wait or are being written.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _waiting + _inFlight;
        }
    }

    /// <summary>Queues a frame; <see cref="Wake"/> must follow.</summary>
    /// <param name="frame">What to write.</param>
    /// <param name="segment">What it leaves with.</param>
    /// <param name="generation">Only on this connection; null: on any.</param>
    public Queued Add<T>(in T frame, out SendSegment? segment, int? generation = null)
        where T : struct, IFrameSource
    {
        long bound = frame.SizeBound;
        lock (_gate)
        {
            segment = null;
            if (!_isOpen || (generation is { } wanted && wanted != _generation))
                return Queued.Closed;
            if (!_lanes.TryGetValue(frame.Lane, out SendLane? lane))
                _lanes.Add(frame.Lane, lane = new SendLane());
            if (bound > maxFrameBytes || !HasRoom(lane, bound))
                return Queued.Full;

            segment = lane.Last is { } last && last.Writer.Length < SegmentBytes ? last : new SendSegment(RentWriter());
            int before = segment.Writer.Length;
            Write(frame, segment);
            lane.Added(segment, segment.Writer.Length - before);
            _waiting += segment.Writer.Length - before;
            if (!lane.HasTurn)
                GiveTurn(lane);
            return Queued.Yes;
        }
    }

    /// <summary>Tells the writer, if it waits: once for all that was added since.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            if (!_isWriterWaiting || _turns.Count == 0)
                return;

            _isWriterWaiting = false;
        }

        _ready.SetResult(true);
    }

    /// <summary>For the writer only: true when there is something to take, false when the queue was closed.</summary>
    public ValueTask<bool> WaitAsync()
    {
        lock (_gate)
        {
            if (!_isOpen)
                return new ValueTask<bool>(false);
            if (_turns.Count > 0)
                return new ValueTask<bool>(true);

            _ready.Reset();
            _isWriterWaiting = true;
            return new ValueTask<bool>(this, _ready.Version);
        }
    }

    /// <summary>What is next, in one contiguous buffer; give it back with <see cref="Done"/>. Null when nothing waits.</summary>
    public FrameWriter? Take()
    {
        lock (_gate)
        {
            if (!_isOpen || _turns.Count == 0)
                return null;

            FrameWriter batch = TakeNext();
            // Much, or nobody else's: as it is. Little of many: together in one write.
            if (headBytes > 0 || (_turns.Count > 0 && batch.Length < SegmentBytes / 2))
                batch = Gather(batch);

            _inFlight = batch.Length;
            return batch;
        }
    }

    public void Done(FrameWriter batch)
    {
        lock (_gate)
        {
            _inFlight = 0;
            GiveBack(batch);
        }
    }

    /// <summary>A connection is up.</summary>
    public void Open()
    {
        lock (_gate)
        {
            _isOpen = true;
            _generation++;
        }
    }

    /// <summary>The connection is gone, and what waited with it: it never leaves.</summary>
    public void Close()
    {
        bool wake;
        lock (_gate)
        {
            _isOpen = false;
            while (_turns.TryDequeue(out SendLane? lane))
            {
                while (lane.TryTake() is { } segment)
                    GiveBack(segment.Writer);
                lane.HasTurn = false;
            }

            _waiting = 0;
            wake = _isWriterWaiting;
            _isWriterWaiting = false;
        }

        if (wake)
            _ready.SetResult(false);
    }

    /// <summary>After <see cref="Close"/> and the end of the writer.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            while (_spares.TryPop(out FrameWriter? spare))
                spare.Dispose();
        }
    }

    private bool HasRoom(SendLane lane, long bytes)
    {
        long total = _waiting + _inFlight + bytes;
        return total <= _commonBytes || (total <= maxBytes && lane.Bytes + bytes <= _littleBytes);
    }

    private void GiveTurn(SendLane lane)
    {
        lane.HasTurn = true;
        _turns.Enqueue(lane);
    }

    private FrameWriter TakeNext()
    {
        SendLane lane = _turns.Dequeue();
        SendSegment segment = lane.TryTake()!; // not null: it had a turn
        segment.IsTaken = true;
        _waiting -= segment.Writer.Length;
        lane.HasTurn = false;
        if (lane.Last is not null)
            GiveTurn(lane);
        return segment.Writer;
    }

    private FrameWriter Gather(FrameWriter first)
    {
        var batch = new FrameWriter(headBytes);
        batch.Append(first);
        GiveBack(first);
        while (_turns.TryPeek(out SendLane? next) && batch.Length + next.FirstBytes <= SegmentBytes)
        {
            FrameWriter more = TakeNext();
            batch.Append(more);
            GiveBack(more);
        }

        return batch;
    }

    private FrameWriter RentWriter() => _spares.TryPop(out FrameWriter? spare) ? spare : new FrameWriter();

    private void GiveBack(FrameWriter writer)
    {
        if (writer.HeadBytes > 0 || _spares.Count >= SparesMax)
        {
            writer.Dispose();
            return;
        }

        writer.Reset();
        _spares.Push(writer);
    }

    private static void Write<T>(in T frame, SendSegment segment)
        where T : struct, IFrameSource
    {
        try
        {
            frame.WriteTo(segment.Writer);
        }
        catch
        {
            segment.Writer.Undo(); // half a frame would spoil all that follow
            throw;
        }
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _ready.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _ready.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _ready.OnCompleted(continuation, state, token, flags);
}

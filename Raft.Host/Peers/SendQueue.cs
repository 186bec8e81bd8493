using System.Threading.Tasks.Sources;

namespace Raft.Host.Peers;

/// <summary>Something that can be written as one frame.</summary>
internal interface IFrameSource
{
    /// <summary>Not less than what <see cref="WriteTo"/> writes.</summary>
    long SizeBound { get; }

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
/// writer takes all of them at once.</summary>
/// <remarks>Any thread may add; nothing blocks but for the copying of others. Hot path.</remarks>
internal sealed class SendQueue(long maxBytes, int maxFrameBytes, int headBytes) : IValueTaskSource<bool>, IDisposable
{
    private readonly Lock _gate = new();
    private ManualResetValueTaskSourceCore<bool> _ready = new() { RunContinuationsAsynchronously = true };
    private FrameWriter _filling = new(headBytes);
    private FrameWriter? _spare = new(headBytes);
    private bool _isOpen;
    private bool _isWriterWaiting;
    private long _queuedTotal;
    private long _takenTotal;
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
                return _filling.Length + _inFlight;
        }
    }

    /// <summary>Queues a frame; <see cref="Wake"/> must follow.</summary>
    /// <param name="frame">What to write.</param>
    /// <param name="position">Where its end is among all bytes ever queued.</param>
    /// <param name="generation">Only on this connection; null: on any.</param>
    public Queued Add<T>(in T frame, out long position, int? generation = null)
        where T : struct, IFrameSource
    {
        long bound = frame.SizeBound;
        lock (_gate)
        {
            position = 0;
            if (!_isOpen || (generation is { } wanted && wanted != _generation))
                return Queued.Closed;
            if (bound > maxFrameBytes || _filling.Length + _inFlight + bound > maxBytes)
                return Queued.Full;

            int before = _filling.Length;
            Write(frame);
            _queuedTotal += _filling.Length - before;
            position = _queuedTotal;
            return Queued.Yes;
        }
    }

    /// <summary>Tells the writer, if it waits: once for all that was added since.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            if (!_isWriterWaiting || _filling.IsEmpty)
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
            if (!_filling.IsEmpty)
                return new ValueTask<bool>(true);

            _ready.Reset();
            _isWriterWaiting = true;
            return new ValueTask<bool>(this, _ready.Version);
        }
    }

    /// <summary>Everything that waits, in one contiguous buffer; give it back with <see cref="Done"/>. Null when nothing does.</summary>
    public FrameWriter? Take()
    {
        lock (_gate)
        {
            if (!_isOpen || _filling.IsEmpty)
                return null;

            FrameWriter batch = _filling;
            _filling = _spare ?? new FrameWriter(headBytes);
            _spare = null;
            _inFlight = batch.Length;
            _takenTotal = _queuedTotal;
            return batch;
        }
    }

    public void Done(FrameWriter batch)
    {
        batch.Reset();
        lock (_gate)
        {
            _inFlight = 0;
            if (_spare is null)
            {
                _spare = batch;
                return;
            }
        }

        batch.Dispose();
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

    /// <summary>The connection is gone, and what waited with it. Returns the position up to which bytes may have left.</summary>
    public long Close()
    {
        bool wake;
        long taken;
        lock (_gate)
        {
            _isOpen = false;
            taken = _takenTotal;
            _takenTotal = _queuedTotal;
            _filling.Reset();
            wake = _isWriterWaiting;
            _isWriterWaiting = false;
        }

        if (wake)
            _ready.SetResult(false);

        return taken;
    }

    /// <summary>After <see cref="Close"/> and the end of the writer.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _spare?.Dispose();
            _spare = null;
        }
    }

    private void Write<T>(in T frame)
        where T : struct, IFrameSource
    {
        try
        {
            frame.WriteTo(_filling);
        }
        catch
        {
            _filling.Undo(); // half a frame would spoil all that follow
            throw;
        }
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _ready.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _ready.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _ready.OnCompleted(continuation, state, token, flags);
}

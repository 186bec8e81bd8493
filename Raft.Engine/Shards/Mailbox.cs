namespace Raft.Engine.Shards;

/// <summary>The way in from other threads: many writers, one reader. Hot path.</summary>
/// <remarks>
/// Two arrays are swapped, so the lock is held for a few instructions by either side and nothing is allocated once both
/// have grown. A writer wakes the reader only when it sleeps: while the shard is awake a post costs no kernel call.
/// </remarks>
internal sealed class Mailbox
{
    private readonly object _gate = new();
    private Item[] _filling = new Item[256];
    private Item[] _draining = new Item[256];
    private int _count;
    private bool _isAsleep;
    private bool _isClosed;

    internal readonly record struct Item(SendOrPostCallback Work, object? State);

    /// <summary>False: closed, and the work is dropped.</summary>
    public bool TryAdd(SendOrPostCallback work, object? state)
    {
        lock (_gate)
        {
            if (_isClosed)
                return false;

            if (_count == _filling.Length)
                Array.Resize(ref _filling, _count * 2);
            _filling[_count++] = new Item(work, state);
            if (_isAsleep)
            {
                _isAsleep = false;      // one wake-up, however many posts come before the reader runs
                Monitor.Pulse(_gate);
            }

            return true;
        }
    }

    /// <summary>Takes all there is, waiting up to <paramref name="timeout"/> for something; the span is valid until the next call.</summary>
    public Span<Item> Take(TimeSpan timeout)
    {
        lock (_gate)
        {
            if (_count == 0 && !_isClosed && timeout > TimeSpan.Zero)
            {
                _isAsleep = true;
                Monitor.Wait(_gate, timeout);
                _isAsleep = false;
            }

            int taken = _count;
            (_filling, _draining) = (_draining, _filling);
            _count = 0;
            return _draining.AsSpan(0, taken);
        }
    }

    public bool IsClosed
    {
        get
        {
            lock (_gate)
                return _isClosed;
        }
    }

    public void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            _isAsleep = false;
            Monitor.Pulse(_gate);
        }
    }
}

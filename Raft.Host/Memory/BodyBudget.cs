namespace Raft.Host.Memory;

/// <summary>Memory of request bodies, from before the first byte is read to the end of the request. Whoever finds none waits, in order,
/// and its client's connection with it. Thread-safe.</summary>
/// <remarks>The bodies of requests that wait for a quorum are among them. Small bodies are not counted: their number is bounded by
/// that of the connections.</remarks>
/// <param name="maxBytes">A single body passes when nothing else is held, however large.</param>
public sealed class BodyBudget(long maxBytes)
{
    /// <summary>Bodies up to this are not counted.</summary>
    public const int SmallBytes = 16 << 10;

    private readonly Lock _gate = new();
    private readonly Queue<Waiter> _waiting = new();
    private long _heldBytes;

    public long MaxBytes { get; } = maxBytes;

    public long HeldBytes
    {
        get
        {
            lock (_gate)
                return _heldBytes;
        }
    }

    /// <summary>Takes room for a body; dispose the answer when the body is no longer referenced.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled before there was room.</exception>
    public async Task<IDisposable> TakeAsync(long bytes, CancellationToken cancellation)
    {
        Waiter waiter;
        lock (_gate)
        {
            if (_waiting.Count == 0 && Fits(bytes))
            {
                _heldBytes += bytes;
                return new Held(this, bytes);
            }

            waiter = new Waiter(bytes);
            _waiting.Enqueue(waiter);
        }

        using (cancellation.UnsafeRegister(static (waiter, token) => ((Waiter)waiter!).TrySetCanceled(token), waiter))
        {
            try
            {
                await waiter.Task;
            }
            catch (OperationCanceledException)
            {
                LetNextIn();        // those behind it may fit
                throw;
            }
        }

        return new Held(this, bytes);
    }

    private bool Fits(long bytes) => _heldBytes == 0 || _heldBytes + bytes <= MaxBytes;

    private void Release(long bytes)
    {
        lock (_gate)
            _heldBytes -= bytes;
        LetNextIn();
    }

    private void LetNextIn()
    {
        lock (_gate)
        {
            while (_waiting.TryPeek(out Waiter? next) && (next.Task.IsCompleted || Fits(next.Bytes)))
            {
                _waiting.Dequeue();
                if (next.TrySetResult())
                    _heldBytes += next.Bytes;
            }
        }
    }

    private sealed class Waiter(long bytes) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public long Bytes => bytes;
    }

    private sealed class Held(BodyBudget budget, long bytes) : IDisposable
    {
        private int _isDisposed;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
                budget.Release(bytes);
        }
    }
}

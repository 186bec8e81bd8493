namespace Raft.Host.Hosting;

/// <summary>How many client requests are being served, so that a stop can let them finish. Thread-safe.</summary>
public sealed class RequestsInFlight
{
    private long _count;

    public long Count => Interlocked.Read(ref _count);

    internal void Entered() => Interlocked.Increment(ref _count);

    internal void Left() => Interlocked.Decrement(ref _count);

    /// <summary>Returns when none is left, or after <paramref name="patience"/>.</summary>
    internal async Task DrainAsync(TimeSpan patience, CancellationToken cancellation)
    {
        long end = Environment.TickCount64 + (long)patience.TotalMilliseconds;
        while (Count > 0 && Environment.TickCount64 < end)
            await Task.Delay(10, cancellation);
    }
}

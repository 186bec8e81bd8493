using System.Collections.Concurrent;

namespace Raft.Host.Api;

/// <summary>Tokens that are cancelled after the request's time, or when its client is gone. Pooled: every request needs one.</summary>
internal sealed class Deadlines(int timeoutMs)
{
    private const int PooledMax = 1024;
    private readonly ConcurrentQueue<CancellationTokenSource> _free = [];
    private int _pooled;

    public Deadline Start(CancellationToken clientGone)
    {
        if (_free.TryDequeue(out CancellationTokenSource? source))
            Interlocked.Decrement(ref _pooled);
        else
            source = new CancellationTokenSource();
        source.CancelAfter(timeoutMs);
        return new Deadline(this, source, clientGone.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), source));
    }

    private void Return(CancellationTokenSource source)
    {
        if (!source.TryReset())
        {
            source.Dispose();
        }
        else if (Interlocked.Increment(ref _pooled) <= PooledMax)
        {
            _free.Enqueue(source);
        }
        else
        {
            Interlocked.Decrement(ref _pooled);
            source.Dispose();
        }
    }

    internal readonly struct Deadline(Deadlines owner, CancellationTokenSource source, CancellationTokenRegistration client) : IDisposable
    {
        public CancellationToken Token { get; } = source.Token;

        public void Dispose()
        {
            client.Dispose();       // waits for a cancellation that is running: none can hit the next user
            owner.Return(source);
        }
    }
}

using System.Collections.Concurrent;

namespace Raft.Host.Api;

/// <summary>Tokens that are cancelled after the request's time, or when its client is gone. Pooled: every request needs one.</summary>
internal sealed class Deadlines(int timeoutMs)
{
    private const int PooledMax = 1024;
    private readonly ConcurrentBag<CancellationTokenSource> _free = [];

    public Deadline Start(CancellationToken clientGone)
    {
        if (!_free.TryTake(out CancellationTokenSource? source))
            source = new CancellationTokenSource();
        source.CancelAfter(timeoutMs);
        return new Deadline(this, source, clientGone.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), source));
    }

    internal readonly struct Deadline(Deadlines owner, CancellationTokenSource source, CancellationTokenRegistration client) : IDisposable
    {
        public CancellationToken Token => source.Token;

        public void Dispose()
        {
            client.Dispose();       // waits for a cancellation that is running: none can hit the next user
            if (source.TryReset() && owner._free.Count < PooledMax)
                owner._free.Add(source);
            else
                source.Dispose();
        }
    }
}

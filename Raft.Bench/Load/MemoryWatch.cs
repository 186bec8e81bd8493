namespace Raft.Bench.Load;

/// <summary>The highest resident memory of each node while it watches, looked at ten times a second.</summary>
internal sealed class MemoryWatch : IAsyncDisposable
{
    private readonly BenchCluster _cluster;
    private readonly long[] _peaks = new long[BenchCluster.Most];
    private readonly CancellationTokenSource _end = new();
    private readonly Task _loop;

    public MemoryWatch(BenchCluster cluster)
    {
        _cluster = cluster;
        _loop = Task.Run(LookAsync);
    }

    public long PeakMegabytes(int node) => Volatile.Read(ref _peaks[node]);

    /// <summary>Forgets what was.</summary>
    public void Reset() => Array.Clear(_peaks);

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _loop;
        _end.Dispose();
    }

    private async Task LookAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            foreach (int n in _cluster.Running)
            {
                long now = _cluster.ResidentMegabytes(n);
                if (now > _peaks[n])
                    _peaks[n] = now;
            }

            await Task.Delay(100, CancellationToken.None);
        }
    }
}

using System.Diagnostics;

namespace Raft.Bench.Load;

/// <summary>One request of a client; gives how many units (writes, entries) it carried.</summary>
internal delegate Task<int> Operation(HttpMessageInvoker http, string url, long number, CancellationToken cancellation);

/// <summary>Clients that run one operation for a time, in a closed loop or, at a rate, in an open one.</summary>
internal static class LoadRun
{
    public static async Task<(Latencies Result, double Seconds)> RunAsync(
        Operation operation, string[] urls, int clients, TimeSpan time, int ratePerSecond,
        long operations = long.MaxValue, CancellationToken cancellation = default)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var parts = new Latencies[clients];
        long next = 0;
        long start = Stopwatch.GetTimestamp();
        long stop = start + (long)(time.TotalSeconds * Stopwatch.Frequency);
        Task[] loops = new Task[clients];
        for (int client = 0; client < clients; client++)
        {
            var own = parts[client] = new Latencies();
            string url = urls[client % urls.Length];
            loops[client] = Task.Run(() => ClientAsync(own, url), CancellationToken.None);
        }

        await Task.WhenAll(loops);
        return (Latencies.Merge(parts), Stopwatch.GetElapsedTime(start).TotalSeconds);

        async Task ClientAsync(Latencies own, string url)
        {
            using var http = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false });
            while (!end.IsCancellationRequested)
            {
                long number = Interlocked.Increment(ref next);
                if (number > operations)
                    return;
                long due = Stopwatch.GetTimestamp();
                if (ratePerSecond > 0)
                {
                    due = start + (long)((double)number / ratePerSecond * Stopwatch.Frequency);
                    TimeSpan early = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due);
                    if (early > TimeSpan.Zero)
                        await Task.Delay(early, CancellationToken.None);
                }

                if (Stopwatch.GetTimestamp() >= stop)
                    return;
                try
                {
                    int units = await operation(http, url, number, end.Token);
                    own.Add(Stopwatch.GetElapsedTime(due).TotalMilliseconds, units);
                }
                catch (Exception error) when (error is HttpRequestException or IOException or InvalidOperationException)
                {
                    own.AddError(error.Message);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }
}

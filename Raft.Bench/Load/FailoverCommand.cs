using System.Diagnostics;
using System.Globalization;

namespace Raft.Bench.Load;

/// <summary>From kill -9 of the leader to the next acknowledged write through any survivor.</summary>
/// <remarks>A new try goes to each survivor every 10 ms, whether or not the earlier ones were answered: one try at a time
/// would measure the driver's patience.</remarks>
internal static class FailoverCommand
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        int trials = Math.Max(1, arguments.Number("trials", 20));
        await using BenchCluster cluster = await BenchCluster.StartAsync(arguments.Text("host"));
        Operation put = Operations.Put(keys: 1, bytes: 256);
        var results = new List<double>();
        for (int trial = 0; trial < trials; trial++)
        {
            int leader = await cluster.LeaderAsync();
            await LoadRun.RunAsync(put, [cluster.UrlOf(leader)], clients: 1, TimeSpan.FromSeconds(0.5), ratePerSecond: 0);
            double milliseconds = await MeasureAsync(cluster, leader, put);
            results.Add(milliseconds);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"trial {trial + 1}: {milliseconds:f0} ms"));
            cluster.StartNode(leader);
            await cluster.WaitUntilReadyAsync();
        }

        results.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"failover trials={trials} median={(results[(trials - 1) / 2] + results[trials / 2]) / 2:f0}ms range={results[0]:f0}-{results[^1]:f0}ms"));
        return 0;
    }

    private static async Task<double> MeasureAsync(BenchCluster cluster, int leader, Operation put)
    {
        using var http = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        using var end = new CancellationTokenSource();
        var first = new TaskCompletionSource<double>(TaskCreationOptions.RunContinuationsAsynchronously);
        var tries = new List<Task>();
        cluster.Send(leader, BenchCluster.Kill);
        long start = Stopwatch.GetTimestamp();
        while (!first.Task.IsCompleted && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60))
        {
            for (int n = 0; n < 3; n++)
            {
                if (n != leader)
                    tries.Add(TryAsync(cluster.UrlOf(n)));
            }

            await Task.WhenAny(first.Task, Task.Delay(10));
        }

        await cluster.KillAsync(leader);
        double result = first.Task.IsCompleted ? await first.Task : throw new InvalidOperationException("No write was acknowledged within 60 s.");
        await end.CancelAsync();
        await Task.WhenAll(tries);
        return result;

        async Task TryAsync(string url)
        {
            try
            {
                await put(http, url, 0, end.Token);
                first.TrySetResult(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
            catch (Exception error) when (error is HttpRequestException or IOException or InvalidOperationException or OperationCanceledException)
            {
                // Not yet.
            }
        }
    }
}

using System.Diagnostics;

namespace Raft.Bench.Load;

/// <summary>What a follower that is stopped (SIGSTOP) costs the others, and how long it needs to catch up.</summary>
internal static class StallCommand
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        int clients = Math.Max(1, arguments.Number("clients", 32));
        TimeSpan time = TimeSpan.FromSeconds(Math.Max(1, arguments.Number("seconds", 60)));
        await using BenchCluster cluster = await BenchCluster.StartAsync(arguments.Text("host"));
        int leader = await cluster.LeaderAsync();
        int follower = (leader + 1) % 3;
        string[] urls = [cluster.UrlOf(leader)];
        Operation put = Operations.Put(keys: 1000, bytes: 256);
        await LoadRun.RunAsync(put, urls, clients, TimeSpan.FromSeconds(3), ratePerSecond: 0);

        (Latencies before, double secondsBefore) = await LoadRun.RunAsync(put, urls, clients, TimeSpan.FromTicks(time.Ticks / 3), ratePerSecond: 0);
        Console.WriteLine($"all three   {before.Summary(secondsBefore, "writes")} leader={cluster.ResidentMegabytes(leader)}MB");
        cluster.Send(follower, BenchCluster.Stop);
        try
        {
            (Latencies during, double secondsDuring) = await LoadRun.RunAsync(put, urls, clients, time, ratePerSecond: 0);
            Console.WriteLine($"one stopped {during.Summary(secondsDuring, "writes")} leader={cluster.ResidentMegabytes(leader)}MB");
        }
        finally
        {
            cluster.Send(follower, BenchCluster.Continue);
        }

        // Readiness would not do: a node that was away believes for a moment that it has everything.
        var watch = Stopwatch.StartNew();
        long behind = await cluster.AppliedAsync(leader);
        while (await cluster.AppliedAsync(follower) < behind)
        {
            if (watch.Elapsed > TimeSpan.FromMinutes(5))
                throw new InvalidOperationException("The follower did not catch up within 5 minutes.");
            await Task.Delay(20);
        }

        Console.WriteLine($"caught up with index {behind} after {watch.Elapsed.TotalSeconds:f1} s, follower={cluster.ResidentMegabytes(follower)}MB");
        return 0;
    }
}

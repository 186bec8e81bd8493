using System.Globalization;

namespace Raft.Bench.Load;

/// <summary>Leadership handed over again and again under writes at about half of what the cluster can do: the longest time
/// without an acknowledged write around each.</summary>
internal static class TransferCommand
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        int clients = Math.Max(1, arguments.Number("clients", 64)), trials = Math.Max(1, arguments.Number("trials", 20));
        MachineLoad.Print("start");
        await using BenchCluster cluster = await BenchCluster.StartAsync(arguments.Text("host"));
        string[] urls = cluster.Urls;
        int rate = await MembersCommand.HalfCapacityAsync(cluster, clients, arguments.Number("rate", 0));
        var trace = new WriteTrace(() => urls, bytes: 256);
        using var end = new CancellationTokenSource();
        Task<(Latencies Result, double Seconds)> load = LoadRun.RunAsync(trace.WriteAsync, urls, clients, TimeSpan.FromHours(1), rate, cancellation: end.Token);
        await Task.Delay(TimeSpan.FromSeconds(2), CancellationToken.None);

        List<double> quiet = [], pauses = [];
        for (int trial = 0; trial < trials; trial++)
        {
            trace.TakeLongestGap();
            await Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None);
            quiet.Add(trace.TakeLongestGap().TotalMilliseconds);
            (int status, string body) = await cluster.AskAsync(HttpMethod.Post, trial % 3, "/v1/leader/transfer");
            await Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None);
            double pause = trace.TakeLongestGap().TotalMilliseconds;
            if (status == 200)
                pauses.Add(pause);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"transfer {trial + 1}: {pause:f0} ms, {quiet[^1]:f0} ms in a second without, load={MachineLoad.Now}{(status == 200 ? "" : $", {status}: {body}")}"));
        }

        await end.CancelAsync();
        (Latencies result, double seconds) = await load;
        pauses.Sort();
        quiet.Sort();
        Console.WriteLine($"transfer rate={rate} {result.Summary(seconds, "writes")}; errors: {trace.Errors}");
        if (pauses.Count > 0)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"transfers={pauses.Count} of {trials} median={pauses[pauses.Count / 2]:f0}ms range={pauses[0]:f0}-{pauses[^1]:f0}ms; without: median={quiet[quiet.Count / 2]:f0}ms, at most {quiet[^1]:f0}ms"));
        }

        return pauses.Count > 0 ? 0 : 1;
    }
}

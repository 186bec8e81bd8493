using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Raft.Bench.Load;

/// <summary>Many groups on three nodes: until all can take writes, what they cost when nothing happens, where the leaders are,
/// and what a flood of one does to another.</summary>
internal static class GroupsCommand
{
    /// <summary>Each look costs every node a document of all its groups.</summary>
    private const int LookPauseMs = 250;

    private sealed record Seen(int Ready, int[] Leaders, IReadOnlyList<(string Group, int Leader)> All);

    public static async Task<int> RunAsync(Arguments arguments)
    {
        int count = Math.Max(3, arguments.Number("count", 300));
        int clients = Math.Max(1, arguments.Number("clients", 16));
        TimeSpan time = TimeSpan.FromSeconds(Math.Max(1, arguments.Number("seconds", 30)));
        var settings = new Dictionary<string, string>();
        for (int g = 0; g < count; g++)
            settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Groups__{g}__Id")] = string.Create(CultureInfo.InvariantCulture, $"g{g:d4}");

        MachineLoad.Print("start");
        var watch = Stopwatch.StartNew();
        await using BenchCluster cluster = BenchCluster.Launch(arguments.Text("host"), settings);
        await StartAsync("first start, which makes the groups", cluster, watch, count);
        Console.WriteLine($"resident memory: {Memory(cluster)}");

        await SpreadAsync(cluster, count);
        await IdleAsync(cluster, time);
        if (arguments.Number("flood", 1) == 0)
            return 0;
        await FloodAsync(cluster, clients, TimeSpan.FromTicks(time.Ticks / 3));

        foreach (int n in cluster.Running.ToArray())
            await cluster.KillAsync(n);
        MachineLoad.Print("all killed");
        watch.Restart();
        for (int n = 0; n < BenchCluster.Founders; n++)
            cluster.StartNode(n);
        await StartAsync("second start, all three at once", cluster, watch, count);
        return 0;
    }

    private static async Task StartAsync(string what, BenchCluster cluster, Stopwatch watch, int count)
    {
        Seen? seen = null;
        await BenchCluster.WaitAsync(async () =>
        {
            seen = await LookAsync(cluster);
            return seen.Ready == count * BenchCluster.Founders && seen.Leaders.Sum() == count;
        }, TimeSpan.FromMinutes(3), "every group to have a leader and be ready on every node", LookPauseMs);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what}: all {count} groups ready on all nodes after {watch.Elapsed.TotalSeconds:f1} s, processor time {string.Join('/', Enumerable.Range(0, 3).Select(n => $"{cluster.ProcessorTime(n).TotalSeconds:f1}"))} s, leaders {string.Join('/', seen!.Leaders)}, load={MachineLoad.Now}"));
    }

    /// <summary>Until the policy leaves it as it is: nobody leads more than a tenth above a share.</summary>
    private static async Task SpreadAsync(BenchCluster cluster, int count)
    {
        int share = (count + BenchCluster.Founders - 1) / BenchCluster.Founders;
        var seen = new Seen(0, [], []);
        TimeSpan took = await BenchCluster.WaitAsync(async () =>
        {
            seen = await LookAsync(cluster);
            return seen.Leaders.Sum() == count && seen.Leaders.Max() <= share + (share / 10);
        }, TimeSpan.FromMinutes(3), "the leaders to be spread", LookPauseMs);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"spread {took.TotalSeconds:f1} s later: leaders {string.Join('/', seen.Leaders)}"));
    }

    private static async Task IdleAsync(BenchCluster cluster, TimeSpan time)
    {
        await Task.Delay(TimeSpan.FromSeconds(5));      // what the start left behind
        TimeSpan[] before = [.. Enumerable.Range(0, 3).Select(cluster.ProcessorTime)];
        long start = Stopwatch.GetTimestamp();
        await Task.Delay(time);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"idle for {seconds:f0} s: {string.Join(", ", before.Select((then, n) => $"{(cluster.ProcessorTime(n) - then).TotalSeconds / seconds * 100:f1}"))} % of a core, memory {Memory(cluster)}, load={MachineLoad.Now}"));
    }

    /// <summary>Both groups are led by the same node: nothing else would be a test.</summary>
    private static async Task FloodAsync(BenchCluster cluster, int clients, TimeSpan time)
    {
        (string Group, int Leader)[] led = [.. (await LookAsync(cluster)).All.Where(group => group.Leader == 0)];
        if (led.Length < 2)
            throw new InvalidOperationException("n1 leads fewer than two groups.");
        (string flooded, string other) = (led[0].Group, led[1].Group);
        string[] url = [cluster.UrlOf(0)];
        Operation put = Operations.Put(keys: 1000, bytes: 256, other), flood = Operations.Put(keys: 1000, bytes: 256, flooded);
        await LoadRun.RunAsync(put, url, clients, TimeSpan.FromSeconds(3), ratePerSecond: 0);
        for (int round = 0; round < 3; round++)
        {
            (Latencies before, double secondsBefore) = await LoadRun.RunAsync(put, url, clients: 1, time, ratePerSecond: 0);
            using var end = new CancellationTokenSource();
            Task<(Latencies Result, double Seconds)> load = LoadRun.RunAsync(flood, url, clients, time * 2, ratePerSecond: 0, cancellation: end.Token);
            (Latencies during, double secondsDuring) = await LoadRun.RunAsync(put, url, clients: 1, time, ratePerSecond: 0);
            await end.CancelAsync();
            (Latencies flooding, double secondsFlooding) = await load;
            Console.WriteLine($"{other} alone       {before.Summary(secondsBefore, "writes")}");
            Console.WriteLine($"{other} beside it   {during.Summary(secondsDuring, "writes")}");
            Console.WriteLine($"{flooded} flooded     {flooding.Summary(secondsFlooding, "writes")}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"p99 {during.Percentile(0.99) / before.Percentile(0.99):f1} times, p50 {during.Percentile(0.5) / before.Percentile(0.5):f1} times, load={MachineLoad.Now}"));
        }
    }

    private static async Task<Seen> LookAsync(BenchCluster cluster)
    {
        int ready = 0;
        int[] leaders = new int[BenchCluster.Founders];
        List<(string, int)> all = [];
        for (int n = 0; n < BenchCluster.Founders; n++)
        {
            foreach (JsonElement group in (await cluster.GetAsync(n, "/v1/groups")).GetProperty("groups").EnumerateArray())
            {
                if (group.GetProperty("ready").GetBoolean())
                    ready++;
                if (group.GetProperty("role").GetString() != "leader")
                    continue;
                leaders[n]++;
                all.Add((group.GetProperty("group").GetString()!, n)); // every group has a name
            }
        }

        return new Seen(ready, leaders, all);
    }

    private static string Memory(BenchCluster cluster) => string.Join(", ", Enumerable.Range(0, 3).Select(n => $"{cluster.ResidentMegabytes(n)} MB"));
}

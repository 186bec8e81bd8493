using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Raft.Bench.Load;

/// <summary>A follower that was dead for many entries catches up while writes go on: how long, what it costs the leader, and
/// how much memory.</summary>
/// <remarks>The journal is kept short, and is full before anything is measured: what memory then grows by is the catching up.</remarks>
internal static class CatchUpCommand
{
    private const int JournalEntries = 100_000;

    public static async Task<int> RunAsync(Arguments arguments)
    {
        int clients = Math.Max(1, arguments.Number("clients", 16)), batch = Math.Max(1, arguments.Number("batch", 500));
        int entries = Math.Max(1, arguments.Number("entries", 1_000_000)), rate = arguments.Number("rate", 0);
        bool isByLog = arguments.Number("log", 0) > 0;
        var settings = new Dictionary<string, string> { ["Raft__Journal__MaxEntries"] = JournalEntries.ToString(CultureInfo.InvariantCulture) };
        if (isByLog)
        {
            settings["Raft__Limits__SnapshotFloorBytes"] = (8L << 30).ToString(CultureInfo.InvariantCulture);
            settings["Raft__Limits__MaxLogDiskBytes"] = (8L << 30).ToString(CultureInfo.InvariantCulture);
        }

        MachineLoad.Print("start");
        await using BenchCluster cluster = await BenchCluster.StartAsync(arguments.Text("host"), settings);
        await using var memory = new MemoryWatch(cluster);
        int leader = await cluster.LeaderAsync(), follower = (leader + 1) % 3;
        string[] url = [cluster.UrlOf(leader)];
        Operation append = Operations.Ndjson(batch, bytes: 256);
        await WriteAsync(3 * JournalEntries);

        memory.Reset();
        (Latencies before, double secondsBefore) = await LoadRun.RunAsync(append, url, clients, TimeSpan.FromSeconds(10), rate / batch);
        Print("all three", before, secondsBefore);
        await cluster.KillAsync(follower);
        memory.Reset();
        (Latencies without, double secondsWithout) = await LoadRun.RunAsync(append, url, clients, TimeSpan.FromSeconds(5), rate / batch);
        Print("one dead", without, secondsWithout);
        await WriteAsync(entries - without.Units);
        long normal = memory.PeakMegabytes(leader);

        memory.Reset();
        using var end = new CancellationTokenSource();
        Task<(Latencies Result, double Seconds)> load = LoadRun.RunAsync(append, url, clients, TimeSpan.FromMinutes(5), rate / batch, cancellation: end.Token);
        (int firstLeader, long behind) = (leader, await cluster.AppliedAsync(leader));
        cluster.StartNode(follower);
        var watch = Stopwatch.StartNew();
        TimeSpan? hasOld = null;
        long lag = 0, sent = 0;
        await BenchCluster.WaitAsync(async () =>
        {
            JsonElement group = await cluster.FirstGroupAsync(leader);
            foreach (JsonElement transfer in group.GetProperty("snapshotTransfers").EnumerateArray())
                sent = Math.Max(sent, transfer.GetProperty("sizeBytes").GetInt64());
            long applied = await cluster.AppliedAsync(follower);
            if (applied >= behind)
                hasOld ??= watch.Elapsed;
            lag = group.GetProperty("commitIndex").GetInt64() - applied;
            return hasOld is not null && lag < 200;     // Raft entries, a batch each: well below a second's worth
        }, TimeSpan.FromMinutes(5), "the follower to catch up");
        TimeSpan took = watch.Elapsed;
        await end.CancelAsync();
        (Latencies during, double seconds) = await load;
        Print("catching up", during, seconds);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"caught up with {behind} log entries after {hasOld!.Value.TotalSeconds:f1} s, with all that came meanwhile after {took.TotalSeconds:f1} s (lag {lag} entries), by {(sent > 0 ? $"a snapshot of {sent >> 20} MB" : "the log")}"));
        double rateBefore = before.Units / secondsBefore, rateWithout = without.Units / secondsWithout, rateDuring = during.Units / seconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"throughput {(rateDuring / rateBefore - 1) * 100:f0} % against all three, {(rateDuring / rateWithout - 1) * 100:f0} % against one dead; memory: leader {normal} MB before, {memory.PeakMegabytes(leader)} MB at most; follower {memory.PeakMegabytes(follower)} MB at most, the third {memory.PeakMegabytes(3 - leader - follower)} MB"));
        int nowLeads = await cluster.LeaderAsync();
        if (nowLeads != firstLeader)
            Console.WriteLine($"{BenchCluster.NameOf(nowLeads)} leads now.");

        memory.Reset();
        (Latencies after, double secondsAfter) = await LoadRun.RunAsync(append, url, clients, TimeSpan.FromSeconds(10), rate / batch);
        Print("all three again", after, secondsAfter);
        return 0;

        Task WriteAsync(long count) => LoadRun.RunAsync(append, url, clients, TimeSpan.FromMinutes(10), ratePerSecond: 0, operations: count / batch);

        void Print(string what, Latencies result, double seconds)
        {
            Console.WriteLine($"{what}: {result.Summary(seconds, "entries")} load={MachineLoad.Now} memory at most: {string.Join(", ", Enumerable.Range(0, 3).Select(n => $"{BenchCluster.NameOf(n)}{(n == leader ? " (leader)" : "")} {memory.PeakMegabytes(n)} MB"))}");
            if (result.FirstError is { } error)
                Console.WriteLine($"  the first error: {error}");
        }
    }
}

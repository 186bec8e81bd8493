using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Raft.Bench.Load;

/// <summary>A large state, and a node that lost its disk: taking a snapshot of it, and sending it, with time and memory.</summary>
internal static class SnapshotCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    public static async Task<int> RunAsync(Arguments arguments)
    {
        int megabytes = Math.Max(1, arguments.Number("megabytes", 1024)), bytes = Math.Max(1, arguments.Number("bytes", 65_536));
        MachineLoad.Print("start");
        await using BenchCluster cluster = await BenchCluster.StartAsync(arguments.Text("host"));
        await using var memory = new MemoryWatch(cluster);
        int leader = await cluster.LeaderAsync(), follower = (leader + 1) % 3, third = 3 - leader - follower;
        int keys = (int)(((long)megabytes << 20) / bytes);
        var watch = Stopwatch.StartNew();
        await FillAsync(cluster.UrlOf(leader), keys, bytes);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{keys} values of {bytes} bytes written in {watch.Elapsed.TotalSeconds:f0} s, memory at most: {Memory(memory)}"));
        await BenchCluster.WaitAsync(async () =>
        {
            JsonElement list = await cluster.GetAsync(leader, "/v1/snapshots");
            return list.GetProperty("beingTaken").GetArrayLength() == 0;
        }, Patience, "the snapshots that the writes caused");
        await Task.Delay(TimeSpan.FromSeconds(5));
        Console.WriteLine($"5 s later: {string.Join(", ", Enumerable.Range(0, 3).Select(n => $"{cluster.ResidentMegabytes(n)} MB"))}");

        memory.Reset();
        long normal = cluster.ResidentMegabytes(leader);
        await LoadRun.RunAsync(Operations.Put(keys: 1000, bytes: 256), [cluster.UrlOf(leader)], clients: 1, TimeSpan.FromSeconds(1), ratePerSecond: 0);
        watch.Restart();
        await cluster.AskAsync(HttpMethod.Post, leader, "/v1/snapshots?timeoutMs=1000");
        await BenchCluster.WaitAsync(async () => (await cluster.GetAsync(leader, "/v1/snapshots")).GetProperty("beingTaken").GetArrayLength() == 0, Patience, "the snapshot");
        JsonElement snapshot = (await cluster.GetAsync(leader, "/v1/snapshots")).GetProperty("snapshots")[0];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"taken: {snapshot.GetProperty("sizeBytes").GetInt64() >> 20} MB in {watch.Elapsed.TotalSeconds:f1} s, leader {normal} MB before, {memory.PeakMegabytes(leader)} MB at most, load={MachineLoad.Now}"));

        await cluster.KillAsync(follower);
        cluster.Wipe(follower);
        memory.Reset();
        normal = cluster.ResidentMegabytes(leader);
        watch.Restart();
        cluster.StartNode(follower);
        TimeSpan? began = null, ended = null;
        long size = 0;
        await BenchCluster.WaitAsync(async () =>
        {
            JsonElement transfers = (await cluster.FirstGroupAsync(leader)).GetProperty("snapshotTransfers");
            if (transfers.GetArrayLength() > 0)
            {
                began ??= watch.Elapsed;
                size = transfers[0].GetProperty("sizeBytes").GetInt64();
            }
            else if (began is not null)
            {
                ended ??= watch.Elapsed;
            }

            return ended is not null && (await cluster.AskAsync(HttpMethod.Get, follower, "/readyz")).Status == 200;
        }, Patience, "the follower to be ready again");
        TimeSpan ready = watch.Elapsed;
        double seconds = (ended!.Value - began!.Value).TotalSeconds;     // both were seen
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"sent: {size >> 20} MB in {seconds:f1} s, {size / seconds / (1 << 20):f0} MB/s; it began {began.Value.TotalSeconds:f1} s after the start of the empty node, which was ready after {ready.TotalSeconds:f1} s"));
        Console.WriteLine($"memory: leader {normal} MB before, {memory.PeakMegabytes(leader)} MB at most; follower {memory.PeakMegabytes(follower)} MB at most, {cluster.ResidentMegabytes(follower)} MB then; the third, which holds the same state, {cluster.ResidentMegabytes(third)} MB; load={MachineLoad.Now}");
        return 0;
    }

    private static async Task FillAsync(string url, int keys, int bytes)
    {
        (Latencies result, _) = await LoadRun.RunAsync(
            Operations.Put(keys, bytes), [url], clients: 8, TimeSpan.FromMinutes(10), ratePerSecond: 0, operations: keys);
        if (result.FirstError is { } error)
            Console.WriteLine($"{result.Errors} errors, the first: {error}");
    }

    private static string Memory(MemoryWatch memory) => string.Join(", ", Enumerable.Range(0, 3).Select(n => $"{memory.PeakMegabytes(n)} MB"));
}

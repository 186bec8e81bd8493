using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Raft.Bench.Load;

/// <summary>Three nodes become five and three again, then all three are replaced, under writes at about half of what the
/// cluster can do: the longest time without an acknowledged write.</summary>
internal static class MembersCommand
{
    private const int CapacityKeys = 1000;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public static async Task<int> RunAsync(Arguments arguments)
    {
        int clients = Math.Max(1, arguments.Number("clients", 64));
        MachineLoad.Print("start");
        await using BenchCluster cluster = await BenchCluster.StartAsync(arguments.Text("host"));
        string[] urls = cluster.Urls;
        int rate = await HalfCapacityAsync(cluster, clients, arguments.Number("rate", 0));
        var trace = new WriteTrace(() => Volatile.Read(ref urls), bytes: 256);
        using var end = new CancellationTokenSource();
        Task<(Latencies Result, double Seconds)> load = LoadRun.RunAsync(trace.WriteAsync, urls, clients, TimeSpan.FromHours(1), rate, cancellation: end.Token);
        await Task.Delay(TimeSpan.FromSeconds(5), CancellationToken.None);
        Report("5 s without any change", TimeSpan.FromSeconds(5), trace);

        await StepAsync("n4 joins", () => AddAsync(3));
        await StepAsync("n5 joins", () => AddAsync(4));
        await StepAsync("n4 leaves", () => RemoveAsync(3));
        await StepAsync("n5 leaves", () => RemoveAsync(4));
        for (int n = 0; n < BenchCluster.Founders; n++)
        {
            int former = n, next = 5 + n;
            await StepAsync($"{BenchCluster.NameOf(next)} joins", () => AddAsync(next));
            await StepAsync($"{BenchCluster.NameOf(former)} leaves{(await cluster.LeaderAsync() == former ? ", the leader" : "")}", () => RemoveAsync(former));
        }

        await end.CancelAsync();
        (Latencies result, double seconds) = await load;
        await BenchCluster.WaitAsync(async () =>
        {
            JsonElement group = await cluster.FirstGroupAsync(await cluster.LeaderAsync());
            return group.GetProperty("appliedIndex").GetInt64() == group.GetProperty("lastLogIndex").GetInt64();
        }, Patience, "everything to be applied");
        int keys = (await cluster.FirstGroupAsync(await cluster.LeaderAsync())).GetProperty("keys").GetInt32();
        Console.WriteLine($"members rate={rate} {result.Summary(seconds, "writes")}");
        Console.WriteLine($"acknowledged={trace.Acknowledged}, of which the store has {keys - CapacityKeys}, each by a key of its own, with what failed for the client and was written after all; errors: {trace.Errors}");
        MachineLoad.Print("end");
        return 0;

        async Task StepAsync(string what, Func<Task> step)
        {
            trace.TakeLongestGap();
            var watch = Stopwatch.StartNew();
            await step();
            TimeSpan took = watch.Elapsed;
            await Task.Delay(TimeSpan.FromSeconds(1));      // what the step leaves behind shows here
            long term = (await cluster.FirstGroupAsync(await cluster.LeaderAsync())).GetProperty("term").GetInt64();
            Report(string.Create(CultureInfo.InvariantCulture, $"{what} (term {term})"), took, trace);
        }

        async Task AddAsync(int node)
        {
            cluster.StartNode(node);
            await SettleAsync(cluster, node, isMember: true);
            await BenchCluster.WaitAsync(async () => (await cluster.AskAsync(HttpMethod.Get, node, "/readyz")).Status == 200, Patience, $"{BenchCluster.NameOf(node)} to be ready");
            Volatile.Write(ref urls, cluster.Urls);
        }

        async Task RemoveAsync(int node)
        {
            int other = cluster.Running.First(n => n != node);
            await BenchCluster.WaitAsync(
                async () => (await cluster.AskAsync(HttpMethod.Delete, other, $"/v1/members/{BenchCluster.NameOf(node)}")).Status is 200 or 202,
                Patience, $"{BenchCluster.NameOf(node)} to be removed");
            await SettleAsync(cluster, node, isMember: false);
            Volatile.Write(ref urls, [.. cluster.Running.Where(n => n != node).Select(cluster.UrlOf)]);
            await Task.Delay(500);      // what was sent to it before is answered
            await cluster.KillAsync(node);
        }
    }

    /// <summary>What all clients together get in a closed loop, halved; unless it is given.</summary>
    public static async Task<int> HalfCapacityAsync(BenchCluster cluster, int clients, int given)
    {
        Operation put = Operations.Put(CapacityKeys, bytes: 256);
        await LoadRun.RunAsync(put, cluster.Urls, clients, TimeSpan.FromSeconds(5), ratePerSecond: 0);
        (Latencies all, double seconds) = await LoadRun.RunAsync(put, cluster.Urls, clients, TimeSpan.FromSeconds(5), ratePerSecond: 0);
        Console.WriteLine($"capacity {all.Summary(seconds, "writes")} load={MachineLoad.Now}");
        return given > 0 ? given : Math.Max(1, (int)(all.Operations / seconds / 2));
    }

    private static async Task SettleAsync(BenchCluster cluster, int node, bool isMember) => await BenchCluster.WaitAsync(async () =>
    {
        int asked = cluster.Running.First(n => n != node);
        JsonElement list = await cluster.GetAsync(asked, "/v1/members");
        bool isVoter = list.GetProperty("members").EnumerateArray().Any(member =>
            member.GetProperty("id").GetString() == BenchCluster.NameOf(node) && member.GetProperty("kind").GetString() == "voter");
        bool isChanging = list.TryGetProperty("change", out JsonElement change) && change.ValueKind != JsonValueKind.Null;
        return isVoter == isMember && !isChanging;
    }, Patience, $"{BenchCluster.NameOf(node)} {(isMember ? "to vote" : "to be gone")}");

    private static void Report(string what, TimeSpan took, WriteTrace trace) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{what}: took {took.TotalSeconds:f1} s, longest gap {trace.TakeLongestGap().TotalMilliseconds:f0} ms, load={MachineLoad.Now}"));
}

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>Fault 26: a stop on purpose hands over first.</summary>
[Collection(ProcessCollection.Name)]
public sealed class StopTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_leader_that_is_stopped_hands_over_first_so_that_writes_hardly_pause_and_none_is_lost()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        NodeProcess leader = await cluster.LeaderAsync();
        NodeProcess[] others = [.. cluster.Nodes.Where(node => node != leader)];
        long before = (await leader.StatusAsync()).Term;
        var acknowledged = new ConcurrentQueue<(string Body, TimeSpan At)>();
        var watch = Stopwatch.StartNew();
        using var end = new CancellationTokenSource();
        Task writing = Task.Run(() => WriteAsync(others, acknowledged, watch, end.Token));
        await Wait.UntilAsync(() => acknowledged.Count > 50, "50 entries");

        Assert.Equal(0, await leader.StopAsync());

        // Its election time-out is 2 s or more here: without the hand-over the pause would be that long.
        await Wait.UntilAsync(() => !acknowledged.IsEmpty && acknowledged.Last().At > watch.Elapsed - TimeSpan.FromMilliseconds(100), "entries after the stop");
        await end.CancelAsync();
        await writing;
        (string Body, TimeSpan At)[] all = [.. acknowledged];
        TimeSpan gap = all.Zip(all.Skip(1), (one, next) => next.At - one.At).Max();
        output.WriteLine($"The longest pause between two acknowledged writes was {gap.TotalMilliseconds:0} ms.");
        Assert.True(gap < TimeSpan.FromSeconds(1), $"Writes paused for {gap.TotalMilliseconds:0} ms.");
        Assert.True((await others[0].StatusAsync()).Term > before);
        Assert.Empty(all.Select(written => written.Body).Except(await Journal.ReadAllAsync(others[0])));
    }

    [Fact]
    public async Task All_nodes_stopped_at_once_end_cleanly_and_soon()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await cluster[0].AppendAsync("one");
        int[] codes = await Task.WhenAll(cluster.Nodes.Select(node => node.StopAsync()));

        Assert.All(codes, code => Assert.Equal(0, code));
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        await cluster.WaitUntilReadyAsync();
        Assert.Equal(["one"], await Journal.ReadAllAsync(cluster[1]));
    }

    private static async Task WriteAsync(NodeProcess[] nodes, ConcurrentQueue<(string, TimeSpan)> acknowledged, Stopwatch watch, CancellationToken end)
    {
        for (int n = 0; !end.IsCancellationRequested; n++)
        {
            string body = $"entry {n}";
            for (int tries = 0; !end.IsCancellationRequested; tries++)
            {
                using HttpResponseMessage answer = await nodes[tries % nodes.Length].PostAsync("/v1/entries", body, key: $"stop-{n}");
                if (answer.StatusCode != HttpStatusCode.Created)
                    continue;
                acknowledged.Enqueue((body, watch.Elapsed));
                break;
            }
        }
    }
}

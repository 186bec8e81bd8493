using System.Diagnostics;
using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class TransferUnderLoadTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Leadership_goes_round_under_load_and_no_write_is_lost_or_doubled()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node => node.Settings["Raft__Idempotency__MaxKeys"] = "1000000");
        await using var load = new SteadyLoad(cluster, writers: 4, prefix: "kept", bytes: 200);
        await load.MoreAsync(100);
        double capacity = await load.HalveAsync(TimeSpan.FromSeconds(2));
        var pauses = new List<double>();
        for (int n = 0; n < 12; n++)
        {
            await load.MoreAsync(50);
            NodeProcess leader = await cluster.LeaderAsync();
            NodeProcess target = cluster[(cluster.Nodes.ToList().IndexOf(leader) + 1) % 3], asked = cluster[n % 3];
            long begun = Stopwatch.GetTimestamp();
            string refusal = "";
            await asked.WaitAsync(
                async () =>
                {
                    // A leader that fell by itself meanwhile may be the target: then there is nothing to do.
                    using HttpResponseMessage answer = await asked.SendJsonAsync("POST", "/v1/leader/transfer", $$"""{"target":"{{target.Id}}"}""");
                    if (answer.StatusCode is HttpStatusCode.OK)
                        return true;
                    refusal += $" {(int)answer.StatusCode}";
                    Assert.True((int)answer.StatusCode is 409 or 429 or 503 or 504, await answer.TextAsync());
                    return (await target.StatusAsync()).IsLeader;
                },
                $"leadership to go to {target.Id}");
            long ended = Stopwatch.GetTimestamp();
            await load.MoreAsync(20);
            double pause = load.LongestGap(begun, ended).TotalMilliseconds;
            pauses.Add(pause);
            output.WriteLine($"{leader.Id} to {target.Id}, asked of {asked.Id}: {Stopwatch.GetElapsedTime(begun, ended).TotalMilliseconds:f0} ms, longest gap between acknowledged writes {pause:f0} ms{refusal}");
        }

        await load.StopAsync();
        pauses.Sort();
        output.WriteLine($"capacity {capacity:f0} entries/s, half of it under way; {load} Pause: median {(pauses[5] + pauses[6]) / 2:f0} ms, longest {pauses[^1]:f0} ms");
        await cluster.WaitUntilEqualAsync(cluster.Nodes);
        await load.AssertAllIsThereOnceAsync(cluster.Nodes);
    }
}

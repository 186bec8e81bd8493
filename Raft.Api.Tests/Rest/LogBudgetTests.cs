using System.Globalization;
using Raft.Api.Tests.Support;
using Raft.Host.Hosting;
using Xunit.Abstractions;
using NodeProcess = Raft.Api.Tests.Support.NodeProcess;

namespace Raft.Api.Tests.Rest;

/// <summary>What the logs of all groups may take on a node's disk together.</summary>
[Collection(ProcessCollection.Name)]
public sealed class LogBudgetTests(ITestOutputHelper output)
{
    [Fact]
    public void Logs_get_what_snapshots_leave_and_a_quarter_at_least()
    {
        Assert.Equal(875, LogBudget.Allowed(budget: 1000, snapshotBytes: 0));
        Assert.Equal(575, LogBudget.Allowed(budget: 1000, snapshotBytes: 300));
        Assert.Equal(250, LogBudget.Allowed(budget: 1000, snapshotBytes: 5000));
    }

    [Fact]
    public async Task Above_the_budget_of_the_node_the_longest_log_takes_a_snapshot()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node =>
        {
            node.Settings["Raft__Groups__0__Id"] = "small";
            node.Settings["Raft__Groups__1__Id"] = "large";
            node.Settings["Raft__Limits__MaxTotalLogDiskBytes"] = (64 << 20).ToString(CultureInfo.InvariantCulture);
            node.Settings["Raft__Limits__SnapshotFloorBytes"] = (1 << 30).ToString(CultureInfo.InvariantCulture);    // by itself no group takes one
        });
        NodeProcess node = cluster[0];
        byte[] value = new byte[1_000_000];
        for (int n = 0; n < 70; n++)
        {
            string group = n % 10 == 0 ? "small" : "large";
            using HttpResponseMessage answer = await node.Http.SendAsync(
                RestClient.Request(HttpMethod.Put, $"/v1/groups/{group}/kv/value-{n % 20}", value, "application/octet-stream"));
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }

        await node.WaitForOutputAsync("taking a snapshot of group large");
        await node.WaitForOutputAsync("Group large: took a snapshot");
        Assert.DoesNotContain("Group small: took a snapshot", node.Output, StringComparison.Ordinal);
    }
}

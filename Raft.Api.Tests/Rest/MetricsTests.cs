using System.Globalization;
using System.Net;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class MetricsTests(ThreeNodes three) : IClassFixture<ThreeNodes>
{
    [Fact]
    public async Task Metrics_show_the_stages_of_a_write_the_server_and_its_peers()
    {
        NodeProcess leader = await three.Cluster.LeaderAsync();
        for (int n = 0; n < 10; n++)
            await leader.AppendAsync($"entry {n}");

        string text = "";
        await leader.WaitAsync(
            async () =>
            {
                using HttpResponseMessage answer = await leader.GetAsync("/metrics");
                text = await answer.TextAsync();
                return text.Contains("stage=\"applied\"", StringComparison.Ordinal);
            },
            "/metrics to show applied writes");

        foreach (string stage in new[] { "admitted", "durable", "committed", "applied" })
            Assert.Contains($"stage=\"{stage}\"", text, StringComparison.Ordinal);
        foreach (string name in new[] { "raft_write_stage_seconds_bucket", "raft_storage_sync_seconds", "raft_peer_round_trip_seconds", "raft_term", "raft_commit_index", "raft_applied_index" })
            Assert.Contains(name, text, StringComparison.Ordinal);
        foreach (string kind in new[] { "wal", "copy", "data" })
            Assert.Contains($"raft_storage_file_size_bytes{{kind=\"{kind}\"}}", text, StringComparison.Ordinal);
        Assert.Contains("group=\"default\"", text, StringComparison.Ordinal);
        string[] ours = [.. text.Split('\n').Where(line => line.StartsWith("# TYPE raft_", StringComparison.Ordinal))];
        Assert.NotEmpty(ours);
        Assert.All(ours.Where(line => line.EndsWith(" counter", StringComparison.Ordinal)), line => Assert.Contains("_total", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Writes_of_clients_are_counted_and_nothing_else()
    {
        NodeProcess node = three.Cluster[0];
        double before = await CommittedAsync(node);
        await node.AppendAsync("one");
        foreach ((string method, string path) in new[] { ("POST", "/v1/read-barrier"), ("POST", "/v1/snapshots"), ("DELETE", "/v1/drain") })
        {
            using HttpResponseMessage answer = await node.SendJsonAsync(method, path, "");
            Assert.InRange((int)answer.StatusCode, 200, 299);
        }

        await node.AppendAsync("two");

        await node.WaitAsync(async () => await CommittedAsync(node) >= before + 2, "the writes to be counted");
        Assert.Equal(before + 2, await CommittedAsync(node));
    }

    [Fact]
    public async Task A_gauge_on_each_node_says_whether_it_leads()
    {
        NodeProcess leader = await three.Cluster.LeaderAsync();
        foreach (NodeProcess node in three.Cluster.Nodes)
        {
            using HttpResponseMessage answer = await node.GetAsync("/metrics");
            await RestClient.AssertStatusAsync(HttpStatusCode.OK, answer);
            string line = (await answer.TextAsync()).Split('\n').First(text => text.StartsWith("raft_is_leader{", StringComparison.Ordinal));
            Assert.Equal(node == leader ? '1' : '0', line.Split(' ')[1][0]);
        }
    }

    private static async Task<double> CommittedAsync(NodeProcess node)
    {
        using HttpResponseMessage answer = await node.GetAsync("/metrics");
        string line = (await answer.TextAsync()).Split('\n').First(text => text.StartsWith("raft_http_writes_total{outcome=\"committed\"", StringComparison.Ordinal));
        return double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }
}

using System.Globalization;
using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>A rolling restart trusts /readyz: a node that says so is one that the cluster has back.</summary>
[Collection(ProcessCollection.Name)]
public sealed class ReadyTests(ITestOutputHelper output)
{
    private const int Keys = 40;

    [Fact]
    public async Task A_restarted_follower_is_ready_only_with_everything_that_was_acknowledged()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        for (int round = 0; round < 3; round++)
        {
            NodeProcess follower = await cluster.FollowerAsync();
            await follower.KillAsync();
            NodeProcess writer = await cluster.LeaderAsync();
            for (int n = 0; n < Keys; n++)
                await RestClient.AssertStatusAsync(HttpStatusCode.Created, await writer.PutAsync(Path(round, n), "value"));

            await follower.StartAndWaitUntilReadyAsync();
            await AssertHasAllAsync(follower, round);
        }
    }

    [Fact]
    public async Task A_whole_cluster_that_restarts_is_ready_only_with_everything_that_was_acknowledged()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        for (int n = 0; n < Keys; n++)
            await RestClient.AssertStatusAsync(HttpStatusCode.Created, await cluster[0].PutAsync(Path(0, n), "value"));
        foreach (NodeProcess node in cluster.Nodes)
            await node.KillAsync();
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();

        await Task.WhenAll(cluster.Nodes.Select(async node =>
        {
            await node.WaitUntilReadyAsync();
            await AssertHasAllAsync(node, 0);
        }));
    }

    [Fact]
    public async Task A_node_that_joins_is_ready_only_as_a_voter()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, TwoGroups.Configure);
        await cluster[0].AppendAsync("one");
        await using NodeProcess fourth = cluster.NewJoining("n4", cluster.Nodes);
        TwoGroups.Configure(fourth);
        await fourth.StartAndWaitUntilReadyAsync();

        foreach (string group in new[] { "default", "orders" })
        {
            JsonElement members = await cluster[0].GetJsonAsync($"/v1/groups/{group}/members");
            Assert.Equal("voter", members.GetProperty("members").EnumerateArray().Single(member => member.GetProperty("id").GetString() == "n4").GetProperty("kind").GetString());
        }
    }

    [Fact]
    public async Task A_removed_node_that_restarts_says_that_it_was_removed()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        NodeProcess gone = await cluster.FollowerAsync();
        NodeProcess left = await cluster.LeaderAsync();
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, await left.SendJsonAsync("DELETE", $"/v1/members/{gone.Id}?timeoutMs=60000", json: null));
        await gone.WaitUntilNotReadyBecauseAsync("was removed");
        await gone.StopAsync();

        gone.Start();
        await gone.WaitUntilNotReadyBecauseAsync("removed");
        await gone.WaitUntilNotReadyBecauseAsync("POST /v1/members");
        await left.AppendAsync("on they go");
    }

    private static string Path(int round, int n) => string.Create(CultureInfo.InvariantCulture, $"/v1/kv/{round}-{n}");

    private static async Task AssertHasAllAsync(NodeProcess node, int round)
    {
        List<string> missing = [];
        for (int n = 0; n < Keys; n++)
        {
            using HttpResponseMessage answer = await node.GetAsync(Path(round, n) + "?consistency=stale");
            if (answer.StatusCode != HttpStatusCode.OK)
                missing.Add($"{round}-{n}");
        }

        Assert.Empty(missing);
    }
}

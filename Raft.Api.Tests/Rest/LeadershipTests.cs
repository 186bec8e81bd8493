using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class LeadershipTests(TwoGroups two) : IClassFixture<TwoGroups>
{
    private ClusterProcesses Cluster => two.Cluster;

    [Fact]
    public async Task Leadership_goes_to_whom_any_node_is_told_for_one_group_or_for_all()
    {
        foreach (NodeProcess asked in Cluster.Nodes)
        {
            foreach (NodeProcess target in Cluster.Nodes)
            {
                string before = await asked.LeaderOfAsync("orders");
                if (before == target.Id)
                    continue;
                JsonElement one = await asked.AskAsync("POST", "/v1/groups/orders/leader/transfer", $$"""{"target":"{{target.Id}}"}""");
                JsonElement only = Assert.Single(one.GetProperty("groups").EnumerateArray());
                Assert.Equal(("orders", "done"), (only.GetProperty("group").GetString(), only.GetProperty("outcome").GetString()));
                await target.WaitAsync(async () => await target.LeaderOfAsync("orders") == target.Id, "to lead");
            }
        }

        // Some groups are led by it already: those have nothing to do.
        const string own = "n1";
        NodeProcess node = Cluster[0];
        await node.LeadAsync("default", "n2");
        await node.LeadAsync("orders", own);
        JsonElement all = await node.AskAsync("POST", "/v1/leader/transfer", $$"""{"target":"{{own}}"}""");
        Assert.Equal(["default done", "orders nothingToDo"], all.GetProperty("groups").EnumerateArray().Select(group => $"{group.GetProperty("group")} {group.GetProperty("outcome")}"));

        using HttpResponseMessage again = await node.SendJsonAsync("POST", "/v1/leader/transfer", $$"""{"target":"{{own}}"}""");
        await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", again);
    }

    [Fact]
    public async Task Whoever_leads_steps_down_when_any_node_is_asked()
    {
        foreach (NodeProcess asked in Cluster.Nodes)
        {
            string before = await asked.LeaderOfAsync();
            JsonElement answer = await asked.AskAsync("POST", "/v1/leader/step-down");
            Assert.Equal(2, answer.GetProperty("groups").GetArrayLength());
            await asked.WaitAsync(async () => await asked.LeaderOfAsync() != before, "to see another leader");
            await asked.AppendAsync("after a step-down");
        }
    }

    [Fact]
    public async Task A_read_barrier_says_what_is_applied_here()
    {
        foreach (NodeProcess writer in Cluster.Nodes)
        {
            using HttpResponseMessage written = await writer.PutAsync("/v1/groups/orders/kv/barrier", "x");
            long revision = (await written.JsonAsync()).GetProperty("revision").GetInt64();
            foreach (NodeProcess asked in Cluster.Nodes)
            {
                JsonElement barrier = await asked.AskAsync("POST", "/v1/groups/orders/read-barrier");
                Assert.True(barrier.GetProperty("index").GetInt64() >= revision, barrier.ToString());
                Assert.Equal("x", await (await asked.GetAsync("/v1/groups/orders/kv/barrier?consistency=stale")).TextAsync());
            }
        }
    }

    [Fact]
    public async Task One_node_alone_has_nobody_to_hand_over_to()
    {
        await using ClusterProcesses alone = await ClusterProcesses.StartAsync(1, output: null);
        foreach (string path in new[] { "/v1/leader/step-down", "/v1/leader/transfer" })
        {
            using HttpResponseMessage answer = await alone[0].SendJsonAsync("POST", path, null);
            Assert.Equal("/problems#no-other-voter", (await RestClient.AssertProblemAsync(HttpStatusCode.Conflict, "notSubmitted", answer)).GetProperty("type").GetString());
        }

        Assert.True((await alone[0].AskAsync("POST", "/v1/drain")).GetProperty("draining").GetBoolean());
    }

    [Fact]
    public async Task A_draining_node_leads_nothing_is_not_ready_and_serves_on()
    {
        string leader = await Cluster[0].LeaderOfAsync();
        NodeProcess node = Cluster.Nodes.Single(member => member.Id == leader);
        Assert.True((await node.AskAsync("POST", "/v1/drain")).GetProperty("draining").GetBoolean());
        await node.WaitUntilNotReadyBecauseAsync("drain");
        JsonElement status = await node.GetJsonAsync("/v1/status");
        Assert.True(status.GetProperty("draining").GetBoolean());
        Assert.All(status.GetProperty("groups").EnumerateArray(), group => Assert.NotEqual("leader", group.GetProperty("role").GetString()));
        await node.AppendAsync("through a draining node");

        Assert.False((await node.AskAsync("DELETE", "/v1/drain")).GetProperty("draining").GetBoolean());
        Assert.False((await node.AskAsync("GET", "/v1/drain")).GetProperty("draining").GetBoolean());
        await node.WaitUntilReadyAsync();
    }
}

using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class GroupRoutesTests(TwoGroups two) : IClassFixture<TwoGroups>
{
    private ClusterProcesses Cluster => two.Cluster;

    [Fact]
    public async Task Each_group_has_its_own_entries_keys_and_idempotency_keys()
    {
        for (int n = 0; n < 3; n++)
        {
            NodeProcess node = Cluster[n], other = Cluster[(n + 1) % 3];
            string key = $"own-{n}";
            using HttpResponseMessage first = await node.PostAsync("/v1/groups/orders/entries", $"order {n}", key: key);
            await RestClient.AssertStatusAsync(HttpStatusCode.Created, first);
            long index = (await first.JsonAsync()).GetProperty("index").GetInt64();
            Assert.Equal($"/v1/groups/orders/entries/{index}", first.Headers.Location?.ToString());
            Assert.Equal($"order {n}", await (await other.GetAsync($"/v1/groups/orders/entries/{index}")).TextAsync());

            // The same key in the other group is another key.
            await node.AppendAsync($"elsewhere {n}", key: key);
            Assert.Equal(index, (await other.GetJsonAsync($"/v1/groups/orders/idempotency/{key}")).GetProperty("index").GetInt64());

            (await node.PutAsync($"/v1/groups/orders/kv/colour-{n}", "blue")).EnsureSuccessStatusCode();
            Assert.Equal("blue", await (await other.GetAsync($"/v1/groups/orders/kv/colour-{n}")).TextAsync());
            Assert.Equal(HttpStatusCode.NotFound, (await other.GetAsync($"/v1/kv/colour-{n}")).StatusCode);
            Assert.Equal(HttpStatusCode.NoContent, (await other.DeleteAsync($"/v1/groups/orders/kv/colour-{n}")).StatusCode);
        }
    }

    [Fact]
    public async Task The_first_group_is_the_one_at_v1()
    {
        (await Cluster[0].PutAsync("/v1/kv/first", "x")).EnsureSuccessStatusCode();
        Assert.Equal("x", await (await Cluster[1].GetAsync("/v1/groups/default/kv/first")).TextAsync());
    }

    [Fact]
    public async Task Groups_are_listed_with_how_each_is()
    {
        foreach (NodeProcess node in Cluster.Nodes)
        {
            JsonElement[] groups = [.. (await node.GetJsonAsync("/v1/groups")).GetProperty("groups").EnumerateArray()];
            Assert.Equal(["default", "orders"], groups.Select(group => group.GetProperty("group").GetString()));
            Assert.All(groups, group => Assert.Equal(
                (3, 3, true), (group.GetProperty("members").GetInt32(), group.GetProperty("voters").GetInt32(), group.GetProperty("ready").GetBoolean())));
            Assert.All(groups, group => Assert.NotNull(group.GetProperty("leader").GetString()));
        }
    }

    [Theory]
    [InlineData("GET", "entries")]
    [InlineData("POST", "entries")]
    [InlineData("GET", "entries/1")]
    [InlineData("GET", "kv")]
    [InlineData("GET", "kv/x")]
    [InlineData("PUT", "kv/x")]
    [InlineData("DELETE", "kv/x")]
    [InlineData("GET", "idempotency/x")]
    [InlineData("GET", "snapshots")]
    public async Task An_unknown_group_is_a_404_that_names_those_that_are(string method, string path)
    {
        using HttpResponseMessage answer = await Cluster[0].SendJsonAsync(method, "/v1/groups/nobody/" + path, method is "GET" or "DELETE" ? null : "x");
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.NotFound, null, answer);
        Assert.Equal("/problems#no-such-group", problem.GetProperty("type").GetString());
        Assert.Contains("default, orders", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Snapshots_are_taken_once_for_what_is_new_of_one_group_or_of_all()
    {
        NodeProcess node = Cluster[1];
        (await node.PutAsync("/v1/groups/orders/kv/snapshot", "x")).EnsureSuccessStatusCode();
        JsonElement taken = await node.AskAsync("POST", "/v1/groups/orders/snapshots", status: HttpStatusCode.Created);
        await node.WaitAsync(
            async () =>
            {
                // What the cluster itself puts into the log, a check of the state hash for one, is something new as well.
                using HttpResponseMessage again = await node.SendJsonAsync("POST", "/v1/groups/orders/snapshots", null);
                if (again.StatusCode == HttpStatusCode.OK && (await again.JsonAsync()).ToString() == taken.ToString())
                    return true;
                await RestClient.AssertStatusAsync(HttpStatusCode.Created, again);
                taken = await again.JsonAsync();
                return false;
            },
            "nothing to be new");
        JsonElement snapshot = Assert.Single(taken.GetProperty("snapshots").EnumerateArray());
        Assert.Equal("orders", snapshot.GetProperty("group").GetString());
        Assert.True(snapshot.GetProperty("index").GetInt64() >= 1 && snapshot.GetProperty("sizeBytes").GetInt64() > 0, snapshot.ToString());
        Assert.Equal(snapshot.ToString(), Assert.Single((await node.AskAsync("GET", "/v1/groups/orders/snapshots")).GetProperty("snapshots").EnumerateArray()).ToString());

        (await node.PutAsync("/v1/groups/orders/kv/snapshot", "y")).EnsureSuccessStatusCode();
        (await node.PutAsync("/v1/kv/snapshot", "y")).EnsureSuccessStatusCode();
        JsonElement all = await node.AskAsync("POST", "/v1/snapshots", status: HttpStatusCode.Created);
        Assert.Equal(["default", "orders"], all.GetProperty("snapshots").EnumerateArray().Select(one => one.GetProperty("group").GetString()));
        JsonElement status = (await node.GetJsonAsync("/v1/status")).GetProperty("groups")[1];
        Assert.Equal(all.GetProperty("snapshots")[1].ToString(), status.GetProperty("snapshot").ToString());
        Assert.Equal("y", await (await node.GetAsync("/v1/groups/orders/kv/snapshot")).TextAsync());
    }

    [Fact]
    public async Task Status_and_cluster_show_the_configuration_of_every_group()
    {
        foreach (NodeProcess node in Cluster.Nodes)
        {
            JsonElement status = await node.GetJsonAsync("/v1/status");
            Assert.Equal(32, status.GetProperty("storageId").GetString()!.Length);
            Assert.True(status.GetProperty("startCount").GetInt64() >= 1);
            foreach (JsonElement group in status.GetProperty("groups").EnumerateArray())
            {
                JsonElement configuration = group.GetProperty("configuration");
                Assert.False(configuration.GetProperty("isJoint").GetBoolean());
                Assert.Equal(["n1 voter", "n2 voter", "n3 voter"], configuration.GetProperty("members").EnumerateArray().Select(member => $"{member.GetProperty("id")} {member.GetProperty("kind")}"));
                Assert.Equal(JsonValueKind.Null, group.GetProperty("alarm").ValueKind);
            }

            JsonElement cluster = await node.GetJsonAsync("/v1/cluster");
            Assert.Equal(["default", "orders"], cluster.GetProperty("groups").EnumerateArray().Select(group => group.GetProperty("group").GetString()));
        }
    }
}

using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>The log says who is a member; an address is only a way to get there.</summary>
[Collection(ProcessCollection.Name)]
public sealed class AddressTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Nodes_that_all_have_new_addresses_in_Members_find_each_other_and_the_log_learns_them()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await cluster[0].AppendAsync("before");
        await MoveAllAsync(cluster);
        cluster.ListMembers();
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();

        await cluster.WaitUntilReadyAsync();
        await cluster[1].AppendAsync("after");
        Assert.Equal(["before", "after"], await Journal.ReadAllAsync(cluster[2]));
        await UntilTheLogNamesAsync(cluster);

        // Nothing goes on changing: the next change is the operator's own.
        long index = (await cluster[0].GetJsonAsync("/v1/members")).GetProperty("configurationIndex").GetInt64();
        await cluster[0].AppendAsync("more");
        using HttpResponseMessage same = await cluster[0].SendJsonAsync("POST", "/v1/members", MemberChanges.AddressesOf(cluster[1]));
        Assert.Equal("nothingToDo", (await same.JsonAsync()).GetProperty("outcome").GetString());
        Assert.Equal(index, (await cluster[0].GetJsonAsync("/v1/members")).GetProperty("configurationIndex").GetInt64());
    }

    [Fact]
    public async Task Addresses_that_an_operator_gives_to_one_node_bring_the_cluster_back()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await cluster[0].AppendAsync("before");
        string stale = cluster[1].PeerUrl;
        await MoveAllAsync(cluster);
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();

        // Each knows where it is itself, and of the others where they were.
        await cluster[0].WaitUntilNotReadyBecauseAsync("There is no quorum");
        await cluster[0].WaitUntilNotReadyBecauseAsync("cannot reach: n2, n3");
        await cluster[0].WaitUntilNotReadyBecauseAsync($"{stale} (from the log): Connection refused");
        using HttpResponseMessage given = await cluster[0].SendJsonAsync("POST", "/v1/peers/addresses",
            $$"""{"addresses":[{{AddressOf(cluster[0])}},{{AddressOf(cluster[1])}},{{AddressOf(cluster[2])}}]}""");
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, given);

        await cluster.WaitUntilReadyAsync();
        Assert.Equal(["before"], await Journal.ReadAllAsync(cluster[2]));
        await UntilTheLogNamesAsync(cluster);

        static string AddressOf(NodeProcess node) => $$"""{"id":"{{node.Id}}","peerUrl":"{{node.PeerUrl}}"}""";
    }

    [Fact]
    public async Task One_node_that_has_moved_corrects_its_address_and_leaves_one_that_works()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, TwoGroups.Configure);
        NodeProcess former = await cluster.FollowerAsync();
        int index = cluster.Nodes.ToList().IndexOf(former);
        await former.StopAsync();
        NodeProcess moved = cluster.Move(index);
        await moved.StartAndWaitUntilReadyAsync();
        await UntilTheLogNamesAsync(cluster, "default", "orders");

        // It is configured with another address that leads to it as well: the one in the log works, and stays.
        await moved.StopAsync();
        moved.Settings["Raft__AdvertisedPeerUrl"] = $"http://localhost:{moved.PeerPort}";
        await moved.StartAndWaitUntilReadyAsync();
        await moved.AppendAsync("here");
        await UntilTheLogNamesAsync(cluster, "default", "orders");
    }

    [Fact]
    public async Task Peers_are_listed_with_their_addresses_and_a_bad_address_is_refused()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(2, output);
        await cluster[0].WaitAsync(async () => (await cluster[0].GetJsonAsync("/v1/peers")).GetProperty("peers")[0].GetProperty("alive").GetBoolean(), "n2 to be alive");
        JsonElement peers = await cluster[0].GetJsonAsync("/v1/peers");
        Assert.Equal("n1", peers.GetProperty("seenBy").GetString());
        JsonElement other = Assert.Single(peers.GetProperty("peers").EnumerateArray());
        Assert.Equal(("n2", true, true), (other.GetProperty("id").GetString(), other.GetProperty("isMember").GetBoolean(), other.GetProperty("connected").GetBoolean()));
        JsonElement address = Assert.Single(other.GetProperty("addresses").EnumerateArray());
        Assert.Equal((cluster[1].PeerUrl, "configuration", JsonValueKind.Null),
            (address.GetProperty("peerUrl").GetString(), address.GetProperty("source").GetString(), address.GetProperty("lastError").ValueKind));

        foreach ((string body, HttpStatusCode status, string type) in new[]
        {
            ("""{"addresses":[{"id":"n2","peerUrl":"http://0.0.0.0:1"}]}""", HttpStatusCode.BadRequest, "bad-address"),
            ("""{"addresses":[{"id":"n2","peerUrl":"http://h:1/path"}]}""", HttpStatusCode.BadRequest, "bad-address"),
            ("""{"addresses":[{"id":"n 2","peerUrl":"http://h:1"}]}""", HttpStatusCode.BadRequest, "bad-node-id"),
            ("""{"addresses":[{"id":"n9","peerUrl":"http://h:1"}]}""", HttpStatusCode.NotFound, "unknown-member"),
            ("""{"addresses":[null]}""", HttpStatusCode.BadRequest, "bad-body"),
        })
        {
            using HttpResponseMessage answer = await cluster[0].SendJsonAsync("POST", "/v1/peers/addresses", body);
            JsonElement problem = await RestClient.AssertProblemAsync(status, outcome: null, answer);
            Assert.EndsWith("#" + type, problem.GetProperty("type").GetString(), StringComparison.Ordinal);
        }
    }

    /// <summary>All end, and have other ports from now on; of the others each lists where they were.</summary>
    private static async Task MoveAllAsync(ClusterProcesses cluster)
    {
        foreach (NodeProcess node in cluster.Nodes)
            await node.StopAsync();
        for (int n = 0; n < cluster.Nodes.Count; n++)
            cluster.Move(n);
    }

    private static async Task UntilTheLogNamesAsync(ClusterProcesses cluster, params string[] groups)
    {
        string[] expected = [.. cluster.Nodes.Select(node => $"{node.Id} {node.PeerUrl} {node.ApiUrl}")];
        foreach (string path in groups is [] ? ["/v1/members?local=true"] : groups.Select(group => $"/v1/groups/{group}/members?local=true"))
        {
            string[] seen = [];
            foreach (NodeProcess node in cluster.Nodes)
            {
                await Wait.UntilAsync(async () =>
                {
                    JsonElement members = await node.GetJsonAsync(path);
                    seen = [.. members.GetProperty("members").EnumerateArray().Select(member => string.Join(' ', new[] { "id", "peerUrl", "apiUrl" }.Select(name => member.GetProperty(name).GetString())))];
                    return seen.SequenceEqual(expected);
                }, $"{node.Id} to name all members at their new addresses ({path})", () => string.Join(Environment.NewLine, seen) + cluster.Tail());
            }
        }
    }
}

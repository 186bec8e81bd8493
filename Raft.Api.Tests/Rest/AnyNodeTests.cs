using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class AnyNodeTests(ThreeNodes three) : IClassFixture<ThreeNodes>
{
    private ClusterProcesses Cluster => three.Cluster;

    [Fact]
    public async Task Any_node_takes_writes_and_reads_back_its_own()
    {
        for (int n = 0; n < 30; n++)
        {
            NodeProcess node = Cluster[n % 3];
            long index = await node.AppendAsync($"entry {n}");
            using HttpResponseMessage entry = await node.GetAsync($"/v1/entries/{index}");
            Assert.Equal($"entry {n}", await entry.TextAsync());
            (await node.PutAsync($"/v1/kv/any-{n}", $"value {n}")).EnsureSuccessStatusCode();
            Assert.Equal($"value {n}", await (await node.GetAsync($"/v1/kv/any-{n}")).TextAsync());
        }
    }

    [Fact]
    public async Task A_read_on_any_node_sees_every_write_that_was_answered_before()
    {
        for (int n = 0; n < 60; n++)
        {
            (await Cluster[n % 3].PutAsync("/v1/kv/linear", $"{n}")).EnsureSuccessStatusCode();
            Assert.Equal($"{n}", await (await Cluster[(n + 1) % 3].GetAsync("/v1/kv/linear")).TextAsync());
            Assert.Equal($"{n}", await (await Cluster[(n + 2) % 3].GetAsync("/v1/kv/linear")).TextAsync());
        }
    }

    [Fact]
    public async Task Compare_and_set_through_all_nodes_counts_right()
    {
        (await Cluster[0].PutAsync("/v1/kv/counter", "0")).EnsureSuccessStatusCode();
        int added = 0;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(async writer =>
        {
            for (int n = 0; n < 20; n++)
            {
                NodeProcess node = Cluster[(writer + n) % 3];
                using HttpResponseMessage read = await node.GetAsync("/v1/kv/counter");
                int value = int.Parse(await read.TextAsync(), System.Globalization.CultureInfo.InvariantCulture);
                using HttpResponseMessage write = await node.PutAsync("/v1/kv/counter", $"{value + 1}", ifMatch: read.Headers.ETag!.ToString());
                if (write.IsSuccessStatusCode)
                    Interlocked.Increment(ref added);
                else
                    await RestClient.AssertStatusAsync(HttpStatusCode.PreconditionFailed, write);
            }
        }));
        Assert.Equal($"{added}", await (await Cluster[1].GetAsync("/v1/kv/counter")).TextAsync());
        Assert.True(added > 0);
    }

    [Fact]
    public async Task A_key_is_known_on_every_node()
    {
        long first = await Cluster[0].AppendAsync("once", key: "everywhere");
        Assert.Equal(first, await Cluster[1].AppendAsync("once", key: "everywhere"));
        Assert.Equal(first, await Cluster[2].AppendAsync("once", key: "everywhere"));
        using HttpResponseMessage other = await Cluster[2].PostAsync("/v1/entries", "other", key: "everywhere");
        await RestClient.AssertProblemAsync(HttpStatusCode.UnprocessableEntity, "notSubmitted", other);
    }

    [Fact]
    public async Task Headers_name_the_node_that_answered()
    {
        foreach (NodeProcess node in Cluster.Nodes)
        {
            using HttpResponseMessage answer = await node.PutAsync("/v1/kv/headers", "x");
            RestClient.AssertRaftHeaders(answer, node.Id);
        }
    }

    [Fact]
    public async Task All_nodes_end_with_the_same_state_hash()
    {
        await Task.WhenAll(Enumerable.Range(0, 300).Select(n => Cluster[n % 3].PutAsync($"/v1/kv/hash-{n % 40}", $"{n}")));
        await Cluster.WaitUntilEqualAsync();
    }

    [Fact]
    public async Task Cluster_is_one_picture_of_all_members_from_any_node()
    {
        NodeProcess leader = await Cluster.LeaderAsync();
        foreach (NodeProcess node in Cluster.Nodes)
        {
            JsonElement cluster = await node.GetJsonAsync("/v1/cluster");
            Assert.Equal(3, cluster.GetProperty("members").GetArrayLength());
            foreach (NodeProcess member in Cluster.Nodes)
                Assert.Contains($"\"{member.Id}\"", cluster.ToString(), StringComparison.Ordinal);
            Assert.Contains(leader.Id, cluster.ToString(), StringComparison.Ordinal);
        }
    }
}

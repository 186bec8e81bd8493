using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Rest;

/// <summary>A disk that is nearly full, by a watermark that no disk reaches.</summary>
[Collection(ProcessCollection.Name)]
public sealed class DiskSpaceTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Where_nobody_has_room_writes_are_a_507_on_every_node_and_reads_go_on()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, WithoutRoom);
        foreach (NodeProcess node in cluster.Nodes)
        {
            await node.WaitAsync(async () => (await node.PostAsync("/v1/entries", "early")).StatusCode == HttpStatusCode.InsufficientStorage, "writes to be refused");
            using HttpResponseMessage refused = await node.PutAsync("/v1/kv/colour", "blue");
            Assert.NotNull(refused.Headers.RetryAfter);
            JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.InsufficientStorage, "notSubmitted", refused);
            Assert.Equal("/problems#out-of-space", problem.GetProperty("type").GetString());
            Assert.Contains("Raft:Limits:MinFreeDiskBytes", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);

            using HttpResponseMessage read = await node.GetAsync("/v1/kv/colour");
            await RestClient.AssertStatusAsync(HttpStatusCode.NotFound, read);
            Assert.Contains("bytes free", (await node.GetJsonAsync("/v1/status")).GetProperty("diskShortage").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Who_has_room_leads_and_takes_writes_through_every_node()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            ClusterProcesses.Patient(node);
            if (node.Id != "n3")
                WithoutRoom(node);
        });
        foreach (NodeProcess node in cluster.Nodes)
            await node.WaitAsync(async () => await node.LeaderOfAsync() == "n3", "n3 to lead");

        foreach (NodeProcess node in cluster.Nodes)
            await node.AppendAsync($"through {node.Id}");
        await cluster.WaitUntilEqualAsync();
    }

    private static void WithoutRoom(NodeProcess node) => node.Settings["Raft__Limits__MinFreeDiskBytes"] = "9000000000000000000";
}

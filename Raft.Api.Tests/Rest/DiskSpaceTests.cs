using System.Globalization;
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
        await using ClusterProcesses cluster = await StartWithoutRoomAsync(WithoutRoom);
        foreach (NodeProcess node in cluster.Nodes)
        {
            await node.WaitUntilNotReadyBecauseAsync("lack of disk space");
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
    public async Task Where_nobody_has_room_deletions_and_administration_go_on()
    {
        // Between a quarter of the limit, below which deletions end too, and the limit.
        long limit = new DriveInfo(Path.GetTempPath()).AvailableFreeSpace * 2;
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        for (int n = 0; n < 3; n++)
        {
            using HttpResponseMessage written = await cluster[0].PutAsync($"/v1/kv/key-{n}", "value");
            await RestClient.AssertStatusAsync(HttpStatusCode.Created, written);
        }

        foreach (NodeProcess node in cluster.Nodes)
        {
            await node.StopAsync();
            node.Settings["Raft__Limits__MinFreeDiskBytes"] = limit.ToString(CultureInfo.InvariantCulture);
            node.Start();
            await WaitUntilServesAsync(node);
        }

        for (int n = 0; n < 3; n++)
        {
            NodeProcess node = cluster[n];
            await node.WaitUntilNotReadyBecauseAsync("lack of disk space");
            using HttpResponseMessage put = await node.PutAsync("/v1/kv/new", "value");
            await RestClient.AssertProblemAsync(HttpStatusCode.InsufficientStorage, "notSubmitted", put);
            using HttpResponseMessage deleted = await node.Http.DeleteAsync($"/v1/kv/key-{n}");
            await RestClient.AssertStatusAsync(HttpStatusCode.NoContent, deleted);
        }

        using HttpResponseMessage snapshot = await cluster[0].PostAsync("/v1/snapshots", "");
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, snapshot);
        using HttpResponseMessage transferred = await cluster[0].PostAsync("/v1/leader/step-down", "");
        Assert.True(transferred.IsSuccessStatusCode, await transferred.Content.ReadAsStringAsync());
        using HttpResponseMessage removed = await cluster[0].Http.DeleteAsync("/v1/members/n3");
        Assert.True(removed.IsSuccessStatusCode, await removed.Content.ReadAsStringAsync());
        using HttpResponseMessage drained = await cluster[1].PostAsync("/v1/drain", "");
        Assert.True(drained.IsSuccessStatusCode, await drained.Content.ReadAsStringAsync());
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

    private async Task<ClusterProcesses> StartWithoutRoomAsync(Action<NodeProcess> configure)
    {
        ClusterProcesses cluster = ClusterProcesses.Create(3, output, configure);
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        foreach (NodeProcess node in cluster.Nodes)
            await WaitUntilServesAsync(node);
        return cluster;
    }

    private static Task WaitUntilServesAsync(NodeProcess node) =>
        node.WaitAsync(async () => (await node.Http.GetAsync("/readyz?exclude=space")).StatusCode == HttpStatusCode.OK, "/readyz?exclude=space to answer 200");

    private static void WithoutRoom(NodeProcess node) => node.Settings["Raft__Limits__MinFreeDiskBytes"] = "9000000000000000000";
}

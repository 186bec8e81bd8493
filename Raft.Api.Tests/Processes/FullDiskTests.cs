using System.Globalization;
using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>A node whose disk has no room left, on a real file system that another program fills.</summary>
[Collection(ProcessCollection.Name)]
public sealed class FullDiskTests(ITestOutputHelper output)
{
    private const int Values = 24;
    private const int ValueBytes = 1_000_000;

    [SkippableFact]
    public async Task A_snapshot_that_does_not_fit_is_given_up_and_the_node_serves_on()
    {
        await using SmallDisk disk = await SmallDisk.RequireAsync(megabytes: 300);
        await using NodeProcess node = NodeOn(disk);
        await node.StartAndWaitUntilReadyAsync();
        await PutValuesAsync(node);

        await disk.FillAsync(butBytes: 4 << 20);
        using (HttpResponseMessage refused = await node.PostAsync("/v1/snapshots", ""))
        {
            Assert.Equal("/problems#out-of-space", (await RestClient.AssertProblemAsync(HttpStatusCode.InsufficientStorage, "notSubmitted", refused)).GetProperty("type").GetString());
        }

        await node.WaitForOutputAsync("a snapshot was abandoned");
        Assert.Empty(SnapshotFilesOf(node));
        Assert.Matches(@"raft_storage_snapshots_abandoned_total\S* [1-9]", await node.Http.GetStringAsync("/metrics"));
        await AssertReadsAsync(node);

        disk.Free();
        using HttpResponseMessage taken = await node.PostAsync("/v1/snapshots", "");
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, taken);
        output.WriteLine(node.Tail(10));
    }

    [SkippableTheory]
    [InlineData(0)]
    [InlineData(10 << 20)]
    public async Task It_starts_on_a_full_disk_serves_reads_and_says_why_writes_are_refused(long givenBack)
    {
        await using SmallDisk disk = await SmallDisk.RequireAsync(megabytes: 400);
        await using NodeProcess node = NodeOn(disk);
        node.Settings["Raft__Limits__MinFreeDiskBytes"] = (128 << 20).ToString(CultureInfo.InvariantCulture);
        await node.StartAndWaitUntilReadyAsync();
        await PutValuesAsync(node);
        await node.KillAsync();

        for (int start = 0; start < 3; start++)
        {
            await disk.FillAsync();
            // What a snapshot that was cut off leaves counts against nobody.
            if (givenBack > 0)
                disk.GiveBack(givenBack);
            node.Start();
            await node.WaitUntilNotReadyBecauseAsync("commands are refused for lack of disk space");
            await node.WaitAsync(async () => (await node.Http.GetAsync("/readyz?exclude=space")).StatusCode == HttpStatusCode.OK, "/readyz?exclude=space");
            await AssertReadsAsync(node);
            using HttpResponseMessage refused = await node.PutAsync("/v1/kv/more", "x");
            await RestClient.AssertProblemAsync(HttpStatusCode.InsufficientStorage, "notSubmitted", refused);
            await node.KillAsync();
        }

        disk.Free();
        await node.StartAndWaitUntilReadyAsync();
        using HttpResponseMessage written = await node.PutAsync("/v1/kv/more", "x");
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, written);
        output.WriteLine(node.Tail(10));
    }

    private static NodeProcess NodeOn(SmallDisk disk)
    {
        int[] ports = Ports.Take(2);
        var node = new NodeProcess("n1", Path.Combine(disk.Path, "n1"), ports[0], ports[1]);
        node.Settings["Raft__Bootstrap"] = "true";
        node.Settings["Raft__Limits__MinFreeDiskBytes"] = "0";
        return node;
    }

    private static string[] SnapshotFilesOf(NodeProcess node) => Directory.GetFiles(Path.Combine(node.DataDirectory, "current", "snapshots"));

    private static async Task PutValuesAsync(NodeProcess node)
    {
        byte[] value = new byte[ValueBytes];
        for (int n = 0; n < Values; n++)
        {
            using HttpResponseMessage answer = await node.Http.SendAsync(RestClient.Request(HttpMethod.Put, $"/v1/kv/value-{n}", value, "application/octet-stream"));
            await RestClient.AssertStatusAsync(HttpStatusCode.Created, answer);
        }
    }

    private static async Task AssertReadsAsync(NodeProcess node)
    {
        for (int n = 0; n < Values; n++)
            Assert.Equal(ValueBytes, (await node.Http.GetByteArrayAsync($"/v1/kv/value-{n}")).Length);
    }
}

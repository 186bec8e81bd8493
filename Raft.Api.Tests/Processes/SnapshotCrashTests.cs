using System.Globalization;
using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>Whoever takes, sends, receives or installs a snapshot is killed meanwhile, while writes go on.</summary>
[Collection(ProcessCollection.Name)]
public sealed class SnapshotCrashTests(ITestOutputHelper output)
{
    private const int Values = 96, ValueBytes = 64 << 10, SendBytesPerSecond = 2 << 20, TriesMost = 5;

    [Fact]
    public async Task A_node_that_is_killed_while_it_takes_a_snapshot_restarts_and_loses_nothing()
    {
        await using ClusterProcesses cluster = await StartAsync();
        await using var load = new SteadyLoad(cluster, writers: 4, prefix: "kept", bytes: 200) { PerSecond = 200 };
        int hits = 0;
        for (int round = 0; round < 6; round++)
        {
            await load.MoreAsync(50);
            NodeProcess killed = round % 2 == 0 ? await cluster.LeaderAsync() : await cluster.FollowerAsync();
            Task<HttpResponseMessage> taking = killed.SendJsonAsync("POST", "/v1/snapshots", null);
            await Wait.UntilAsync(() => taking.IsCompleted || FilesOf(killed, "*.tmp").Length > 0, "a snapshot to be begun", cluster.Tail);
            await Task.Delay(Random.Shared.Next(10));
            await killed.KillAsync();
            await IgnoreAsync(taking);
            string[] left = [.. FilesOf(killed, "*.tmp"), .. FilesOf(killed, "*.part")];
            hits += Array.Exists(left, file => file.EndsWith(".tmp", StringComparison.Ordinal)) ? 1 : 0;

            // Not "none at all": it may be receiving another one by now.
            await killed.StartAndWaitUntilReadyAsync();
            Assert.DoesNotContain(left, File.Exists);
        }

        output.WriteLine($"{hits} of 6 kills left a snapshot half taken");
        await AssertNothingIsLostAsync(cluster, load);
    }

    [Theory]
    [InlineData("sends")]
    [InlineData("receives")]
    [InlineData("installs")]
    public async Task A_node_that_is_killed_while_it_sends_receives_or_installs_a_snapshot_restarts_and_loses_nothing(string what)
    {
        await using ClusterProcesses cluster = await StartAsync();
        await using var load = new SteadyLoad(cluster, writers: 4, prefix: "kept", bytes: 200) { PerSecond = 200 };
        for (int round = 0; round < 3; round++)
        {
            NodeProcess killed = await BringIntoTheMiddleAsync(cluster, load, what);
            await killed.KillAsync();
            foreach (NodeProcess node in cluster.Running)
                node.Send(Signal.Continue);
            await load.MoreAsync(20);
            killed.Start();
            await cluster.WaitUntilReadyAsync();
        }

        await AssertNothingIsLostAsync(cluster, load);
    }

    /// <summary>A follower that missed the log gets a snapshot; gives the node that is to be killed in the middle of it.</summary>
    private async Task<NodeProcess> BringIntoTheMiddleAsync(ClusterProcesses cluster, SteadyLoad load, string what)
    {
        for (int tries = 1; tries <= TriesMost; tries++)
        {
            NodeProcess late = await cluster.FollowerAsync();
            await MissTheLogAsync(cluster, load, late);
            NodeProcess leader = await cluster.LeaderAsync();
            int installed = Count(late, "installs the snapshot");
            late.Start();
            await Wait.UntilAsync(
                () => Count(late, "installs the snapshot") > installed || (what != "installs" && IsHalfReceived(late)), $"{late.Id} to receive a snapshot", cluster.Tail);
            if (what == "installs")
            {
                await Task.Delay(Random.Shared.Next(30)); // any moment of it
                return late;
            }

            // Stopped it cannot get on, so what is seen now is what the kill meets.
            late.Send(Signal.Stop);
            if (IsHalfReceived(late))
                return what == "sends" ? leader : late;
            output.WriteLine($"{late.Id} was too fast; once more");
            late.Send(Signal.Continue);
            await cluster.WaitUntilReadyAsync();
        }

        throw new InvalidOperationException($"In {TriesMost} tries no snapshot was met on its way: it is not throttled.");
    }

    private async Task<ClusterProcesses> StartAsync()
    {
        ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            node.Settings["Raft__Limits__SnapshotFloorBytes"] = "65536";
            node.Settings["Raft__Limits__MaxLogDiskBytes"] = (64 << 20).ToString(CultureInfo.InvariantCulture);
            node.Settings["Raft__Limits__SnapshotTrailingEntries"] = "10";
            node.Settings["Raft__Limits__SnapshotTrailingBytes"] = "65536";
            node.Settings["Raft__Limits__SnapshotChunkBytes"] = "16384";
            node.Settings["Raft__Limits__SnapshotSendBytesPerSecond"] = SendBytesPerSecond.ToString(CultureInfo.InvariantCulture); // so that there is a middle
        });
        byte[] value = new byte[ValueBytes];
        Random.Shared.NextBytes(value);
        for (int n = 0; n < Values; n++)
        {
            NodeProcess node = cluster[n % 3];
            int number = n;
            await node.WaitAsync(
                async () =>
                {
                    using HttpResponseMessage answer = await node.Http.SendAsync(
                        RestClient.Request(HttpMethod.Put, $"/v1/kv/value-{number}", value, "application/octet-stream", key: $"value-{number}"));
                    return answer.IsSuccessStatusCode;
                },
                "a value to be written");
        }

        return cluster;
    }

    /// <summary>Kills a node and compacts the log of the others beyond what it has.</summary>
    private static async Task MissTheLogAsync(ClusterProcesses cluster, SteadyLoad load, NodeProcess late)
    {
        await late.KillAsync();
        await load.MoreAsync(100);
        foreach (NodeProcess node in cluster.Running)
        {
            await node.WaitAsync(
                async () =>
                {
                    using HttpResponseMessage answer = await node.SendJsonAsync("POST", "/v1/snapshots", null);
                    return answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.Created;
                },
                "a snapshot");
        }
    }

    private static async Task AssertNothingIsLostAsync(ClusterProcesses cluster, SteadyLoad load)
    {
        await load.MoreAsync(20);
        await load.StopAsync();
        await cluster.WaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync(cluster.Nodes);
        await load.AssertAllIsThereOnceAsync(cluster.Nodes);
    }

    /// <summary>A part of the snapshot is on its disk, and not all of it.</summary>
    private static bool IsHalfReceived(NodeProcess node)
    {
        try
        {
            return FilesOf(node, "*.part").Any(file => new FileInfo(file).Length is > 0 and < Values * ValueBytes);
        }
        catch (FileNotFoundException)
        {
            return false; // it was just completed, or given up
        }
    }

    private static string[] FilesOf(NodeProcess node, string pattern)
    {
        try
        {
            return Directory.GetFiles(node.DataDirectory, pattern, SearchOption.AllDirectories);
        }
        catch (DirectoryNotFoundException)
        {
            return []; // a directory was just moved or made
        }
    }

    private static int Count(NodeProcess node, string text)
    {
        string all = node.Output;
        int count = 0;
        for (int at = all.IndexOf(text, StringComparison.Ordinal); at >= 0; at = all.IndexOf(text, at + 1, StringComparison.Ordinal))
            count++;
        return count;
    }

    private static async Task IgnoreAsync(Task<HttpResponseMessage> request)
    {
        try
        {
            (await request).Dispose();
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
        {
            // It was killed under it.
        }
    }
}

using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Raft.Host.Memory;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>Nodes with the memory of a small container, or few descriptors: they refuse, and neither die nor become unable to start.</summary>
[Collection(ProcessCollection.Name)]
public sealed class SmallMachineTests(ITestOutputHelper output)
{
    private const int ContainerMebibytes = 256;
    private const int ValueBytes = 1 << 20;

    [SkippableFact]
    public async Task A_node_in_a_container_of_256_MiB_refuses_before_its_memory_is_used_up_and_starts_again_in_it()
    {
        using MemoryGroup group = MemoryGroup.Require(ContainerMebibytes);
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node =>
        {
            FormationTests.Alone(node);
            group.Wrap(node);
        });
        NodeProcess node = cluster[0];

        Assert.Equal(30, (await PutAsync(node, from: 0, count: 30, clients: 4)).Count);
        List<int> kept = await FillAsync(node, from: 30);
        using (HttpResponseMessage refused = await PutAsync(node, 9000))
        {
            JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.InsufficientStorage, "notSubmitted", refused);
            Assert.Equal("/problems#out-of-memory-budget", problem.GetProperty("type").GetString());
        }

        await node.KillAsync();
        await node.StartAndWaitUntilReadyAsync();

        foreach (int key in Enumerable.Range(0, 30).Concat(kept))
            await RestClient.AssertStatusAsync(HttpStatusCode.OK, await node.GetAsync($"/v1/kv/k{key}"));
        Assert.Empty(await PutAsync(node, from: 1000, count: 20, clients: 16));
        for (int key = 0; key < 5; key++)
            await RestClient.AssertStatusAsync(HttpStatusCode.NoContent, await node.Http.DeleteAsync($"/v1/kv/k{key}"));
        Assert.Single(await PutAsync(node, from: 2000, count: 1, clients: 1));
        Assert.Equal(0, await node.StopAsync());
    }

    [SkippableFact]
    public async Task Three_nodes_of_256_MiB_fill_up_and_each_starts_again_also_by_a_snapshot()
    {
        using MemoryGroup one = MemoryGroup.Require(ContainerMebibytes), two = MemoryGroup.Require(ContainerMebibytes), three = MemoryGroup.Require(ContainerMebibytes);
        MemoryGroup[] groups = [one, two, three];
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            ClusterProcesses.Patient(node);
            groups[node.Id[1] - '1'].Wrap(node);
            node.Settings["Raft__RequestTimeoutMs"] = "20000";
            node.Settings["Raft__Limits__SnapshotFloorBytes"] = "8388608";
            node.Settings["Raft__Limits__MaxLogDiskBytes"] = "33554432";
            node.Settings["Raft__Limits__SnapshotTrailingBytes"] = "1048576";
        });
        NodeProcess away = await cluster.FollowerAsync();
        await FillAsync(await cluster.LeaderAsync(), from: 0);

        // Overwritten while it is away: it gets a snapshot as large as the state that it has.
        await away.KillAsync();
        NodeProcess leader = await cluster.LeaderAsync();
        await PutAsync(leader, from: 0, count: 30, clients: 2);
        await away.StartAndWaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();

        foreach (NodeProcess node in cluster.Nodes)
        {
            await node.KillAsync();
            await node.StartAndWaitUntilReadyAsync();
        }

        await cluster.WaitUntilEqualAsync();
    }

    [SkippableFact]
    public async Task A_node_that_is_out_of_memory_ends_with_a_sentence_and_a_code_of_its_own()
    {
        using MemoryGroup group = MemoryGroup.Require(ContainerMebibytes);
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node =>
        {
            FormationTests.Alone(node);
            group.Wrap(node);
            node.Settings["Raft__Limits__MaxStateBytes"] = "190000000";
        });
        NodeProcess node = cluster[0];
        await node.WaitForOutputAsync("holds the old state and the new one");

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => PutAsync(node, from: 0, count: 400, clients: 4));

        Assert.Equal(OutOfMemory.ExitCode, await node.ExitAsync());
        Assert.Contains("RaftHost stops: it is out of memory", node.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Storage failed", node.Output, StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task Idle_connections_of_clients_neither_end_a_fresh_node_nor_shut_out_its_peers()
    {
        Skip.IfNot(File.Exists("/usr/bin/prlimit"), "prlimit(1) is missing: apt-get install -y util-linux");
        await using ClusterProcesses cluster = ClusterProcesses.Create(3, output, node =>
        {
            ClusterProcesses.Patient(node);
            node.Wrapper.AddRange(["prlimit", "--nofile=640:640"]);
        });
        NodeProcess flooded = cluster[0];
        flooded.Start();
        await flooded.WaitAsync(async () => (await flooded.GetAsync("/livez")).StatusCode == HttpStatusCode.OK, "/livez");
        List<Socket> idle = [];
        try
        {
            // Before the others are there: all that the cluster needs is still to be opened.
            for (int n = 0; n < 700; n++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                idle.Add(socket);
                try
                {
                    await socket.ConnectAsync(IPAddress.Loopback, flooded.ApiPort);
                }
                catch (SocketException)
                {
                    // Over the limit, and closed while it was being made.
                }
            }

            await flooded.WaitForOutputAsync("connections, as many as allowed");
            cluster[1].Start();
            cluster[2].Start();
            await cluster[1].WaitUntilReadyAsync();
            await cluster[2].WaitUntilReadyAsync();
            await flooded.WaitForOutputAsync("takes part");      // and none of them forms without it
            await cluster[1].AppendAsync("while clients use up n1");
        }
        finally
        {
            idle.ForEach(socket => socket.Dispose());
        }

        await flooded.WaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
        Assert.All(cluster.Nodes, node => Assert.True(node.IsRunning));
    }

    [Fact]
    public async Task The_smallest_live_voter_decides_and_a_learner_does_not()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(4, output, node =>
        {
            ClusterProcesses.Patient(node);
            node.Settings["Raft__Members__3__Voter"] = "false";
            if (node.Id is "n3" or "n4")
                node.Settings["Raft__Limits__MaxStateBytes"] = node.Id == "n3" ? "8000000" : "4000000";
        });
        NodeProcess first = cluster[0];

        // The learner is over its budget, the voter is not.
        Assert.Equal(6, (await PutAsync(first, from: 0, count: 6, clients: 1)).Count);
        await cluster[3].WaitAsync(async () => (await cluster[3].GetJsonAsync("/v1/status")).GetProperty("memoryShortage").ValueKind == JsonValueKind.String, "n4 to say that it is over its budget");
        Assert.Single(await PutAsync(first, from: 6, count: 1, clients: 1));

        // Until the voter is.
        string? detail = null;
        await first.WaitAsync(
            async () =>
            {
                using HttpResponseMessage answer = await PutAsync(first, Random.Shared.Next(100, 1_000_000));
                if (answer.StatusCode != HttpStatusCode.InsufficientStorage)
                    return false;
                detail = (await RestClient.AssertProblemAsync(HttpStatusCode.InsufficientStorage, "notSubmitted", answer)).GetProperty("detail").GetString();
                return detail!.Contains("'n3'", StringComparison.Ordinal);      // also when it leads
            },
            "writes to be refused because of n3");
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, await first.GetAsync("/v1/kv/k0"));

        // It no longer counts when it is not there.
        await cluster[2].KillAsync();
        await first.WaitAsync(async () => (await PutAsync(first, from: 50, count: 1, clients: 1)).Count == 1, "writes to be taken without n3");
    }

    /// <summary>Values until the node refuses several in a row; the keys that it took.</summary>
    private static async Task<List<int>> FillAsync(NodeProcess node, int from)
    {
        List<int> kept = [];
        for (int next = from; next < from + 400; next += 20)
        {
            List<int> taken = await PutAsync(node, next, count: 20, clients: 8);
            kept.AddRange(taken);
            if (taken.Count == 0)
                return kept;
        }

        throw new InvalidOperationException("The node refused nothing.");
    }

    /// <summary>Several clients; the keys that were taken. Anything but yes and a refusal for memory fails the test.</summary>
    private static async Task<List<int>> PutAsync(NodeProcess node, int from, int count, int clients)
    {
        int next = from;
        List<int> taken = [];
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            for (int key = Interlocked.Increment(ref next) - 1; key < from + count; key = Interlocked.Increment(ref next) - 1)
            {
                using HttpResponseMessage answer = await PutAsync(node, key);
                Assert.Contains(answer.StatusCode, new[] { HttpStatusCode.Created, HttpStatusCode.OK, HttpStatusCode.InsufficientStorage });
                if (answer.StatusCode == HttpStatusCode.InsufficientStorage)
                    continue;
                lock (taken)
                    taken.Add(key);
            }
        }));
        return taken;
    }

    /// <summary>As a client should: comes again while the node has no room for what is under way, or its leader changes.</summary>
    private static async Task<HttpResponseMessage> PutAsync(NodeProcess node, int key)
    {
        byte[] value = new byte[ValueBytes];
        Random.Shared.NextBytes(value);
        while (true)
        {
            HttpResponseMessage answer = await node.Http.PutAsync(new Uri($"/v1/kv/k{key}", UriKind.Relative), new ByteArrayContent(value));
            if (answer.StatusCode is not (HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable))
                return answer;
            answer.Dispose();
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }
}

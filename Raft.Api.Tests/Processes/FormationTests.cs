using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class FormationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 2, 0)]
    public async Task Three_empty_nodes_form_exactly_one_cluster_in_whatever_order_they_start(int first, int second, int third)
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(3, output);
        foreach (int n in new[] { first, second })
        {
            cluster[n].Start();
            await WaitUntilAliveAsync(cluster[n]);
        }

        await cluster[first].WaitUntilNotReadyBecauseAsync(cluster[third].Id); // it says for whom it waits
        cluster[third].Start();
        await cluster.WaitUntilReadyAsync();

        await cluster[first].AppendAsync("one");
        await cluster.WaitUntilEqualAsync();
        Assert.Single((await Task.WhenAll(cluster.Nodes.Select(UidAsync))).Distinct(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_node_that_is_killed_while_the_cluster_forms_takes_part_after_its_restart()
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(3, output);
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        await WaitUntilAliveAsync(cluster[0]);
        await cluster[0].KillAsync();
        cluster[0].Start();
        await cluster.WaitUntilReadyAsync();
        await cluster[0].AppendAsync("one");
        await cluster.WaitUntilEqualAsync();
    }

    [Fact]
    public async Task Nodes_whose_member_lists_differ_form_nothing_and_say_why()
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(3, output);
        cluster[2].Settings["Raft__Members__1__PeerUrl"] = "http://127.0.0.1:9";
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        await cluster[0].WaitUntilNotReadyBecauseAsync("Members");
        await cluster[1].WaitUntilNotReadyBecauseAsync("Members");
    }

    [Fact]
    public async Task A_node_whose_directory_was_lost_does_not_vote_as_its_former_self()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await cluster[0].AppendAsync("kept");
        await cluster.WaitUntilEqualAsync();
        foreach (NodeProcess node in cluster.Nodes)
            await node.KillAsync();
        Directory.Delete(cluster[2].DataDirectory, recursive: true);

        // One that knows the past and one that forgot it are no majority.
        cluster[0].Start();
        cluster[2].Start();
        await WaitUntilAliveAsync(cluster[0]);
        await WaitUntilAliveAsync(cluster[2]);
        await cluster[2].WaitUntilNotReadyBecauseAsync(cluster[2].Id);
        await cluster[0].WaitAsync(async () => await cluster[0].GroupAsync("default") is not null, "its group to run");
        for (int polls = 0; polls < 150; polls++)
        {
            Assert.False((await cluster[0].StatusAsync()).IsLeader, "A majority was made with a node that had lost its disk.");
            await Task.Delay(20);
        }

        cluster[1].Start();
        await cluster[0].WaitUntilReadyAsync();
        await cluster[0].AppendAsync("after");
        Assert.Equal(["kept", "after"], await Journal.ReadAllAsync(cluster[1]));
    }

    [Fact]
    public async Task A_second_node_with_the_same_id_is_kept_out_and_says_so()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        int[] ports = Ports.Take(2);
        await using var second = new NodeProcess("n2", Path.Combine(cluster.Directory, "second"), ports[0], ports[1]);
        foreach ((string key, string? value) in cluster[1].Settings.Where(setting => setting.Key.StartsWith("Raft__", StringComparison.Ordinal)))
            second.Settings[key] = value;
        second.Settings["Raft__DataDirectory"] = second.DataDirectory;
        second.Start();
        await second.WaitUntilNotReadyBecauseAsync("n2");

        await cluster[0].AppendAsync("one");
        await cluster.WaitUntilEqualAsync();
        foreach (NodeProcess node in cluster.Nodes)
            await node.WaitUntilReadyAsync();
    }

    [Fact]
    public async Task A_single_node_with_bootstrap_is_ready_at_once_and_is_the_same_after_a_restart()
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, Alone);
        NodeProcess node = cluster[0];
        await node.StartAndWaitUntilReadyAsync();
        await node.AppendAsync("one");
        string uid = await UidAsync(node);
        await node.KillAsync();
        await node.StartAndWaitUntilReadyAsync();
        await node.AppendAsync("two");
        Assert.Equal(uid, await UidAsync(node));
        Assert.Equal(["one", "two"], await Journal.ReadAllAsync(node));
    }

    [Fact]
    public async Task An_empty_node_without_members_and_bootstrap_waits_and_says_why()
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, node =>
        {
            Alone(node);
            node.Settings["Raft__Bootstrap"] = "false";
        });
        cluster[0].Start();
        await cluster[0].WaitUntilNotReadyBecauseAsync("Bootstrap");
        using HttpResponseMessage answer = await cluster[0].PostAsync("/v1/entries", "x");
        await RestClient.AssertProblemAsync(HttpStatusCode.ServiceUnavailable, "notSubmitted", answer);
    }

    internal static void Alone(NodeProcess node)
    {
        foreach (string key in node.Settings.Keys.Where(key => key.Contains("Members", StringComparison.Ordinal)).ToArray())
            node.Settings.Remove(key);
        node.Settings["Raft__Bootstrap"] = "true";
    }

    internal static Task WaitUntilAliveAsync(NodeProcess node) =>
        node.WaitAsync(async () => (await node.Http.GetAsync("/livez")).IsSuccessStatusCode, "/livez to answer");

    private static async Task<string> UidAsync(NodeProcess node) =>
        (await node.GetJsonAsync("/v1/status")).GetProperty("clusterUid").GetString()!;
}

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class GroupsTests(ITestOutputHelper output)
{
    private static readonly string[] Names = ["default", "a", "b"];

    [Fact]
    public async Task Three_groups_form_take_writes_of_their_own_and_survive_the_restart_of_all()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, Three);
        foreach (string group in Names)
            await cluster[1].AppendToAsync(group, $"of {group}");
        foreach (NodeProcess node in cluster.Nodes)
            await node.KillAsync();
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        await cluster.WaitUntilReadyAsync();

        foreach (string group in Names)
        {
            await cluster[2].AppendToAsync(group, "more");
            Assert.Equal([$"of {group}", "more"], await EntriesAsync(cluster[0], group));
        }
    }

    [Fact]
    public async Task A_group_that_is_added_to_the_configuration_forms_when_all_were_restarted()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await cluster[0].AppendAsync("one");
        foreach (NodeProcess node in cluster.Nodes)
        {
            Assert.Equal(0, await node.StopAsync());
            Three(node);
            await node.StartAndWaitUntilReadyAsync();
        }

        foreach (NodeProcess node in cluster.Nodes)
            await node.WaitAsync(async () => (await node.GroupAsync("a"))?.GetProperty("leader").GetString() is not null, "group a to form");

        await cluster[1].AppendToAsync("a", "first");
        Assert.Equal(["first"], await EntriesAsync(cluster[2], "a"));
        Assert.Equal(["one"], await Journal.ReadAllAsync(cluster[2]));
    }

    [Fact]
    public async Task Nodes_whose_groups_differ_form_nothing_and_say_why()
    {
        await using ClusterProcesses cluster = ClusterProcesses.Create(3, output);
        Three(cluster[2]);
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();

        foreach (NodeProcess node in cluster.Nodes)
            await node.WaitUntilNotReadyBecauseAsync("was given other Raft:Groups");
    }

    [Fact]
    public async Task The_first_group_of_a_cluster_cannot_change()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        await cluster[0].AppendAsync("one");
        Assert.Equal(0, await cluster[0].StopAsync());
        cluster[0].Settings["Raft__Groups__0__Id"] = "other";
        cluster[0].Start();

        await cluster[0].WaitUntilNotReadyBecauseAsync("The first group of a cluster cannot change");
    }

    [Fact]
    public async Task Three_hundred_groups_start_within_ten_seconds_and_their_leaders_are_spread()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node => Many(node, 300));
        foreach (NodeProcess node in cluster.Nodes)
            await node.KillAsync();
        var watch = Stopwatch.StartNew();
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        await cluster.WaitUntilReadyAsync();
        output.WriteLine($"300 groups on 3 nodes are ready {watch.Elapsed.TotalSeconds:0.0} s after their start.");

        int[] leads = [];
        await Wait.UntilAsync(
            async () =>
            {
                leads = await Task.WhenAll(cluster.Nodes.Select(LeadsAsync));
                return leads.Sum() == 300 && leads.Max() <= 110;
            },
            "nobody to lead more than 110 of 300 groups",
            () => $"They lead {string.Join(", ", leads)}.{Environment.NewLine}{cluster.Tail()}");
    }

    internal static void Three(NodeProcess node)
    {
        for (int n = 0; n < Names.Length; n++)
            node.Settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Groups__{n}__Id")] = Names[n];
    }

    private static void Many(NodeProcess node, int count)
    {
        for (int n = 0; n < count; n++)
            node.Settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Groups__{n}__Id")] = string.Create(CultureInfo.InvariantCulture, $"g{n}");
    }

    private static async Task<int> LeadsAsync(NodeProcess node) =>
        (await node.GetJsonAsync("/v1/status")).GetProperty("groups").EnumerateArray().Count(group => group.GetProperty("role").GetString() == "leader");

    private static async Task<string[]> EntriesAsync(NodeProcess node, string group) =>
        [.. (await node.GetJsonAsync($"/v1/groups/{group}/entries")).GetProperty("entries").EnumerateArray().Select(Journal.TextOf)];
}

internal static class GroupClient
{
    public static async Task AppendToAsync(this NodeProcess node, string group, string body)
    {
        using HttpResponseMessage answer = await node.PostAsync($"/v1/groups/{group}/entries", body);
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, answer);
    }
}

using System.Globalization;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class JoinTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_new_node_is_taken_into_every_group_and_votes()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, GroupsTests.Three);
        await cluster[0].AppendAsync("one");
        await cluster[0].AppendToAsync("b", "two");
        await using NodeProcess fourth = NewNode(cluster, "n4", "wal");
        GroupsTests.Three(fourth);
        fourth.Start();

        await fourth.WaitUntilReadyAsync();
        await fourth.WaitUntilVotersAreAsync("n1", "n2", "n3", "n4");
        foreach (string group in new[] { "default", "a", "b" })
            await fourth.WaitAsync(async () => (await fourth.GroupAsync(group))?.GetProperty("leader").GetString() is not null, $"group {group} to have a leader");

        Assert.Equal(["one"], await Journal.ReadAllAsync(fourth));
        await fourth.AppendToAsync("b", "three");
    }

    [Fact]
    public async Task A_node_that_was_not_told_to_join_waits_and_says_what_to_do()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        await using NodeProcess stranger = NewNode(cluster, "n9", "stranger");
        stranger.Settings.Remove("Raft__Join__0");
        stranger.Settings["Raft__Members__0__Id"] = cluster[0].Id;
        stranger.Settings["Raft__Members__0__PeerUrl"] = cluster[0].PeerUrl;
        stranger.Settings["Raft__Members__1__Id"] = "n9";
        stranger.Settings["Raft__Members__1__PeerUrl"] = stranger.PeerUrl;
        stranger.Start();

        await stranger.WaitUntilNotReadyBecauseAsync("Set Raft:Join to have it ask");
    }

    [Theory]
    [InlineData("n1")]
    [InlineData("n2")]      // the one whose id is taken decides itself
    public async Task A_second_node_with_the_same_id_is_kept_out_while_the_first_lives(string leader)
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        await cluster[0].LeadAsync("default", leader);
        await using NodeProcess twin = NewNode(cluster, "n2", "twin");
        twin.Start();

        await twin.WaitUntilNotReadyBecauseAsync("The node id 'n2' is in use");
        await cluster[1].AppendAsync("one");
        await cluster.WaitUntilEqualAsync();
    }

    private static NodeProcess NewNode(ClusterProcesses cluster, string id, string directory)
    {
        int[] ports = Ports.Take(2);
        var node = new NodeProcess(id, Path.Combine(cluster.Directory, directory), ports[0], ports[1]);
        node.Settings["Raft__ClusterId"] = "test";
        node.Settings["Raft__Bootstrap"] = "false";
        for (int n = 0; n < cluster.Nodes.Count; n++)
            node.Settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Join__{n}")] = cluster[n].PeerUrl;
        return node;
    }
}

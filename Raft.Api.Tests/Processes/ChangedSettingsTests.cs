using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>What an operator changes between two starts does not change what is stored.</summary>
[Collection(ProcessCollection.Name)]
public sealed class ChangedSettingsTests(ITestOutputHelper output)
{
    /// <summary>Fault 31, fault 37: the groups are spread over other shards and find all of it; a list of members that differs from the log
    /// does not count, and is warned of.</summary>
    [Fact]
    public async Task Other_shards_change_nothing_and_a_list_of_members_that_differs_loses_to_the_log()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            ClusterProcesses.Patient(node);
            node.Settings["Raft__Shards"] = "1";
        });
        for (int n = 0; n < 20; n++)
            await cluster[n % 3].AppendAsync($"entry {n}");
        IReadOnlyList<NodeStatus> before = await cluster.WaitUntilEqualAsync();
        long indexBefore = await cluster[0].AppendAsync("the last");

        foreach (NodeProcess node in cluster.Nodes)
            await node.StopAsync();
        foreach (NodeProcess node in cluster.Nodes)
            node.Settings["Raft__Shards"] = "4";
        cluster[0].Settings["Raft__Members__2__PeerUrl"] = "http://127.0.0.1:1";
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        await cluster.WaitUntilReadyAsync();

        await cluster[0].WaitForOutputAsync("differs from the configuration in the log");
        Assert.DoesNotContain("differs from the configuration", cluster[1].Output, StringComparison.Ordinal);
        Assert.Equal(indexBefore + 1, await cluster[0].AppendAsync("after"));
        IReadOnlyList<NodeStatus> after = await cluster.WaitUntilEqualAsync();
        Assert.True(after[0].Term >= before[0].Term);
        Assert.True(after[0].AppliedIndex > before[0].AppliedIndex);
    }
}

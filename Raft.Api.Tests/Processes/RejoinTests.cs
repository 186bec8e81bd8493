using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>A node that comes back without what it promised, or with an older or damaged directory, is replaced without hand work. Faults 16, 17, 23, 38.</summary>
[Collection(ProcessCollection.Name)]
public sealed class RejoinTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_wiped_node_is_replaced_without_hand_work_while_writes_go_on(bool leader)
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        NodeProcess wiped = leader ? await cluster.LeaderAsync() : await cluster.FollowerAsync();
        string former = await wiped.StorageIdAsync();
        await using var writers = new Writers(cluster, 2, "kept", except: wiped);
        await writers.MoreAsync(100);

        await wiped.KillAsync();
        Directory.Delete(wiped.DataDirectory, recursive: true);
        wiped.Start();
        await wiped.WaitUntilReadyAsync();
        await wiped.WaitUntilVotersAreAsync("n1", "n2", "n3");

        await writers.MoreAsync(100);
        await writers.StopAsync();
        string present = await wiped.StorageIdAsync();
        Assert.NotEqual(former, present);
        Assert.Equal(present, (await cluster.Nodes.First(node => node != wiped).MemberViewsAsync()).Single(member => member.Node == wiped.Id).StorageId);
        await cluster.WaitUntilEqualAsync();
        List<string> journal = await Journal.ReadAllAsync(wiped);
        Assert.All(writers.Acknowledged, written => Assert.Equal(written.Key, journal[(int)written.Value - 1]));
    }

    [Fact]
    public async Task The_replaced_node_counts_again()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await cluster[0].AppendAsync("one");
        await cluster[2].KillAsync();
        Directory.Delete(cluster[2].DataDirectory, recursive: true);
        cluster[2].Start();
        await cluster[0].WaitAsync(async () => (await cluster[0].MemberViewsAsync()).Any(member => member.Kind == "joining"), "n3 to join");
        await cluster[0].WaitUntilVotersAreAsync("n1", "n2", "n3");
        await cluster[2].WaitUntilReadyAsync();

        await cluster[1].KillAsync();

        await cluster[2].WaitUntilReadyAsync();
        await cluster[2].AppendAsync("two");
        Assert.Equal(["one", "two"], await Journal.ReadAllAsync(cluster[0]));
    }

    [Fact]
    public async Task A_damaged_node_moves_its_directory_aside_only_when_the_cluster_takes_it_in_and_is_replaced()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        for (int n = 0; n < 50; n++)
            await cluster[0].AppendAsync($"entry {n}");
        await cluster.WaitUntilEqualAsync();
        foreach (NodeProcess node in cluster.Nodes)
            Assert.Equal(0, await node.StopAsync());
        File.Delete(Directory.GetFiles(cluster[2].DataDirectory, "wal-1", SearchOption.AllDirectories)[0]);

        cluster[2].Start();
        await cluster[2].WaitUntilNotReadyBecauseAsync("asks to be taken in on a new directory");
        Assert.Empty(Directory.GetDirectories(cluster[2].DataDirectory, "damaged-*"));

        cluster[0].Start();
        cluster[1].Start();
        await cluster[2].WaitUntilReadyAsync();
        await cluster[2].WaitUntilVotersAreAsync("n1", "n2", "n3");
        Assert.Single(Directory.GetDirectories(cluster[2].DataDirectory, "damaged-*"));
        Assert.True(File.Exists(Path.Combine(cluster[2].DataDirectory, "former")));
        Assert.Equal(50, (await Journal.ReadAllAsync(cluster[2])).Count);
    }

    [Fact]
    public async Task With_Rejoin_off_a_wiped_node_stays_out_and_says_so()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node => node.Settings["Raft__Rejoin"] = "off");
        await cluster[0].AppendAsync("one");
        await cluster[2].KillAsync();
        Directory.Delete(cluster[2].DataDirectory, recursive: true);
        cluster[2].Start();

        await cluster[2].WaitUntilNotReadyBecauseAsync("Raft:Rejoin is off");
    }

    [Fact]
    public async Task An_old_copy_that_was_put_back_is_not_believed_and_the_node_is_replaced()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        string copy = await StopWithAnOldCopyAsync(cluster);

        cluster[2].Start();

        await AssertReplacedAsync(cluster, copy);
    }

    /// <summary>Nobody who knew better could be asked when it started: it hears so while it takes part.</summary>
    [Fact]
    public async Task An_old_copy_that_nobody_could_refuse_at_its_start_is_replaced_as_soon_as_somebody_can()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        string copy = await StopWithAnOldCopyAsync(cluster);

        cluster[0].Send(Signal.Stop);
        cluster[1].Send(Signal.Stop);
        cluster[2].Start();
        await cluster[2].WaitAsync(
            async () => (await cluster[2].GetJsonAsync("/v1/status")).GetProperty("phase").GetString() == "running", "to take part on the old copy");
        cluster[0].Send(Signal.Continue);
        cluster[1].Send(Signal.Continue);

        await AssertReplacedAsync(cluster, copy);
    }

    /// <summary>The last node stands still, and its next start is on a copy of its directory that lacks an entry.</summary>
    private static async Task<string> StopWithAnOldCopyAsync(ClusterProcesses cluster)
    {
        await cluster[0].AppendAsync("one");
        await cluster[2].StopAsync();
        string copy = Path.Combine(cluster.Directory, "copy");
        Faults.DataDirectoryTests.Copy(cluster[2].DataDirectory, copy);
        await cluster[2].StartAndWaitUntilReadyAsync();
        await cluster[0].AppendAsync("two");
        await cluster.WaitUntilEqualAsync();
        await cluster[2].StopAsync();
        cluster[2].Settings["Raft__DataDirectory"] = copy;
        cluster[2].DataDirectory = copy;
        return copy;
    }

    private static async Task AssertReplacedAsync(ClusterProcesses cluster, string copy)
    {
        await cluster[2].WaitForOutputAsync("is not the newest of this node");
        await cluster[2].WaitUntilReadyAsync();
        await cluster[2].WaitUntilVotersAreAsync("n1", "n2", "n3");
        Assert.Single(Directory.GetDirectories(copy, "damaged-*"));
        Assert.Equal(["one", "two"], await Journal.ReadAllAsync(cluster[2]));
    }
}

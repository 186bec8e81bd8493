using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Faults;

[Collection(ProcessCollection.Name)]
public sealed class DataDirectoryTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_directory_in_use_by_another_process_is_refused_and_stays_whole()
    {
        await using ClusterProcesses first = await ClusterProcesses.StartAsync(1, output);
        await using ClusterProcesses second = ClusterProcesses.Create(1, output);
        await first[0].AppendAsync("before");
        second[0].Settings["Raft__DataDirectory"] = first[0].DataDirectory;
        second[0].Start();
        Assert.NotEqual(0, await second[0].ExitAsync());
        Assert.Contains(first[0].DataDirectory, second[0].Output, StringComparison.Ordinal);
        Assert.Contains("in use", second[0].Output, StringComparison.OrdinalIgnoreCase);

        await first[0].AppendAsync("after");
        await first[0].KillAsync();
        await first[0].StartAndWaitUntilReadyAsync();
        Assert.Equal(["before", "after"], await Journal.ReadAllAsync(first[0]));
    }

    [Fact]
    public async Task The_directory_of_another_node_is_refused()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        await cluster[0].AppendAsync("x");
        await cluster[2].StopAsync();
        await cluster[1].StopAsync();
        cluster[2].Settings["Raft__DataDirectory"] = cluster[1].DataDirectory;
        cluster[2].Start();
        await AssertRefusedAsync(cluster[2], "n2");
    }

    [Fact]
    public async Task The_directory_of_another_cluster_is_kept_out_by_the_peers_and_both_clusters_stay_whole()
    {
        await using ClusterProcesses one = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        await using ClusterProcesses other = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        await one[0].AppendAsync("one");
        await other[0].AppendAsync("other");
        await other.WaitUntilEqualAsync();
        foreach (NodeProcess node in other.Nodes)
            await node.StopAsync();

        await one[2].StopAsync();
        one[2].Settings["Raft__DataDirectory"] = other[2].DataDirectory;
        one[2].Start();
        await WaitUntilRefusedAsync(one, by: one[0], "cluster", "n3 is in cluster");

        await one[0].AppendAsync("two");
        Assert.Equal(["one", "two"], await Journal.ReadAllAsync(one[0]));
        Assert.Equal(["one", "two"], await Journal.ReadAllAsync(one[1]));

        await one[2].KillAsync();
        one[2].Settings["Raft__DataDirectory"] = one[2].DataDirectory; // its own again
        await one[2].StartAndWaitUntilReadyAsync();
        await one.WaitUntilEqualAsync();
        foreach (NodeProcess node in other.Nodes)
            node.Start();
        await other.WaitUntilReadyAsync();
        Assert.Equal(["other"], await Journal.ReadAllAsync(other[2]));
    }

    [Fact]
    public async Task A_directory_of_a_cluster_of_another_name_puts_the_node_into_quarantine()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output);
        NodeProcess node = cluster[0];
        await node.AppendAsync("kept");
        Assert.Equal(0, await node.StopAsync());
        node.Settings["Raft__ClusterId"] = "other";
        node.Start();
        await node.WaitUntilNotReadyBecauseAsync("ClusterId");
        Assert.Contains(node.DataDirectory, await (await node.GetAsync("/readyz?verbose")).TextAsync(), StringComparison.Ordinal);
        Assert.Equal(0, await node.StopAsync());

        node.Settings["Raft__ClusterId"] = "test";
        await node.StartAndWaitUntilReadyAsync();
        Assert.Equal(["kept"], await Journal.ReadAllAsync(node));
    }

    [Fact]
    public async Task A_directory_that_cannot_be_made_ends_the_start_with_its_name()
    {
        using var directory = new TempDirectory();
        await File.WriteAllTextAsync(directory["file"], "not a directory");
        await using ClusterProcesses cluster = ClusterProcesses.Create(1, output, node => node.Settings["Raft__DataDirectory"] = Path.Combine(directory["file"], "data"));
        cluster[0].Start();
        await AssertRefusedAsync(cluster[0], Path.Combine(directory["file"], "data"));
    }

    [Fact]
    public async Task A_twin_with_a_copied_directory_is_kept_out()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        await cluster[0].AppendAsync("one");
        await cluster[2].StopAsync();
        string copy = Path.Combine(cluster.Directory, "copy");
        Copy(cluster[2].DataDirectory, copy);
        await cluster[2].StartAndWaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();

        await using NodeProcess twin = Twin(cluster[2], copy);
        twin.Start();
        await WaitUntilRefusedAsync(cluster, by: cluster[0], "twin", "one directory is a copy");
        await twin.WaitForOutputAsync("one directory is a copy");
        await twin.WaitUntilNotReadyBecauseAsync("The node id 'n3' is in use");
        await cluster[1].AppendAsync("two");
        await cluster[2].WaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
    }

    [Fact]
    public async Task An_old_copy_that_was_put_back_is_kept_out()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        await cluster[0].AppendAsync("one");
        await cluster[2].StopAsync();
        string copy = Path.Combine(cluster.Directory, "copy");
        Copy(cluster[2].DataDirectory, copy);
        for (int n = 0; n < 2; n++)
        {
            await cluster[2].StartAndWaitUntilReadyAsync();
            await cluster[0].AppendAsync($"more {n}");
            await cluster.WaitUntilEqualAsync();
            await cluster[2].StopAsync();
        }

        // Patient nodes replace it only after twenty seconds of silence.
        cluster[2].Settings["Raft__DataDirectory"] = copy;
        cluster[2].Start();
        await WaitUntilRefusedAsync(cluster, by: cluster[0], "start", "old copy of its disk");
        await cluster[2].WaitUntilNotReadyBecauseAsync("is not the newest of this node");
        await cluster[0].AppendAsync("after");
    }

    /// <summary>Waits until a member says in its log, and in its metrics, that a peer is kept out, and why.</summary>
    private static Task WaitUntilRefusedAsync(ClusterProcesses cluster, NodeProcess by, string reason, string text) => Wait.UntilAsync(
        async () => by.Output.Split('\n').Any(line => line.Contains(text, StringComparison.Ordinal)
                && (line.Contains("is refused", StringComparison.Ordinal) || line.Contains("does not take part", StringComparison.Ordinal)))
            && (await (await by.GetAsync("/metrics")).TextAsync()).Split('\n').Any(line =>
                line.StartsWith("raft_peer_refused", StringComparison.Ordinal) && line.Contains(reason, StringComparison.OrdinalIgnoreCase)),
        $"{by.Id} to keep a peer out: '{text}'",
        cluster.Tail);

    private static async Task AssertRefusedAsync(NodeProcess node, string text)
    {
        Assert.NotEqual(0, await node.ExitAsync());
        Assert.Contains(text, node.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", node.Output, StringComparison.Ordinal);
    }

    private static NodeProcess Twin(NodeProcess of, string directory)
    {
        int[] ports = Ports.Take(2);
        var twin = new NodeProcess(of.Id, directory, ports[0], ports[1]);
        foreach ((string key, string? value) in of.Settings.Where(setting => setting.Key.StartsWith("Raft__", StringComparison.Ordinal)))
            twin.Settings[key] = value;
        twin.Settings["Raft__DataDirectory"] = directory;
        return twin;
    }

    internal static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string directory in Directory.GetDirectories(from, "*", SearchOption.AllDirectories))
            Directory.CreateDirectory(Path.Combine(to, Path.GetRelativePath(from, directory)));
        foreach (string file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
            File.Copy(file, Path.Combine(to, Path.GetRelativePath(from, file)));
    }
}

using System.Text.RegularExpressions;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>The README's first commands.</summary>
[Collection(ProcessCollection.Name)]
public sealed partial class StartTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_single_node_prints_where_it_listens_where_its_data_is_and_three_curl_lines()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, FormationTests.Alone);
        NodeProcess node = cluster[0];
        await node.WaitForOutputAsync("curl");
        await Wait.UntilAsync(() => node.Output.Split('\n').Count(line => line.Contains("curl ", StringComparison.Ordinal)) >= 3, "three curl lines", () => node.Tail());
        Assert.Contains(node.ApiUrl, node.Output, StringComparison.Ordinal);
        Assert.Contains(node.DataDirectory, node.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_healthy_idle_cluster_is_silent()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        await cluster[0].AppendAsync("one");
        await cluster.WaitUntilEqualAsync();
        string[] before = [.. cluster.Nodes.Select(node => node.Output)];
        for (int n = 0; n < 100; n++)
            await cluster[n % 3].StatusAsync();
        Assert.Equal(before, cluster.Nodes.Select(node => node.Output));
    }

    [Fact]
    public async Task The_development_cluster_is_three_processes_that_end_together()
    {
        using var directory = new TempDirectory();
        int port = Ports.TakeRow(6); // each node takes two, from the configured one on
        await using var node = new NodeProcess("n1", directory.Path, port, port + 1);
        node.Settings.Remove("Raft__NodeId");
        node.Settings.Remove("Kestrel__Endpoints__Peer__Url");
        node.Arguments.AddRange(["--dev-cluster", "3"]);
        node.Start();
        string[] urls = [];
        await node.WaitAsync(
            () =>
            {
                urls = [.. Urls().Matches(node.Output).Select(match => match.Value).Distinct(StringComparer.Ordinal)];
                return Task.FromResult(urls.Length >= 3);
            },
            "three addresses");

        using var http = new HttpClient();
        var ready = new HashSet<string>();
        await node.WaitAsync(
            async () =>
            {
                foreach (string url in urls)
                {
                    try
                    {
                        if ((await http.GetAsync(url + "/readyz")).IsSuccessStatusCode)
                            ready.Add(url);
                    }
                    catch (HttpRequestException)
                    {
                        // A peer address, or a node that is not there yet.
                    }
                }

                return ready.Count >= 3;
            },
            "three ready nodes");

        node.Send(Signal.Interrupt);
        Assert.Equal(0, await node.ExitAsync());
        foreach (string url in ready)
            await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(url + "/livez"));
        output.WriteLine(node.Tail());
    }

    [GeneratedRegex(@"http://(127\.0\.0\.1|localhost):\d+")]
    private static partial Regex Urls();
}

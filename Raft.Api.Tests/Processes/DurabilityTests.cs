using System.Diagnostics;
using System.Globalization;
using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>Durability as the kernel sees it: which system calls a node makes before it acknowledges.</summary>
[Collection(ProcessCollection.Name)]
public sealed class DurabilityTests(ITestOutputHelper output)
{
    [SkippableFact]
    public async Task Every_acknowledged_write_is_preceded_by_a_completed_fdatasync_on_a_majority()
    {
        await Strace.RequireAsync();
        using var logs = new TempDirectory();
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            ClusterProcesses.Patient(node);
            Strace.Wrap(node, logs[node.Id], "-s", "8192", "-e", "trace=pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync");
        });

        var writes = new List<(string Token, double Sent, double Acknowledged)>();
        for (int n = 0; n < 60; n++)
        {
            NodeProcess node = cluster[n % 3];
            string token = string.Create(CultureInfo.InvariantCulture, $"proof-{n:d4}-of-durability");
            double sent = Now();
            await node.AppendAsync(token);
            writes.Add((token, sent, Now()));
        }

        foreach (NodeProcess node in cluster.Nodes)
            await node.KillAsync();

        List<SystemCall>[] calls = [.. cluster.Nodes.Select(node => StraceLog.Read(logs[node.Id]))];
        foreach ((string token, double sent, double acknowledged) in writes)
        {
            int durable = calls.Count(node => IsDurable(node, token, sent, acknowledged));
            Assert.True(durable >= 2, $"{token} was acknowledged when only {durable} of 3 nodes had written and synced it.");
        }
    }

    [SkippableTheory]
    [InlineData("fdatasync")]
    [InlineData("pwrite64")]
    public async Task A_node_whose_disk_fails_does_not_acknowledge_says_what_failed_and_exits_non_zero(string call)
    {
        await Strace.RequireAsync();
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node => node.Settings["Raft__Bootstrap"] = "true");
        NodeProcess node = cluster[0];
        await node.AppendAsync("before");

        using (await InjectAsync(node, call))
        {
            await AssertNotAcknowledgedAsync(node, "doomed");
            Assert.NotEqual(0, await node.ExitAsync());
        }

        Assert.Contains(call == "fdatasync" ? "sync" : "writ", node.Output, StringComparison.OrdinalIgnoreCase);
        Assert.True(node.Output.Contains("errno 5", StringComparison.OrdinalIgnoreCase) || node.Output.Contains("EIO", StringComparison.Ordinal)
            || node.Output.Contains("Input/output error", StringComparison.OrdinalIgnoreCase), node.Tail());
        Assert.Contains(node.DataDirectory, node.Output, StringComparison.Ordinal);

        await node.StartAndWaitUntilReadyAsync();
        Assert.Equal("before", (await Journal.ReadAllAsync(node))[0]);
    }

    [SkippableFact]
    public async Task When_the_leaders_disk_fails_the_others_go_on_and_nothing_acknowledged_is_lost()
    {
        await Strace.RequireAsync();
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        NodeProcess leader = await cluster.LeaderAsync();
        await using var writers = new Writers(cluster, count: 6, prefix: "load");
        await writers.MoreAsync(100);
        using (await InjectAsync(leader, "fdatasync"))
            Assert.NotEqual(0, await leader.ExitAsync());

        await writers.MoreAsync(100);
        await leader.StartAndWaitUntilReadyAsync();
        await writers.StopAsync();
        await cluster.WaitUntilEqualAsync();
        foreach (NodeProcess node in cluster.Nodes)
        {
            List<string> journal = await Journal.ReadAllAsync(node);
            foreach ((string body, long index) in writers.Acknowledged)
                Assert.Equal(body, journal[(int)index - 1]);
            Assert.Equal(journal.Count, journal.Distinct(StringComparer.Ordinal).Count());
        }
    }

    /// <summary>The bytes went to a file after the request was sent, and that file was synced before it was answered.</summary>
    private static bool IsDurable(List<SystemCall> calls, string token, double sent, double acknowledged) =>
        calls.Any(write => write.Name.Contains("write", StringComparison.Ordinal) && write.Begin >= sent
            && write.Arguments.Contains(token, StringComparison.Ordinal)
            && calls.Any(sync => sync.Name is "fdatasync" or "fsync" && sync.Descriptor == write.Descriptor && sync.Result.StartsWith('0')
                && sync.Begin >= write.Begin && sync.End <= acknowledged));

    private static double Now() => (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds;

    /// <summary>From now on every such call of the running node fails with EIO.</summary>
    private static async Task<Process> InjectAsync(NodeProcess node, string call)
    {
        Process strace = Process.Start(new ProcessStartInfo("strace",
        [
            "-f", "-o", "/dev/null", "-e", $"trace={call}", "-e", $"inject={call}:error=EIO",
            "-p", node.ProcessId.ToString(CultureInfo.InvariantCulture),
        ])
        {
            RedirectStandardError = true,
        })!;
        string? line = await strace.StandardError.ReadLineAsync();
        Assert.Contains("attached", line, StringComparison.Ordinal);
        _ = strace.StandardError.ReadToEndAsync();
        return strace;
    }

    private static async Task AssertNotAcknowledgedAsync(NodeProcess node, string body)
    {
        try
        {
            using HttpResponseMessage answer = await node.PostAsync("/v1/entries", body);
            Assert.True(answer.StatusCode >= HttpStatusCode.InternalServerError, $"Answered {(int)answer.StatusCode} although the disk had failed.");
        }
        catch (HttpRequestException)
        {
            // The process has ended: no answer is no acknowledgement.
        }
    }
}

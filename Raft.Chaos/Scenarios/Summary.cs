using System.Globalization;
using Raft.Chaos.Clients;
using Raft.Chaos.Cluster;
using Raft.Chaos.Watch;

namespace Raft.Chaos.Scenarios;

/// <summary>The end of a run in a few lines, made to be copied into docs/testing.md.</summary>
internal static class Summary
{
    public static void Write(
        ChaosCluster cluster, Scenario scenario, Arguments arguments, FaultRunner faults, Recorder recorder, StatusWatch status, string leaks, TimeSpan duration)
    {
        RunLog log = cluster.Log;
        List<string> lines =
        [
            string.Create(CultureInfo.InvariantCulture, $"## {scenario.Name}: {(log.Findings.Count == 0 ? "PASSED" : "FAILED")}"),
            string.Create(CultureInfo.InvariantCulture, $"{scenario.Summary}; {scenario.Cluster.Nodes} nodes, {scenario.Cluster.FileSystem.ToString().ToLowerInvariant()}, seed {arguments.Seed}, {duration:hh\\:mm\\:ss}"),
            string.Create(CultureInfo.InvariantCulture, $"faults: {faults.Count} ({string.Join(", ", faults.Counts.Select(one => $"{one.Key} {one.Value}"))}); nodes that ended themselves because of one: {cluster.Nodes.Sum(node => node.Ends)}"),
            string.Create(
                CultureInfo.InvariantCulture,
                $"writes: {recorder.Acknowledged} acknowledged, {recorder.Refused} refused by their condition, {recorder.Unknown} unknown, {recorder.NotHappened} not submitted; linearizable reads served: {recorder.Reads}; longest gap between acknowledged writes {recorder.LongestGap().TotalSeconds:f1} s"),
            $"refusals and broken connections: {string.Join(", ", recorder.Refusals.Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Key} {one.Value}")))}",
            string.Create(CultureInfo.InvariantCulture, $"leaders seen: {status.LeadersSeen}, highest term {status.HighestTerm}; lines of level Error in the nodes' logs: {cluster.Nodes.Sum(node => node.Errors)}"),
            $"memory, handles, threads: {leaks}",
            log.Findings.Count == 0
                ? "verdict: all nodes equal, every acknowledged write there once, history linearizable, no end but those meant"
                : $"verdict: {log.Findings.Count} findings",
            .. log.Findings,
        ];
        log.Write("the summary" + Environment.NewLine + Environment.NewLine + string.Join(Environment.NewLine, lines) + Environment.NewLine);
    }
}

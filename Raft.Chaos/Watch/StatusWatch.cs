using System.Globalization;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Watch;

/// <summary>Asks every node twice a second what it is, and tells what must never be seen: a term that goes back, two leaders of
/// one term, another disk than before, a state that differs, a process that is gone.</summary>
internal sealed class StatusWatch(ChaosCluster cluster)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);
    private readonly Dictionary<ChaosNode, long> _terms = [];
    private readonly Dictionary<ChaosNode, string> _disks = [];
    private readonly Dictionary<long, string> _leaders = [];
    private readonly HashSet<string> _alarms = new(StringComparer.Ordinal);

    /// <summary>How many terms had a leader that was seen.</summary>
    public int LeadersSeen => _leaders.Count;

    public long HighestTerm => _terms.Count == 0 ? 0 : _terms.Values.Max();

    public async Task RunAsync(CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            foreach (ChaosNode node in cluster.Nodes)
                await node.CheckThatItLivesAsync();
            (ChaosNode Node, NodeStatus? Status)[] seen = await Task.WhenAll(cluster.Nodes.Select(async node => (node, await ChaosCluster.StatusOrNullAsync(node))));
            foreach ((ChaosNode node, NodeStatus? status) in seen)
            {
                if (status is not null)
                    Check(node, status);
            }

            await Task.Delay(Pause, end).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private void Check(ChaosNode node, NodeStatus status)
    {
        JsonElement all = JsonElement.Parse(status.Text);
        string disk = all.GetProperty("storageId").GetString() ?? "";
        if (disk.Length > 0 && _disks.TryGetValue(node, out string? before) && before != disk)
        {
            if (!node.HasNewDisk)
                cluster.Log.Found($"{node.Id} came back on another disk, {disk} after {before}, though nobody took its disk away: it had lost what it promised");
            _terms.Remove(node);
        }

        if (disk.Length > 0)
            _disks[node] = disk;
        if (status.Term < _terms.GetValueOrDefault(node))
            cluster.Log.Found(string.Create(CultureInfo.InvariantCulture, $"the term of {node.Id} went back from {_terms[node]} to {status.Term}"));
        _terms[node] = status.Term;
        if (status.IsLeader && !_leaders.TryAdd(status.Term, node.Id) && _leaders[status.Term] != node.Id)
            cluster.Log.Found(string.Create(CultureInfo.InvariantCulture, $"term {status.Term} has two leaders, {_leaders[status.Term]} and {node.Id}"));
        if (all.GetProperty("groups")[0].TryGetProperty("alarm", out JsonElement alarm) && alarm.ValueKind == JsonValueKind.String && _alarms.Add(node.Id + alarm))
            cluster.Log.Found($"{node.Id} has an alarm: {alarm}");
    }
}

using System.Globalization;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Raft.Chaos.Clients;
using Raft.Chaos.Cluster;
using Raft.Chaos.Faults;
using Raft.Simulator.Histories;

namespace Raft.Chaos.Scenarios;

/// <summary>What must hold when all faults have ended and the clients have stopped.</summary>
internal sealed class EndCheck(ChaosCluster cluster, Load load)
{
    private const int PageEntries = 1000;

    public async Task RunAsync(string historyFile)
    {
        bool isWell = await ChaosCluster.AreReadyAsync(cluster.Nodes, ChaosCluster.Patience);
        if (!isWell)
            cluster.Log.Found("not all nodes are ready after the end of all faults");
        isWell = isWell && await IsReachedAsync("all nodes to vote", () => Operator.DoAllVoteAsync(cluster));
        if (isWell && !await load.MoreAsync(20, ChaosCluster.Patience))
            cluster.Log.Found("20 writes were not acknowledged after the end of all faults");
        await load.StopAsync();
        if (isWell && await IsReachedAsync("equal applied indexes and state hashes", AreEqualAsync))
        {
            await CheckJournalsAsync();
            await load.ReadAllAsync();
        }

        await using (StreamWriter file = File.CreateText(historyFile))
            HistoryFile.Save(load.Recorder.History, file);
        if (LinearizabilityChecker.Check(load.Recorder.History) is { } why)
            cluster.Log.Found($"the history is not linearizable: {why}");
    }

    /// <summary>Of the state, as the last snapshot has it.</summary>
    public async Task<long> StateBytesAsync()
    {
        ChaosNode node = cluster.Survivor ?? cluster.Nodes[0];
        await Operator.AskAsync(node, "POST", "/v1/snapshots?timeoutMs=5000");
        JsonElement snapshots = (await node.Process.GetJsonAsync("/v1/snapshots")).GetProperty("snapshots");
        return snapshots.EnumerateArray().Select(one => one.GetProperty("sizeBytes").GetInt64()).FirstOrDefault();
    }

    private async Task<bool> IsReachedAsync(string what, Func<Task<bool>> condition)
    {
        try
        {
            await Wait.UntilAsync(condition, what, bound: ChaosCluster.Patience);
            return true;
        }
        catch (TimeoutException error)
        {
            cluster.Log.Found(error.Message.Trim());
            return false;
        }
    }

    private async Task<bool> AreEqualAsync()
    {
        NodeStatus?[] all = await Task.WhenAll(cluster.Nodes.Select(ChaosCluster.StatusOrNullAsync));
        return all.All(one => one is not null && one.AppliedIndex == all[0]?.AppliedIndex && one.CommitIndex == one.AppliedIndex
            && one.StateHash is not null && one.StateHash == all[0]?.StateHash);
    }

    /// <summary>Every acknowledged entry once, where its answer said, nothing twice, and the same on all nodes.</summary>
    private async Task CheckJournalsAsync()
    {
        List<string>? first = null;
        foreach (ChaosNode node in cluster.Nodes)
        {
            List<string> journal = await JournalOfAsync(node);
            if (first is null)
            {
                foreach ((string value, long index) in load.Recorder.Appended)
                {
                    if (index > journal.Count || journal[(int)index - 1] != value)
                        cluster.Log.Found(string.Create(CultureInfo.InvariantCulture, $"{value} was acknowledged as entry {index}, and is not there: {(index > journal.Count ? "the journal is shorter" : journal[(int)index - 1])}"));
                }

                foreach (IGrouping<string, string> twice in journal.GroupBy(value => value, StringComparer.Ordinal).Where(group => group.Count() > 1))
                    cluster.Log.Found(string.Create(CultureInfo.InvariantCulture, $"{twice.Key} is in the journal {twice.Count()} times"));
                first = journal;
            }
            else if (!journal.SequenceEqual(first, StringComparer.Ordinal))
            {
                cluster.Log.Found($"the journal of {node.Id} is not that of {cluster.Nodes[0].Id}");
            }
        }
    }

    private static async Task<List<string>> JournalOfAsync(ChaosNode node)
    {
        List<string> lines = [];
        while (true)
        {
            JsonElement page = await node.Process.GetJsonAsync(string.Create(CultureInfo.InvariantCulture, $"/v1/entries?from={lines.Count + 1}&limit={PageEntries}"));
            int before = lines.Count;
            lines.AddRange(page.GetProperty("entries").EnumerateArray().Select(entry => entry.GetProperty("text").GetString()!));
            if (lines.Count >= page.GetProperty("lastIndex").GetInt64())
                return lines;
            if (lines.Count == before)
                throw new InvalidOperationException($"{node.Id} gave an empty page before the end of its journal.");
        }
    }
}

using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A member is removed, its disk emptied, and the same node taken in again as a new member.</summary>
internal sealed class Replace(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static readonly FaultKind Kind = new("replacement of a member", FaultScope.Operation, 5, (cluster, draw) => new Replace(cluster, draw));

    protected override string Text => "removal, empty disk and return of";

    protected override Task<bool> CanBeginAsync() => Operator.DoAllVoteAsync(Cluster);

    protected override Task BeginAsync(ChaosNode node)
    {
        node.HasNewDisk = true;
        return UntilAsync(node, "none", other => Operator.AskAsync(other, "DELETE", $"/v1/members/{node.Id}?timeoutMs=2000"));
    }

    protected override async Task EndAsync(ChaosNode node)
    {
        await node.KillAsync("it is replaced");
        if (Directory.Exists(node.Disk.Data))
            Directory.Delete(node.Disk.Data, recursive: true);
        foreach (string key in node.Process.Settings.Keys.Where(key => key.StartsWith("Raft__Members__", StringComparison.Ordinal) || key.StartsWith("Raft__Join__", StringComparison.Ordinal)).ToArray())
            node.Process.Settings.Remove(key);
        foreach ((int n, ChaosNode other) in Cluster.Nodes.Where(other => other != node).Index())
            node.Process.Settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Join__{n}")] = other.Process.PeerUrl;
        node.Start();
        string addresses = $$"""{"id":"{{node.Id}}","peerUrl":"{{node.Process.PeerUrl}}","apiUrl":"{{node.Process.ApiUrl}}"}""";
        await UntilAsync(node, "voter", other => Operator.AskAsync(other, "POST", "/v1/members?timeoutMs=2000", addresses));
    }

    /// <summary>Asks one node after the other. What does not succeed while other faults last is left as it is: the round's end waits for it.</summary>
    private async Task UntilAsync(ChaosNode node, string wanted, Func<ChaosNode, Task<string>> askAsync)
    {
        string last = "";
        long begun = System.Diagnostics.Stopwatch.GetTimestamp();
        for (int turn = Draw.Number; System.Diagnostics.Stopwatch.GetElapsedTime(begun) < Patience; turn++)
        {
            ChaosNode asked = Cluster.Nodes[turn % Cluster.Nodes.Count];
            if (asked == node)
                continue;
            string? kind = await Operator.KindOfAsync(asked, node.Id);
            if (kind == wanted)
                return;
            if (kind is not null and not "changing" and not "joining")
                last = await askAsync(asked);
            await Task.Delay(200);
        }

        Cluster.Log.Write($"{node.Id} did not become '{wanted}' in {Patience.TotalSeconds} s: {last}");
    }
}

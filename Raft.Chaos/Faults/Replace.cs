using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A member is removed, its disk emptied, and the same node taken in again as a new member.</summary>
internal sealed class Replace(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    public static readonly FaultKind Kind = new("replacement of a member", FaultScope.Operation, 5, (cluster, draw) => new Replace(cluster, draw));

    protected override string Text => "removal, empty disk and return of";

    protected override Task<bool> CanBeginAsync() => Operator.DoAllVoteAsync(Cluster);

    protected override Task BeginAsync(ChaosNode node)
    {
        node.HasNewDisk = true;
        return Operator.UntilAsync(Cluster, node, "none", Draw.Number, other => Operator.AskAsync(other, "DELETE", $"/v1/members/{node.Id}?timeoutMs=2000"));
    }

    protected override Task EndAsync(ChaosNode node) => ReturnAsync(Cluster, node, Draw.Number);

    /// <summary>A node that was removed comes back with an empty disk, as a new member.</summary>
    internal static async Task ReturnAsync(ChaosCluster cluster, ChaosNode node, int first)
    {
        await node.KillAsync("it is replaced");
        if (Directory.Exists(node.Disk.Data))
            Directory.Delete(node.Disk.Data, recursive: true);
        foreach (string key in node.Process.Settings.Keys.Where(key => key.StartsWith("Raft__Members__", StringComparison.Ordinal) || key.StartsWith("Raft__Join__", StringComparison.Ordinal)).ToArray())
            node.Process.Settings.Remove(key);
        node.JoinsBySetting = true;
        cluster.ConfigureMembers(node);
        node.Start();
        string addresses = $$"""{"id":"{{node.Id}}","peerUrl":"{{node.Process.PeerUrl}}","apiUrl":"{{node.Process.ApiUrl}}"}""";
        await Operator.UntilAsync(cluster, node, "voter", first, other => Operator.AskAsync(other, "POST", "/v1/members?timeoutMs=2000", addresses));
    }
}

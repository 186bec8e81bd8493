using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A node's file system has no byte left, and a snapshot is asked for: it is given up, writes are refused or led elsewhere, and
/// the node lives.</summary>
internal sealed class FullDisk(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    public static readonly FaultKind Kind = new("full disk", FaultScope.DeadlyToNode, 5, (cluster, draw) => new FullDisk(cluster, draw));

    protected override string Text => "no room on the disk of";

    protected override async Task BeginAsync(ChaosNode node)
    {
        Cluster.MayLackSpace = true;
        await node.Disk.FillAsync();
        await Operator.AskAsync(node, "POST", "/v1/snapshots?timeoutMs=2000"); // the log has its room already; this needs some
    }

    protected override Task EndAsync(ChaosNode node)
    {
        node.Disk.Free();
        return Task.CompletedTask;
    }
}

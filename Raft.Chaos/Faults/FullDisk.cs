using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A node's file system has no byte left.</summary>
internal sealed class FullDisk(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    private const int StorageFailed = 70, NotStarted = 1;

    public static readonly FaultKind Kind = new("full disk", FaultScope.DeadlyToNode, 5, (cluster, draw) => new FullDisk(cluster, draw));

    protected override string Text => "no room on the disk of";

    protected override async Task BeginAsync(ChaosNode node)
    {
        node.AllowEnd("its disk is full");
        await node.Disk.FillAsync();
        await Operator.AskAsync(node, "POST", "/v1/snapshots?timeoutMs=2000"); // the log has its room already; this needs some
    }

    protected override async Task EndAsync(ChaosNode node)
    {
        node.Disk.Free();
        await node.RequireLifeAsync(StorageFailed, NotStarted);
    }
}

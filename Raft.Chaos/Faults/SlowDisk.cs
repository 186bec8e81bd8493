using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>Each sync of a node takes 0.05 to 2 seconds longer.</summary>
internal sealed class SlowDisk(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: false)
{
    public static readonly FaultKind Kind = new("slow disk", FaultScope.Node, 7, (cluster, draw) => new SlowDisk(cluster, draw));

    protected override string Text => string.Create(CultureInfo.InvariantCulture, $"{LateMs} ms for each sync of");

    private int LateMs => 50 + (int)(Draw.Strength * Draw.Strength * 1950);

    protected override Task BeginAsync(ChaosNode node)
    {
        node.Disk.Break(syncLateMs: LateMs);
        return Task.CompletedTask;
    }

    protected override Task EndAsync(ChaosNode node)
    {
        node.Disk.Mend();
        return Task.CompletedTask;
    }
}

using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A node is killed and comes back with an empty disk, and nobody tells the others: it must not vote as its former self.</summary>
internal sealed class LostDisk(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    public static readonly FaultKind Kind = new("lost disk", FaultScope.Operation, 3, (cluster, draw) => new LostDisk(cluster, draw));

    protected override string Text => "an empty disk for";

    protected override Task<bool> CanBeginAsync() => Operator.DoAllVoteAsync(Cluster);

    protected override async Task BeginAsync(ChaosNode node)
    {
        node.HasNewDisk = true;
        await node.KillAsync("it loses its disk");
        if (Directory.Exists(node.Disk.Data))
            Directory.Delete(node.Disk.Data, recursive: true);
    }

    protected override Task EndAsync(ChaosNode node)
    {
        node.Start();
        return Task.CompletedTask;
    }
}

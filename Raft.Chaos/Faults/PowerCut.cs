using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>One node loses its power: the process is gone, and with it everything that its disk was not told to sync.</summary>
internal sealed class PowerCut(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    public static readonly FaultKind Kind = new("power cut", FaultScope.DeadlyToNode, 6, (cluster, draw) => new PowerCut(cluster, draw));

    protected override string Text => "no power for";

    protected override Task BeginAsync(ChaosNode node) => CutAsync(node);

    protected override Task EndAsync(ChaosNode node) => RestoreAsync(node);

    internal static async Task CutAsync(ChaosNode node)
    {
        node.AllowEnd("it has no power");
        await node.Disk.CutPowerAsync(); // first, so that nothing of the dying process gets to the disk
        await node.KillAsync("it has no power");
    }

    internal static async Task RestoreAsync(ChaosNode node)
    {
        await node.Disk.RemountAsync();
        node.Start();
    }
}

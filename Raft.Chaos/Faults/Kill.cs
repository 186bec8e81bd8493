using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>SIGKILL of one node, started again later.</summary>
internal sealed class Kill(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    public static readonly FaultKind Kind = new("kill", FaultScope.DeadlyToNode, 10, (cluster, draw) => new Kill(cluster, draw));

    protected override string Text => "SIGKILL of";

    protected override Task BeginAsync(ChaosNode node) => node.KillAsync("it was killed");

    protected override Task EndAsync(ChaosNode node)
    {
        node.Start();
        return Task.CompletedTask;
    }
}

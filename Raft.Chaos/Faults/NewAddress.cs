using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A node is killed and started again on another peer port, which nobody tells the others.</summary>
internal sealed class NewAddress(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    public static readonly FaultKind Kind = new("new address", FaultScope.DeadlyToNode, 4, (cluster, draw) => new NewAddress(cluster, draw));

    protected override string Text => "a new peer address for";

    protected override Task BeginAsync(ChaosNode node) => node.KillAsync("its address changes");

    protected override Task EndAsync(ChaosNode node)
    {
        Cluster.Move([node]);
        node.Start();
        return Task.CompletedTask;
    }
}

using Raft.Api.Tests.Support;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>SIGSTOP, and SIGCONT later: the node does not know that time has passed.</summary>
internal sealed class Freeze(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: false)
{
    public static readonly FaultKind Kind = new("freeze", FaultScope.Node, 8, (cluster, draw) => new Freeze(cluster, draw));

    protected override string Text => "SIGSTOP of";

    protected override Task BeginAsync(ChaosNode node)
    {
        node.Process.Send(Signal.Stop);
        return Task.CompletedTask;
    }

    protected override Task EndAsync(ChaosNode node)
    {
        node.Process.Send(Signal.Continue);
        return Task.CompletedTask;
    }
}

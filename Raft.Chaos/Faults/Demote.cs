using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A voter becomes a learner, and a voter again.</summary>
internal sealed class Demote(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: false)
{
    public static readonly FaultKind Kind = new("demotion and promotion", FaultScope.Operation, 4, (cluster, draw) => new Demote(cluster, draw));

    protected override string Text => "demotion and promotion of";

    protected override Task<bool> CanBeginAsync() => Operator.DoAllVoteAsync(Cluster);

    protected override Task BeginAsync(ChaosNode node) => ChangeAsync(node, "learner", "demote");

    protected override Task EndAsync(ChaosNode node) => ChangeAsync(node, "voter", "promote");

    private Task ChangeAsync(ChaosNode node, string kind, string change) => Operator.UntilAsync(
        Cluster, node, kind, Draw.Number, asked => Operator.AskAsync(asked, "POST", $"/v1/members/{node.Id}/{change}?timeoutMs=2000"));
}

using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A node gets 4 to 20 percent of one core.</summary>
internal sealed class Starve(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: false)
{
    public static readonly FaultKind Kind = new("starve", FaultScope.Node, 5, (cluster, draw) => new Starve(cluster, draw));

    protected override string Text => string.Create(CultureInfo.InvariantCulture, $"{Percent} % of a core for");

    private int Percent => 4 + (int)(Draw.Strength * 16);

    protected override Task BeginAsync(ChaosNode node)
    {
        node.Cpu.Limit(Percent);
        return Task.CompletedTask;
    }

    protected override Task EndAsync(ChaosNode node)
    {
        node.Cpu.Unlimit();
        return Task.CompletedTask;
    }
}

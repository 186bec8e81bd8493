using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A node's wall clock jumps by up to two days forwards or back, and at the end by another amount.</summary>
internal sealed class ClockJump(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: false)
{
    private const double HoursMost = 48;

    public static readonly FaultKind Kind = new("clock jump", FaultScope.Node, 6, (cluster, draw) => new ClockJump(cluster, draw));

    protected override string Text => string.Create(CultureInfo.InvariantCulture, $"the clock to {Hours:+0.0;-0.0} h for");

    private double Hours => (Draw.Strength - 0.5) * 2 * HoursMost;

    protected override Task BeginAsync(ChaosNode node)
    {
        node.ClockOffset = TimeSpan.FromHours(Hours);
        return Task.CompletedTask;
    }

    protected override Task EndAsync(ChaosNode node)
    {
        // Half of them stay wrong: clocks of a cluster that differ for long.
        node.ClockOffset = Draw.Number % 2 == 0 ? TimeSpan.Zero : TimeSpan.FromHours(-Hours / 10);
        return Task.CompletedTask;
    }
}

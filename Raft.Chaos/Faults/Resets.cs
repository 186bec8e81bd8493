using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>Connections between nodes are reset, again and again.</summary>
internal sealed class Resets(ChaosCluster cluster, Draw draw) : NetworkFault(cluster)
{
    public static readonly FaultKind Kind = new("resets", FaultScope.Network, 4, (cluster, draw) => new Resets(cluster, draw));

    private double Share => 0.01 + (draw.Strength * 0.1);

    public override string Describe() => string.Create(CultureInfo.InvariantCulture, $"{Share:p0} of the packets answered with a reset");

    protected override string? RuleBetween(ChaosNode from, ChaosNode to) =>
        string.Create(CultureInfo.InvariantCulture, $"-s {from.Address} -p tcp -m statistic --mode random --probability {Share:f2} -j REJECT --reject-with tcp-reset");
}

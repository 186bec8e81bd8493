using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>5 to 35 percent of all packets between nodes are lost.</summary>
internal sealed class PacketLoss(ChaosCluster cluster, Draw draw) : NetworkFault(cluster)
{
    public static readonly FaultKind Kind = new("packet loss", FaultScope.Network, 6, (cluster, draw) => new PacketLoss(cluster, draw));

    private double Share => 0.05 + (draw.Strength * 0.3);

    public override string Describe() => string.Create(CultureInfo.InvariantCulture, $"{Share:p0} of the packets lost");

    protected override string? RuleBetween(ChaosNode from, ChaosNode to) =>
        string.Create(CultureInfo.InvariantCulture, $"-s {from.Address} -m statistic --mode random --probability {Share:f2} -j DROP");
}

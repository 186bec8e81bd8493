using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>Each node reaches its neighbours in a ring and nobody else; of three nodes two do not reach each other.</summary>
internal sealed class RingPartition(ChaosCluster cluster, Draw draw) : NetworkFault(cluster)
{
    public static readonly FaultKind Kind = new("ring", FaultScope.Network, 5, (cluster, draw) => new RingPartition(cluster, draw));

    public override string Describe() => "a ring: each node reaches its neighbours only";

    protected override string? RuleBetween(ChaosNode from, ChaosNode to)
    {
        int count = Cluster.Nodes.Count, one = (from.Number + draw.Number) % count, other = (to.Number + draw.Number) % count;
        int apart = Math.Abs(one - other);
        bool isCut = count == 3 ? one + other == 1 : apart != 1 && apart != count - 1;
        return isCut ? $"-s {from.Address} -j DROP" : null;
    }
}

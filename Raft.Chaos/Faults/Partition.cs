using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>Two sides that do not reach each other; the clients reach both.</summary>
internal sealed class Partition(ChaosCluster cluster, Draw draw) : NetworkFault(cluster)
{
    private HashSet<ChaosNode> _side = [];

    public static readonly FaultKind Kind = new("partition", FaultScope.Network, 8, (cluster, draw) => new Partition(cluster, draw));

    public override string Describe() => $"partition of {string.Join(", ", _side.Select(node => node.Id).Order(StringComparer.Ordinal))} from the others";

    public override async Task<bool> BeginAsync()
    {
        // The leader with as few as itself, or any side of any size.
        int count = Cluster.Nodes.Count;
        string? leader = draw.OnLeader ? await Cluster.LeaderAsync() : null;
        int first = leader is null ? draw.Number % count : Cluster.Nodes.First(node => node.Id == leader).Number - 1;
        int size = 1 + (int)(draw.Strength * ((count / 2) - 0.01));
        _side = [.. Enumerable.Range(first, size).Select(n => Cluster.Nodes[n % count])];
        return await base.BeginAsync();
    }

    protected override string? RuleBetween(ChaosNode from, ChaosNode to) => _side.Contains(from) != _side.Contains(to) ? $"-s {from.Address} -j DROP" : null;
}

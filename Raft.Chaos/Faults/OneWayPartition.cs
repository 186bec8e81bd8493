using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>One node hears nobody, or nobody hears it.</summary>
internal sealed class OneWayPartition(ChaosCluster cluster, Draw draw) : NetworkFault(cluster)
{
    private ChaosNode? _node;

    public static readonly FaultKind Kind = new("one-way partition", FaultScope.Network, 6, (cluster, draw) => new OneWayPartition(cluster, draw));

    private bool IsDeaf => draw.Strength < 0.5;

    public override string Describe() => IsDeaf ? $"{_node?.Id} hears no other node" : $"no other node hears {_node?.Id}";

    public override async Task<bool> BeginAsync()
    {
        string? leader = draw.OnLeader ? await Cluster.LeaderAsync() : null;
        _node = Cluster.Nodes.FirstOrDefault(node => node.Id == leader) ?? Cluster.Nodes[draw.Number % Cluster.Nodes.Count];
        return await base.BeginAsync();
    }

    protected override string? RuleBetween(ChaosNode from, ChaosNode to) => (IsDeaf ? to : from) == _node ? $"-s {from.Address} -j DROP" : null;
}

using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A majority of the nodes, or all of them, lose their power at the same moment; but for the survivor, in runs that have one.</summary>
internal sealed class PowerCutOfMany(ChaosCluster cluster, Draw draw) : IFault
{
    public static readonly FaultKind Kind = new("power cut of many", FaultScope.Everything, 2, (cluster, draw) => new PowerCutOfMany(cluster, draw));

    private readonly ChaosNode[] _victims =
    [
        .. Enumerable.Range(0, draw.Strength < 0.4 ? (cluster.Nodes.Count / 2) + 1 : cluster.Nodes.Count)
            .Select(n => cluster.Nodes[(n + draw.Number) % cluster.Nodes.Count]).Where(node => node != cluster.Survivor),
    ];

    public string Describe() => $"no power for {string.Join(", ", _victims.Select(node => node.Id))}";

    public async Task<bool> BeginAsync()
    {
        await Task.WhenAll(_victims.Select(PowerCut.CutAsync));
        return true;
    }

    public Task EndAsync() => Task.WhenAll(_victims.Select(PowerCut.RestoreAsync));
}

using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>SIGKILL of all nodes at the same moment; but for the survivor, in runs that have one.</summary>
internal sealed class KillAll(ChaosCluster cluster) : IFault
{
    public static readonly FaultKind Kind = new("kill all", FaultScope.Everything, 3, (cluster, _) => new KillAll(cluster));

    private IEnumerable<ChaosNode> Victims => cluster.Nodes.Where(node => node != cluster.Survivor);

    public string Describe() => $"SIGKILL of {string.Join(", ", Victims.Select(node => node.Id))}";

    public async Task<bool> BeginAsync()
    {
        await Task.WhenAll(Victims.Select(node => node.KillAsync("all were killed")));
        return true;
    }

    public Task EndAsync()
    {
        foreach (ChaosNode node in Victims)
            node.Start();
        return Task.CompletedTask;
    }
}

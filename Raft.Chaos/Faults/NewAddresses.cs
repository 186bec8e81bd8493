using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>All nodes stop, and start on other peer ports, which only their settings tell: the log has the old ones.</summary>
internal sealed class NewAddresses(ChaosCluster cluster) : IFault
{
    public static readonly FaultKind Kind = new("new addresses of all", FaultScope.Everything, 2, (cluster, _) => new NewAddresses(cluster));

    public string Describe() => "new peer addresses for all nodes";

    public async Task<bool> BeginAsync()
    {
        if (cluster.Survivor is not null)
            return false;
        await Task.WhenAll(cluster.Nodes.Select(node => node.KillAsync("all addresses change")));
        return true;
    }

    public Task EndAsync()
    {
        if (cluster.Survivor is not null)
            return Task.CompletedTask;
        cluster.Move(cluster.Nodes);
        foreach (ChaosNode node in cluster.Nodes)
            node.Start();
        return Task.CompletedTask;
    }
}

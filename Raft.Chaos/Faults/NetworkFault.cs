using Raft.Chaos.Cluster;
using Raft.Chaos.Machine;

namespace Raft.Chaos.Faults;

/// <summary>Rules in the nodes' namespaces. There is one such fault at a time, so ending it is to have no rules.</summary>
internal abstract class NetworkFault(ChaosCluster cluster) : IFault
{
    protected ChaosCluster Cluster => cluster;

    public abstract string Describe();

    public virtual async Task<bool> BeginAsync()
    {
        await Task.WhenAll(cluster.Nodes.Select(to => Network.SetRulesAsync(
            to.Namespace, cluster.Nodes.Where(from => from != to).Select(from => RuleBetween(from, to)).OfType<string>())));
        return true;
    }

    public virtual Task EndAsync() => Task.WhenAll(cluster.Nodes.Select(node => Network.SetRulesAsync(node.Namespace, [])));

    /// <summary>What is done at one node to packets that come from another; null is nothing.</summary>
    protected abstract string? RuleBetween(ChaosNode from, ChaosNode to);
}

using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A fault of one node, which is chosen when it begins.</summary>
internal abstract class NodeFault(ChaosCluster cluster, Draw draw, bool isDeadly) : IFault
{
    private bool _wasLeader;

    protected ChaosCluster Cluster => cluster;
    protected Draw Draw => draw;
    protected ChaosNode? Node { get; private set; }

    public async Task<bool> BeginAsync()
    {
        if (!await CanBeginAsync())
            return false;
        Node = await cluster.ClaimAsync(draw.Number, draw.OnLeader, isDeadly);
        if (Node is null)
            return false;
        _wasLeader = await cluster.LeaderAsync() == Node.Id;
        await BeginAsync(Node);
        return true;
    }

    public string Describe() => $"{Text} {Node?.Id}{(_wasLeader ? ", the leader" : "")}";

    public async Task EndAsync()
    {
        if (Node is null)
            return;
        await EndAsync(Node);
        cluster.Release(Node);
    }

    protected abstract string Text { get; }

    protected virtual Task<bool> CanBeginAsync() => Task.FromResult(true);

    protected abstract Task BeginAsync(ChaosNode node);

    protected abstract Task EndAsync(ChaosNode node);
}

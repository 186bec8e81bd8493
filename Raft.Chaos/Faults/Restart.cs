using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>SIGTERM, an end in good order, and a start.</summary>
internal sealed class Restart(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    public static readonly FaultKind Kind = new("restart", FaultScope.DeadlyToNode, 4, (cluster, draw) => new Restart(cluster, draw));

    protected override string Text => "SIGTERM of";

    protected override async Task BeginAsync(ChaosNode node)
    {
        node.AllowEnd("it was told to stop");
        int code = await node.Process.StopAsync();
        if (code != 0)
            Cluster.Log.Found($"{node.Id} ended with exit code {code} after SIGTERM");
    }

    protected override Task EndAsync(ChaosNode node)
    {
        node.Start();
        return Task.CompletedTask;
    }
}

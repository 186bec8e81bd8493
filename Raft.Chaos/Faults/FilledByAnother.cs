using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>Another program fills a node's disk to the last byte, the node is killed and must start there, and later 10 MB are given
/// back, then the rest. It must be up all the time, whatever it may take.</summary>
internal sealed class FilledByAnother(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    private const long GivenBack = 10 << 20;

    public static readonly FaultKind Kind = new("disk filled by another program", FaultScope.DeadlyToNode, 4, (cluster, draw) => new FilledByAnother(cluster, draw));

    protected override string Text => "a disk that another program fills, and a start on it, for";

    protected override async Task BeginAsync(ChaosNode node)
    {
        Cluster.MayLackSpace = true;
        await node.Disk.FillAsync();
        await node.KillAsync("it is started again on a full disk");
        node.Start();
    }

    protected override async Task EndAsync(ChaosNode node)
    {
        await RequireAnswerAsync(node, "on a full disk");
        node.Disk.GiveBack(GivenBack);
        await RequireAnswerAsync(node, "after 10 MB were given back");
        node.Disk.Free();
    }

    private async Task RequireAnswerAsync(ChaosNode node, string when)
    {
        string last = "no answer";
        for (int tries = 0; tries < 60; tries++)
        {
            last = await Operator.AskAsync(node, "GET", "/livez");
            if (last.StartsWith("200", StringComparison.Ordinal))
                return;
            await Task.Delay(500);
        }

        Cluster.Log.Found($"{node.Id} does not answer {when}: {last}.{Environment.NewLine}{node.Process.Tail(15)}");
    }
}

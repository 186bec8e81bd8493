using Raft.Api.Tests.Support;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A member is removed and its process started again on its old disk: it must learn that it was removed, say so, and disturb
/// nobody. Then it returns as a new member with an empty disk.</summary>
internal sealed class RemovedRestart(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);
    private bool _wasRemoved;

    public static readonly FaultKind Kind = new("restart of a removed member", FaultScope.Operation, 3, (cluster, draw) => new RemovedRestart(cluster, draw));

    protected override string Text => "removal and restart of";

    protected override Task<bool> CanBeginAsync() => Operator.DoAllVoteAsync(Cluster);

    protected override async Task BeginAsync(ChaosNode node)
    {
        node.HasNewDisk = true;
        await Operator.UntilAsync(Cluster, node, "none", Draw.Number, other => Operator.AskAsync(other, "DELETE", $"/v1/members/{node.Id}?timeoutMs=2000"));
        ChaosNode asked = Cluster.Nodes.First(other => other != node);
        _wasRemoved = await Operator.KindOfAsync(asked, node.Id) == "none";
        await node.KillAsync("it was removed");
        node.Start();
    }

    protected override async Task EndAsync(ChaosNode node)
    {
        if (_wasRemoved)
        {
            string last = "no answer";
            try
            {
                await Wait.UntilAsync(
                    async () => (last = await Operator.AskAsync(node, "GET", "/readyz?verbose", textMost: 2000)).Contains("removed", StringComparison.OrdinalIgnoreCase),
                    $"{node.Id} to say that it was removed", bound: Bound);
            }
            catch (TimeoutException)
            {
                Cluster.Log.Found($"{node.Id} was removed and started again, and does not say so: {last}");
            }
        }

        await Replace.ReturnAsync(Cluster, node, Draw.Number);
    }
}

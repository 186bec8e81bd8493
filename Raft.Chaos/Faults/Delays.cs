using System.Diagnostics;
using System.Globalization;
using Raft.Chaos.Cluster;
using Raft.Chaos.Machine;

namespace Raft.Chaos.Faults;

/// <summary>Packets between nodes are late, each by another time, so that they overtake each other; and some are lost.</summary>
internal sealed class Delays(ChaosCluster cluster, Draw draw) : NetworkFault(cluster)
{
    private const int Queue = 1;
    private readonly List<Process> _queues = [];

    public static readonly FaultKind Kind = new("delays", FaultScope.Network, 6, (cluster, draw) => new Delays(cluster, draw));

    private int BaseMs => 5 + (int)(draw.Strength * 70);

    private int JitterMs => BaseMs / 2;

    public override string Describe() => string.Create(CultureInfo.InvariantCulture, $"packets late by {BaseMs} ms, {JitterMs} more or less");

    public override async Task<bool> BeginAsync()
    {
        foreach (ChaosNode node in Cluster.Nodes)
        {
            string[] inside = Network.Inside(node.Namespace);
            _queues.Add(Shell.Start(
                Path.Combine(Path.GetDirectoryName(Cluster.Helpers.Delay)!, node.Id + "-delay.log"), inside[0],
                [.. inside[1..], Cluster.Helpers.Delay, Text(Queue), Text(BaseMs), Text(JitterMs)]));
        }

        return await base.BeginAsync();
    }

    public override async Task EndAsync()
    {
        await base.EndAsync();
        foreach (Process queue in _queues)
        {
            if (queue.HasExited)
                Cluster.Log.Write($"a delay ended too early, with {queue.ExitCode}");
            else
                queue.Kill();
            await queue.WaitForExitAsync();
            queue.Dispose();
        }
    }

    protected override string? RuleBetween(ChaosNode from, ChaosNode to) => $"-s {from.Address} -j NFQUEUE --queue-num {Text(Queue)} --queue-bypass";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

using System.Globalization;
using Raft.Chaos.Clients;
using Raft.Chaos.Cluster;
using Raft.Chaos.Faults;

namespace Raft.Chaos.Scenarios;

/// <summary>Does to a cluster what the plan says, and counts.</summary>
internal sealed class FaultRunner(ChaosCluster cluster, Scenario scenario, Load load, int seed)
{
    private static readonly TimeSpan PatienceForReady = TimeSpan.FromSeconds(30);
    private readonly SortedDictionary<string, int> _counts = new(StringComparer.Ordinal);
    private int _number;

    public IReadOnlyDictionary<string, int> Counts => _counts;

    public int Count => _counts.Values.Sum();

    public async Task RunAsync(CancellationToken interrupted)
    {
        TimeSpan begun = cluster.Log.Elapsed;
        int rounds = 0;
        foreach (Round round in FaultPlan.Rounds(scenario, cluster.Nodes.Count, seed))
        {
            if (scenario.Duration is { } duration ? cluster.Log.Elapsed - begun >= duration : Count >= scenario.Times)
                break;
            if (cluster.Log.Findings.Count > 0)
            {
                cluster.Log.Write("no more faults: what was found is easier to understand without them");
                return;
            }

            await load.CheckThatAllRunAsync();
            if (scenario.WaitsForWrites && !await load.MoreAsync(20, ChaosCluster.Patience))
                cluster.Log.Found("20 writes were not acknowledged, though there was no fault");
            cluster.Log.Write(string.Create(CultureInfo.InvariantCulture, $"round {++rounds}, {load.Recorder.Acknowledged} writes acknowledged"));
            await Task.WhenAll(round.Faults.Select(one => RunAsync(one.Kind, one.Draw, interrupted))).WaitAsync(interrupted);
            if (!await ChaosCluster.AreReadyAsync(cluster.Nodes, PatienceForReady))
                cluster.Log.Write($"not all nodes are ready {PatienceForReady.TotalSeconds} s after the end of the round");
        }

        if (scenario.Duration is not null && Count < scenario.Times)
            cluster.Log.Found(string.Create(CultureInfo.InvariantCulture, $"there were only {Count} faults; {scenario.Times} were wanted"));
    }

    private async Task RunAsync(FaultKind kind, Draw draw, CancellationToken interrupted)
    {
        await Task.Delay(draw.Delay, interrupted);
        int number = Interlocked.Increment(ref _number);
        string title = string.Create(CultureInfo.InvariantCulture, $"#{number} {kind.Name}");
        IFault fault = kind.Make(cluster, draw);
        try
        {
            try
            {
                if (!await fault.BeginAsync())
                {
                    cluster.Log.Write($"{title}: nobody to do it to");
                    return;
                }

                lock (_counts)
                    _counts[kind.Name] = _counts.GetValueOrDefault(kind.Name) + 1;
                cluster.Log.Write($"{title} begins: {fault.Describe()}");
                await Task.Delay(draw.Duration, interrupted);
            }
            finally
            {
                await fault.EndAsync();
            }

            cluster.Log.Write($"{title} has ended");
        }
        catch (Exception error) when (error is not OperationCanceledException and not ObjectDisposedException)
        {
            cluster.Log.Found($"{title} could not be done or undone: {error}");
        }
    }
}

using Raft.Chaos.Faults;

namespace Raft.Chaos.Scenarios;

/// <summary>Rounds of faults, drawn from a seed alone.</summary>
internal static class FaultPlan
{
    public static readonly FaultKind[] All =
    [
        Kill.Kind, KillAll.Kind, Restart.Kind, Freeze.Kind, Starve.Kind, ClockJump.Kind, LeaderLeap.Kind, IdleConnections.Kind, NewAddress.Kind,
        DiskFault.FailingSync, DiskFault.FailingWrite, FailingRead.Kind, FullDisk.Kind, FilledByAnother.Kind, SlowDisk.Kind, PowerCut.Kind, PowerCutOfMany.Kind,
        Partition.Kind, OneWayPartition.Kind, RingPartition.Kind, PacketLoss.Kind, Resets.Kind, Delays.Kind,
        Transfer.Kind, Replace.Kind, RemovedRestart.Kind, LostDisk.Kind, Demote.Kind,
    ];

    /// <summary>Rounds without an end. Where kinds are mixed a round has up to four: for nodes, for the network, for the operator.</summary>
    public static IEnumerable<Round> Rounds(Scenario scenario, int nodes, int seed)
    {
        var random = new Random(seed);
        while (true)
        {
            yield return scenario.AtOnce is { } count
                ? new Round([.. Enumerable.Range(0, count).Select(_ => Any(scenario.Kinds, random))])
                : Mixed(scenario.Kinds, nodes, random);
        }
    }

    private static Round Mixed(FaultKind[] kinds, int nodes, Random random)
    {
        (FaultKind Kind, Draw Draw) first = Any(kinds, random);
        if (first.Kind.Scope == FaultScope.Everything)
            return new Round([first]);

        // No more deadly ones than the cluster stands: what comes beyond that would only be a cluster that is down.
        List<(FaultKind Kind, Draw Draw)> faults = [first];
        int deadlyMost = (nodes - 1) / 2;
        for (int more = random.Next(1, 4); more > 0; more--)
        {
            FaultKind[] fitting =
            [
                .. kinds.Where(kind => kind.Scope switch
                {
                    FaultScope.Node => faults.Count(one => one.Kind.Scope == FaultScope.Node) < 2,
                    FaultScope.DeadlyToNode => faults.Count(one => one.Kind.Scope is FaultScope.DeadlyToNode or FaultScope.Operation) < deadlyMost,
                    FaultScope.Operation => faults.All(one => one.Kind.Scope != FaultScope.Operation)
                        && faults.Count(one => one.Kind.Scope is FaultScope.DeadlyToNode) < deadlyMost,
                    FaultScope.Network => faults.All(one => one.Kind.Scope != FaultScope.Network),
                    _ => false,
                }),
            ];
            faults.Add(Any(fitting, random));
        }

        return new Round(faults);
    }

    private static (FaultKind Kind, Draw Draw) Any(FaultKind[] kinds, Random random)
    {
        int at = random.Next(kinds.Sum(kind => kind.Weight));
        foreach (FaultKind kind in kinds)
        {
            at -= kind.Weight;
            if (at < 0)
                return (kind, Draw.From(random));
        }

        throw new InvalidOperationException("The weights do not add up.");
    }
}

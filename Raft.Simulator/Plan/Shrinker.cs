namespace Raft.Simulator;

/// <summary>Makes a run that failed smaller: fewer voters, fewer kinds of faults, fewer events, as long as the same invariant breaks.</summary>
/// <remarks>Every attempt is a whole run of the same seed. What an event does is its own seed's, so the others stay what they were,
/// but what happens in between does not: that is why it is tried and not computed.</remarks>
internal sealed class Shrinker(int runsMax = 300)
{
    private int _runs;

    /// <summary>How many runs it took.</summary>
    public int Runs => _runs;

    /// <summary>The smallest run that was found; its violation is of the same invariant.</summary>
    public RunResult Shrink(RunResult failed)
    {
        RunResult best = failed with { Settings = failed.Settings with { Trace = null, Until = null } };
        best = TryFewerVoters(best);
        best = TryFewerOperations(best);
        foreach (string kind in best.Events.Select(planned => planned.Kind).Distinct().ToArray())
        {
            if (kind != PlannedEvent.Client)
                best = Try(best, best.Settings with { Without = new HashSet<string>(best.Settings.Without) { kind } }) ?? best;
        }

        best = DropEvents(best, planned => planned.Kind == PlannedEvent.Client);
        return DropEvents(best, planned => planned.Kind != PlannedEvent.Client);
    }

    /// <summary>The command that repeats a run.</summary>
    public static string CommandOf(RunSettings settings)
    {
        string command = $"dotnet run -c Release --project Raft.Simulator -- --seed {settings.Seed}";
        if (settings.Operations != RunSettings.OperationsDefault)
            command += $" --operations {settings.Operations}";
        if (settings.Voters is { } voters)
            command += $" --voters {voters}";
        if (settings.IsStorageReal is { } isReal)
            command += isReal ? " --storage real" : " --storage model";
        if (settings.Permanent is { } permanent)
            command += $" --permanent {permanent}";
        if (settings.Without.Count > 0)
            command += $" --without {string.Join(',', settings.Without.Order(StringComparer.Ordinal))}";
        if (settings.Dropped.Count > 0)
            command += $" --drop {EventNumbers.Format(settings.Dropped)}";
        return command;
    }

    private RunResult TryFewerVoters(RunResult best)
    {
        for (int voters = 1; voters < 5; voters++)
        {
            if (Try(best, best.Settings with { Voters = voters }) is { } smaller)
                return smaller;
        }

        return best;
    }

    /// <summary>What comes after the violation is not needed.</summary>
    private RunResult TryFewerOperations(RunResult best)
    {
        HashSet<int> later = [.. best.Settings.Dropped, .. best.Events.Where(planned => planned.At > best.Time).Select(planned => planned.Number)];
        return Try(best, best.Settings with { Dropped = later }) ?? best;
    }

    /// <summary>Halves, quarters, ... down to single events.</summary>
    private RunResult DropEvents(RunResult best, Func<PlannedEvent, bool> isCandidate)
    {
        int piece = Math.Max(1, best.Events.Count(isCandidate) / 2);
        while (true)
        {
            int[] candidates = [.. best.Events.Where(isCandidate).Select(planned => planned.Number)];
            foreach (int[] part in candidates.Chunk(piece))
                best = Try(best, best.Settings with { Dropped = new HashSet<int>(best.Settings.Dropped.Concat(part)) }) ?? best;
            if (piece == 1 || _runs >= runsMax)
                return best;
            piece = Math.Max(1, piece / 2);
        }
    }

    private RunResult? Try(RunResult best, RunSettings settings)
    {
        if (_runs >= runsMax)
            return null;

        _runs++;
        RunResult result = Simulation.Run(settings);
        return result.Violation is not null && result.Invariant == best.Invariant ? result : null;
    }
}

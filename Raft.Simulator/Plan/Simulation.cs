using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>One run, from one seed: a cluster is formed, clients and faults do what the plan says, the faults stop, everything
/// must come to rest, and what the clients were told must make sense.</summary>
internal sealed class Simulation
{
    private readonly RunPlan _plan;
    private readonly SimulatedCluster _cluster;
    private readonly ClientHistories _histories = new();
    private readonly Client[] _clients;
    private readonly Operator _operator;
    private readonly Nemesis _nemesis;

    private Simulation(World world, RunPlan plan)
    {
        _plan = plan;
        _cluster = new SimulatedCluster(world, plan);
        _clients = [.. Enumerable.Range(1, plan.Clients).Select(number => new Client($"c{number}", _cluster, _histories))];
        _operator = new Operator(_cluster);
        _nemesis = new Nemesis(_cluster, _operator);
    }

    /// <summary>Runs it to its end, or to the first violation.</summary>
    public static RunResult Run(RunSettings settings)
    {
        RunPlan plan = RunPlan.Draw(settings);
        if (!plan.IsStorageReal)
            return Run(settings, plan);

        // LiteDB leaves memory with the thread: it goes when the thread ends.
        RunResult? result = null;
        var thread = new Thread(() => result = Run(settings, plan));
        thread.Start();
        thread.Join();
        return result!;             // the thread has ended, and what it throws ends the process
    }

    private static RunResult Run(RunSettings settings, RunPlan plan)
    {
        World? ran = null;
        string? violation = null;
        try
        {
            World.Run(settings.Seed, settings.Trace is null ? Tracing.None : Tracing.LastLines, world =>
            {
                ran = world;
                world.LineWritten = settings.Trace;
                world.Until = settings.Until;
                return new Simulation(world, plan).RunAsync();
            });
        }
        catch (RunViolationException error)
        {
            violation = error.Message;
        }
        catch (ScenarioFailedException error)
        {
            violation = $"Simulator: {error.InnerException}";
        }

        World end = ran ?? throw new InvalidOperationException("The run has not begun.");
        return new RunResult(settings, violation, end.Hash.Value, end.Time.Now - TimeSpan.FromSeconds(1), plan.Events);
    }

    private async Task RunAsync()
    {
        World world = _cluster.World;
        await _cluster.FormAsync();
        _operator.CreateGroups(_plan.Groups);
        foreach (PlannedEvent planned in _plan.Events)
            world.Schedule(planned.At, () => Begin(planned));
        await world.PassAsync(_plan.End);

        _nemesis.Heal();
        if (_plan.HasPermanentFault)
            await new LivenessPhase(_cluster, _nemesis, new Random(world.Seed)).RunAsync(_plan.Permanent);
        await new Rest(_cluster, _clients).ComeAsync();
        if (_histories.FindViolation() is { } violation)
            world.Violate(violation);
    }

    private void Begin(PlannedEvent planned)
    {
        if (planned.Kind != PlannedEvent.Client)
        {
            _nemesis.Strike(planned);
            return;
        }

        Random random = planned.NewRandom();
        _clients[random.Next(_clients.Length)].Plan(random);
    }
}

/// <summary>How a run ended.</summary>
/// <param name="Settings">Which run.</param>
/// <param name="Violation">The invariant's name, a colon, and what is wrong; null: nothing is.</param>
/// <param name="Hash">Of all that happened.</param>
/// <param name="Time">Virtual.</param>
/// <param name="Events">The plan.</param>
internal sealed record RunResult(RunSettings Settings, string? Violation, ulong Hash, TimeSpan Time, IReadOnlyList<PlannedEvent> Events)
{
    /// <summary>The name of the invariant that was broken.</summary>
    public string? Invariant => Violation?[..Math.Max(0, Violation.IndexOf(':', StringComparison.Ordinal))];
}

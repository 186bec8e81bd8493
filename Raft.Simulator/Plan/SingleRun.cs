namespace Raft.Simulator;

/// <summary>--seed: one run, with its trace when it is wanted.</summary>
internal static class SingleRun
{
    public static int Go(Arguments arguments)
    {
        RunSettings settings = arguments.Template with { Seed = arguments.First, Trace = arguments.IsTracing ? Console.WriteLine : null };
        RunResult result = Simulation.Run(settings);
        Console.WriteLine($"seed {settings.Seed}: {result.Events.Count} events, {result.Time.TotalSeconds:F1} s of virtual time, trace hash {result.Hash:x16}");
        if (result.Violation is null)
            return 0;

        Console.WriteLine($"violated: {result.Violation}");
        return 1;
    }
}

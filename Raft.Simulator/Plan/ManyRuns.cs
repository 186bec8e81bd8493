using System.Diagnostics;

namespace Raft.Simulator;

/// <summary>--seeds: many runs, side by side on as many threads as there are processors.</summary>
internal static class ManyRuns
{
    public static int Go(Arguments arguments)
    {
        var watch = Stopwatch.StartNew();
        int next = arguments.First - 1;
        int last = arguments.First + arguments.Count - 1;
        int done = 0;
        int failed = 0;
        object gate = new();
        Thread[] workers = [.. Enumerable.Range(0, arguments.Jobs).Select(_ => new Thread(Work))];
        foreach (Thread worker in workers)
            worker.Start();
        foreach (Thread worker in workers)
            worker.Join();

        Console.WriteLine($"{done} seeds from {arguments.First} on: {failed} violated something; {watch.Elapsed.TotalSeconds:F1} s, {done / watch.Elapsed.TotalSeconds:F1} seeds/s");
        return failed == 0 ? 0 : 1;

        void Work()
        {
            while ((failed == 0 || arguments.KeepsGoing) && Interlocked.Increment(ref next) is var seed && seed <= last)
            {
                RunResult result = Simulation.Run(arguments.Template with { Seed = seed });
                lock (gate)
                {
                    done++;
                    if (result.Violation is not null)
                    {
                        failed++;
                        Console.WriteLine(arguments.KeepsGoing || arguments.IsBrief
                            ? $"seed {seed} violated {result.Violation}\n  {Shrinker.CommandOf(result.Settings)} --trace"
                            : FailureReport.Of(result));
                    }
                    else if (done % 100 == 0)
                    {
                        Console.WriteLine($"{done} of {arguments.Count} seeds, {failed} violated something, {done / watch.Elapsed.TotalSeconds:F1} seeds/s");
                    }
                }
            }
        }
    }
}

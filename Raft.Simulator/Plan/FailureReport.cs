using System.Text;

namespace Raft.Simulator;

/// <summary>What a failed run tells: its seed, the smallest run that still fails, the command for it, and the end of its trace.</summary>
internal static class FailureReport
{
    private const int LinesMax = 80;

    public static string Of(RunResult failed, int shrinkRuns = 300)
    {
        var shrinker = new Shrinker(shrinkRuns);
        RunResult smallest = shrinker.Shrink(failed);
        var lines = new Queue<string>();
        RunResult traced = Simulation.Run(smallest.Settings with
        {
            Trace = line =>
            {
                lines.Enqueue(line);
                if (lines.Count > LinesMax)
                    lines.Dequeue();
            },
        });

        var text = new StringBuilder();
        text.AppendLine($"seed {failed.Settings.Seed} violated {failed.Violation}");
        text.AppendLine($"repeat it:    {Shrinker.CommandOf(failed.Settings)} --trace");
        text.AppendLine($"its smallest: {Shrinker.CommandOf(smallest.Settings)} --trace");
        text.AppendLine($"              {smallest.Events.Count} of {failed.Events.Count} events are left after {shrinker.Runs} runs; it violates {smallest.Violation}");
        text.AppendLine($"the end of its trace ({traced.Hash:x16}):");
        foreach (string line in lines)
            text.AppendLine(line);
        return text.ToString();
    }
}

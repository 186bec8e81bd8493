using System.Diagnostics;
using System.Globalization;

namespace Raft.Engine.Tests.Simulation;

/// <summary>The same seed is the same run: here, again, and in another process.</summary>
public class DeterminismTests
{
    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public void The_same_seed_gives_the_same_run_twice_in_one_process(int seed)
    {
        RunResult first = Raft.Simulator.Simulation.Run(new RunSettings(seed));
        RunResult second = Raft.Simulator.Simulation.Run(new RunSettings(seed));

        Assert.Null(first.Violation);
        Assert.Equal(first.Hash, second.Hash);
        Assert.NotEqual(first.Hash, Raft.Simulator.Simulation.Run(new RunSettings(seed + 100)).Hash);
    }

    [Fact]
    public void Lines_for_people_change_nothing()
    {
        int lines = 0;
        RunResult traced = Raft.Simulator.Simulation.Run(new RunSettings(14) { Trace = _ => lines++ });

        Assert.Equal(Raft.Simulator.Simulation.Run(new RunSettings(14)).Hash, traced.Hash);
        Assert.True(lines > 100);       // however short the run is
    }

    [Fact]
    public void The_same_seed_gives_the_same_run_in_another_process()
    {
        RunResult here = Raft.Simulator.Simulation.Run(new RunSettings(15));
        var start = new ProcessStartInfo("dotnet", [typeof(Raft.Simulator.Simulation).Assembly.Location, "--seed", "15"])
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;      // it exists: this test runs in it
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.Contains(here.Hash.ToString("x16", CultureInfo.InvariantCulture), output, StringComparison.Ordinal);
        Assert.Equal(0, process.ExitCode);
    }
}

namespace Raft.Engine.Tests.Simulation;

/// <summary>A run that failed is made smaller, and says how to repeat it.</summary>
public class ShrinkerTests
{
    [Fact]
    public void Numbers_of_events_are_written_in_ranges_and_read_back()
    {
        HashSet<int> read = [];
        Assert.Equal("1,3-5,9", EventNumbers.Format([9, 3, 4, 1, 5]));
        Assert.True(EventNumbers.TryParse("1,3-5,9", read));
        Assert.Equal([1, 3, 4, 5, 9], read.Order());
        Assert.False(EventNumbers.TryParse("1,x", read));
    }

    [Fact]
    public void Leaving_events_out_changes_no_other_event()
    {
        RunPlan whole = RunPlan.Draw(new RunSettings(21));
        RunPlan part = RunPlan.Draw(new RunSettings(21) { Dropped = new HashSet<int> { 3, 4 }, Without = new HashSet<string> { "crash" } });

        Assert.Equal(whole.Events.Where(planned => planned.Number is not (3 or 4) && planned.Kind != "crash"), part.Events);
    }

    [Fact]
    public void The_command_names_all_that_is_not_the_default()
    {
        var settings = new RunSettings(7) { Voters = 3, IsStorageReal = true, Without = new HashSet<string> { "wipe", "crash" }, Dropped = new HashSet<int> { 1, 2 } };
        Assert.Equal(
            "dotnet run -c Release --project Raft.Simulator -- --seed 7 --voters 3 --storage real --without crash,wipe --drop 1-2",
            Shrinker.CommandOf(settings));
    }

    /// <summary>A run that takes no patience at all: it fails for certain, with or without most of its events.</summary>
    [Fact]
    public void What_is_not_needed_for_the_failure_goes()
    {
        RunResult failed = Raft.Simulator.Simulation.Run(new RunSettings(9) { Operations = 60, IsAllForbidden = true });
        RunResult smallest = new Shrinker(runsMax: 80).Shrink(failed);

        Assert.Equal("ForTests", failed.Invariant);
        Assert.Equal("ForTests", smallest.Invariant);
        Assert.True(smallest.Events.Count <= 2, $"{smallest.Events.Count} events are left");
        Assert.Equal("ForTests", Raft.Simulator.Simulation.Run(smallest.Settings).Invariant);
    }
}

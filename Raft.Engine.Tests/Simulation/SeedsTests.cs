namespace Raft.Engine.Tests.Simulation;

/// <summary>Whole clusters under all faults, seed by seed. RAFT_SIM_SEEDS says how many; docs/testing.md how to run more.</summary>
public class SeedsTests
{
    private const int SeedsDefault = 1000;
    private const int Parts = 10;

    public static TheoryData<int> PartNumbers => [.. Enumerable.Range(0, Parts)];

    [Theory]
    [MemberData(nameof(PartNumbers))]
    public void Nothing_is_violated_whatever_goes_wrong(int part)
    {
        int seeds = int.TryParse(Environment.GetEnvironmentVariable("RAFT_SIM_SEEDS"), out int wanted) ? wanted : SeedsDefault;
        for (int seed = part + 1; seed <= seeds; seed += Parts)
        {
            RunResult result = Raft.Simulator.Simulation.Run(new RunSettings(seed));
            if (result.Violation is not null)
                Assert.Fail(FailureReport.Of(result, shrinkRuns: 100));
        }
    }
}

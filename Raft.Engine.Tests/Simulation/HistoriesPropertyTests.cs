using Raft.Simulator.Histories;
using Xunit.Abstractions;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Random executions are accepted, and refused once something is wrong with them.</summary>
public sealed class HistoriesPropertyTests(ITestOutputHelper output)
{
    private static readonly HistoryShape _usual = new(Operations: 120, Clients: 6, Keys: 3, UnknownPercent: 20);

    [Theory]
    [InlineData(400, 60, 4, 2, 20)]
    [InlineData(200, 200, 10, 1, 20)]
    [InlineData(200, 200, 10, 4, 60)]
    [InlineData(50, 500, 10, 5, 20)]
    [InlineData(50, 1000, 20, 1, 5)]
    [InlineData(100, 200, 10, 0, 30)]
    public void An_execution_of_a_plain_store_is_accepted(int seeds, int operations, int clients, int keys, int unknownPercent)
    {
        var shape = new HistoryShape(operations, clients, keys, unknownPercent);
        for (int seed = 0; seed < seeds; seed++)
        {
            string? violation = LinearizabilityChecker.Check(HistoriesOfAModel.Run(seed, shape));
            Assert.True(violation is null, $"Seed {seed}: {violation}");
        }
    }

    [Fact]
    public void An_execution_with_one_lie_is_refused()
    {
        SortedDictionary<string, int> told = new(StringComparer.Ordinal);
        for (int seed = 0; seed < 120; seed++)
        {
            HistoryEvent[] events = [.. HistoriesOfAModel.Run(seed, _usual).Events];
            foreach ((string lie, History changed) in HistoriesLies.Of(events, new Random(seed)))
            {
                string? violation = LinearizabilityChecker.Check(changed);
                Assert.True(violation is not null && !violation.StartsWith("undecided", StringComparison.Ordinal), $"Seed {seed}: {lie} was accepted. {violation}");
                told[lie] = told.GetValueOrDefault(lie) + 1;
            }
        }

        foreach ((string lie, int count) in told)
            output.WriteLine($"{count} times: {lie}");
        Assert.Equal(HistoriesLies.Names.Order(StringComparer.Ordinal), told.Keys);
    }

    [Fact]
    public void A_search_that_is_given_up_vouches_for_nothing()
    {
        var story = new HistoriesStory();
        for (int n = 1; n <= 20; n++)
            story.Did($"c{n}", n, 100 + n, new DeleteKey("k"), new Removed(0)).Did($"d{n}", n, 100 + n, new PutKey("k", $"v{n}"), new Written(n, Created: n % 2 == 0));

        Assert.StartsWith("undecided: key k", LinearizabilityChecker.Check(story.History, configurationsMax: 1000), StringComparison.Ordinal);
    }
}

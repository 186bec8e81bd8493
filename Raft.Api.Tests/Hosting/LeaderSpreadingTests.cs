using Raft.Host.Hosting;

namespace Raft.Api.Tests.Hosting;

public sealed class LeaderSpreadingTests
{
    [Theory]
    [InlineData(1, 1, 3, false)]    // one group stays where it is
    [InlineData(3, 3, 1, false)]    // nobody else is there
    [InlineData(2, 3, 3, true)]
    [InlineData(1, 3, 3, false)]
    [InlineData(110, 300, 3, false)]    // a tenth more than its share is left alone
    [InlineData(111, 300, 3, true)]
    [InlineData(150, 300, 2, false)]    // the third is down: two share
    public void A_node_leads_too_many_when_it_leads_more_than_a_tenth_above_its_share(int own, int groups, int voters, bool tooMany) =>
        Assert.Equal(tooMany, LeaderSpreading.LeadsTooMany(own, groups, voters));

    [Fact]
    public void The_one_that_leads_fewest_gets_it_and_nobody_who_would_then_lead_as_many()
    {
        Assert.Equal('c', LeaderSpreading.TargetOf(5, [('a', 4), ('b', 2), ('c', 1)]));
        Assert.Null(LeaderSpreading.TargetOf(5, [('a', 4), ('b', 5)]));
        Assert.Null(LeaderSpreading.TargetOf<char>(5, []));
    }

    [Theory]
    [InlineData(300, 3)]
    [InlineData(7, 3)]
    [InlineData(2, 5)]
    [InlineData(100, 5)]
    public void However_it_begins_it_comes_to_rest_with_nobody_above_his_share_and_a_tenth(int groups, int nodes)
    {
        var random = new Random(7);
        int[] leads = new int[nodes];
        for (int group = 0; group < groups; group++)
            leads[random.Next(2)]++; // as after the restart of all others

        int handOvers = 0;
        for (bool moved = true; moved;)
        {
            moved = false;
            for (int node = 0; node < nodes; node++)
            {
                if (!LeaderSpreading.LeadsTooMany(leads[node], groups, nodes)
                    || LeaderSpreading.TargetOf(leads[node], Enumerable.Range(0, nodes).Where(other => other != node).Select(other => (other, leads[other]))) is not { } target)
                {
                    continue;
                }

                leads[node]--;
                leads[target]++;
                moved = true;
                Assert.True(++handOvers <= groups, "It goes on for ever.");
            }
        }

        Assert.DoesNotContain(leads, count => LeaderSpreading.LeadsTooMany(count, groups, nodes));
    }
}

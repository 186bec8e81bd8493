using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Simulation;

/// <summary>What can be expected of a cluster in which a fault stays.</summary>
public class LivenessPhaseTests
{
    /// <summary>A cluster of three voters and perhaps others, at rest.</summary>
    private static void Check(int voters, Action<SimulatedCluster> check) => World.Run(seed: 5, async world =>
    {
        var cluster = new SimulatedCluster(world, RunPlan.Draw(new RunSettings(5) { Operations = 0, Voters = voters, IsStorageReal = false }));
        await cluster.FormAsync();
        await world.UntilAsync(() => ClusterView.SettledConfiguration(cluster, cluster.First) is not null, "a leader");
        check(cluster);
    });

    [Theory]
    [InlineData(1, 1, false)]
    [InlineData(2, 1, false)]
    [InlineData(3, 1, true)]
    [InlineData(3, 2, false)]
    [InlineData(4, 1, true)]
    [InlineData(4, 2, false)]
    [InlineData(5, 2, true)]
    [InlineData(5, 3, false)]
    public void A_group_bears_the_loss_of_a_minority(int voters, int lost, bool isBorne) => Check(voters, cluster =>
        Assert.Equal(isBorne, Tolerance.CanBear(cluster, [[.. cluster.Nodes.Take(lost)]])));

    [Fact]
    public void Of_a_cut_link_each_end_alone_is_to_be_borne() => Check(3, cluster =>
    {
        Assert.True(Tolerance.CanBear(cluster, [[cluster.Nodes[0]], [cluster.Nodes[1]]]));
        Assert.False(Tolerance.CanBear(cluster, [[cluster.Nodes[0], cluster.Nodes[1]]]));
    });

    [Fact]
    public void Wanted_members_need_a_majority_without_what_is_lost_also_while_some_join() => Check(3, cluster =>
    {
        Configuration now = cluster.First.First;
        IReadOnlyList<IReadOnlyList<SimulatedNode>> lost = [[cluster.Nodes[0]]];
        Assert.True(Tolerance.CanBear(cluster, now, [.. now.Current], lost));
        Assert.True(Tolerance.CanBear(cluster, now, [.. now.Current.Skip(1)], lost));
        Assert.False(Tolerance.CanBear(cluster, now, [.. now.Current.Take(2)], lost));

        // n3 on a new disk: until it has joined n1, which is lost, and n2 would be left to vote.
        Member onNewDisk = now.Current[2] with { Storage = new StorageId(77) };
        Assert.False(Tolerance.CanBear(cluster, now, [now.Current[0], now.Current[1], onNewDisk], lost));
    });

    [Fact]
    public void Each_kind_of_fault_that_stays_strikes_where_it_can_be_borne_and_nowhere_else()
    {
        Check(3, cluster =>
        {
            foreach (string name in PermanentFaults.Names)
                Assert.NotNull(PermanentFaults.Draw(cluster, name, new Random(1)));
        });
        Check(1, cluster => Assert.True(PermanentFaults.Draw(cluster, "member-gone", new Random(1)) is not { } fault || !fault.Affects(cluster.Nodes[0])));
    }
}

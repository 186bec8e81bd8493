using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

/// <summary>What readiness after a start rests on.</summary>
public sealed class CaughtUpTests
{
    private const int Commands = 20;

    // Planted: eng/defects/A02-ready-as-soon-as-a-leader-is-known.defect
    [Fact]
    public void A_restarted_follower_has_caught_up_only_with_all_that_was_acknowledged() => Cluster.Run(3, seed: 911, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await cluster.World.UntilAsync(() => cluster.Members.All(member => member.Server.HasCaughtUp), "all have caught up");
        await AddAsync(leader, Commands);
        await cluster.EventuallyAsync(member => member.Applied.Count == Commands);
        Member restarted = followers[0];
        restarted.Crash();
        await AddAsync(leader, Commands);

        // Its leader is known at once, and what is committed is not: the log is read from a slow disk.
        restarted.Disk.SyncTime = () => TimeSpan.FromMilliseconds(120);
        await restarted.StartAsync();
        Assert.False(restarted.Server.HasCaughtUp);
        await AssertCompleteOnceCaughtUpAsync(cluster, 2 * Commands, restarted);
    });

    // Planted: eng/defects/A01-ready-by-the-leaders-word-of-before-its-election.defect
    [Fact]
    public void A_new_leaders_commit_index_of_before_its_election_proves_nothing() => Cluster.Run(3, seed: 912, async cluster =>
    {
        await AddAsync(await cluster.LeaderAsync(), Commands);
        await cluster.EventuallyAsync(member => member.Applied.Count == Commands);
        foreach (Member member in cluster.Members)
            member.Crash();
        foreach (Member member in cluster.Members)
        {
            member.Disk.SyncTime = () => TimeSpan.FromMilliseconds(120);    // a few ticks between a leader's first message and its first commit
            await member.StartAsync();
        }

        await AssertCompleteOnceCaughtUpAsync(cluster, Commands, [.. cluster.Members]);
    });

    [Fact]
    public void A_server_that_never_heard_a_leader_has_not_caught_up() => Cluster.Run(3, seed: 913, isStarted: false, scenario: async cluster =>
    {
        await cluster.Members[0].StartAsync();
        await cluster.PassAsync(5);

        Assert.False(cluster.Members[0].Server.HasCaughtUp);
    });

    [Fact]
    public void A_sole_voter_has_caught_up_once_it_has_committed_in_its_term() => Cluster.Run(1, seed: 914, async cluster =>
    {
        Member sole = await cluster.LeaderAsync();
        await AddAsync(sole, Commands);
        sole.Crash();
        await sole.StartAsync();
        await AssertCompleteOnceCaughtUpAsync(cluster, Commands, [.. cluster.Members]);
    });

    private static async Task AddAsync(Member leader, int count)
    {
        for (int n = 0; n < count; n++)
            await leader.AddAsync($"{n}");
    }

    private static async Task AssertCompleteOnceCaughtUpAsync(Cluster cluster, int commands, params Member[] restarted)
    {
        while (!Array.TrueForAll(restarted, member => member.Server.HasCaughtUp))
        {
            Assert.All(restarted.Where(member => member.Server.HasCaughtUp), member => Assert.Equal(commands, member.Applied.Count));
            await cluster.PassAsync(0.001);
        }

        Assert.All(restarted, member => Assert.Equal(commands, member.Applied.Count));
    }
}

using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

public sealed class StalenessTests
{
    [Fact]
    public void A_leader_that_has_applied_all_is_never_stale_and_a_follower_counts_from_the_last_word_of_it() => Cluster.Run(3, seed: 391, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        await cluster.EventuallyAsync(member => member.Applied.Count == 1);
        await cluster.PassAsync(0.1);
        Assert.Equal(TimeSpan.Zero, leader.Server.Staleness);
        Assert.InRange(followers[0].Server.Staleness!.Value, TimeSpan.Zero, TimeSpan.FromSeconds(0.2));

        cluster.Network.Isolate(followers[0].Id);
        await leader.AddAsync("two");
        await cluster.PassAsync(5);

        Assert.InRange(followers[0].Server.Staleness!.Value, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(5.3));
        cluster.Network.Heal();
        await cluster.World.UntilAsync(() => followers[0].Server.Staleness < TimeSpan.FromSeconds(1), "it has caught up");
        Assert.Equal(2, followers[0].Applied.Count);
    });

    [Fact]
    public void A_server_that_never_heard_a_leader_does_not_know() => Cluster.Run(3, seed: 392, isStarted: false, scenario: async cluster =>
    {
        await cluster.Members[0].StartAsync();
        await cluster.PassAsync(1);

        Assert.Null(cluster.Members[0].Server.Staleness);
    });

    [Fact]
    public void What_is_known_and_not_applied_is_stale() => Cluster.Run(3, seed: 393, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        await cluster.EventuallyAsync(member => member.Applied.Count == 1);
        followers[0].Machine.Hold();
        for (int n = 0; n < 50; n++)
        {
            await leader.AddAsync($"more {n}");
            await cluster.PassAsync(0.1);
        }

        Assert.True(followers[0].Server.Staleness > TimeSpan.FromSeconds(5), $"{followers[0].Server.Staleness}");
        followers[0].Machine.Release();
        await cluster.World.UntilAsync(() => followers[0].Server.Staleness < TimeSpan.FromSeconds(1), "it is fresh again");
    });

    [Fact]
    public void A_follower_of_an_idle_leader_is_as_fresh_as_the_last_frame() => Cluster.Run(3, seed: 394, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        await cluster.PassAsync(30);
        Assert.All(followers, follower => Assert.InRange(follower.Server.Staleness!.Value, TimeSpan.Zero, TimeSpan.FromSeconds(0.4)));

        // It went on without this one: the last quiet frame counts, and no later one.
        cluster.Network.Isolate(followers[0].Id);
        await cluster.PassAsync(0.2);
        await leader.AddAsync("two");
        await cluster.PassAsync(30);
        Assert.InRange(followers[0].Server.Staleness!.Value, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(31));
        Assert.InRange(followers[1].Server.Staleness!.Value, TimeSpan.Zero, TimeSpan.FromSeconds(0.4));
    });

    [Fact]
    public void A_quiet_word_that_a_message_has_passed_by_says_nothing()
    {
        var time = new VirtualTime();
        var freshness = new Freshness(time);
        freshness.OnLeaderCommit(new LogIndex(9), applied: new LogIndex(5), TimeSpan.Zero);
        time.AdvanceTo(time.Ticks + TimeSpan.TicksPerSecond);

        freshness.OnLeaderCommit(new LogIndex(5), applied: new LogIndex(5), TimeSpan.FromSeconds(0.1));

        Assert.Null(freshness.Age);
    }

    [Fact]
    public void An_old_message_that_comes_late_says_nothing_new()
    {
        var time = new VirtualTime();
        var freshness = new Freshness(time);
        Assert.Null(freshness.Age);
        freshness.OnLeaderCommit(new LogIndex(5), applied: new LogIndex(5), TimeSpan.Zero);
        time.AdvanceTo(time.Ticks + TimeSpan.TicksPerSecond);
        freshness.OnLeaderCommit(new LogIndex(9), applied: new LogIndex(5), TimeSpan.Zero);
        time.AdvanceTo(time.Ticks + TimeSpan.TicksPerSecond);

        freshness.OnLeaderCommit(new LogIndex(4), applied: new LogIndex(5), TimeSpan.Zero);
        Assert.Equal(TimeSpan.FromSeconds(2), freshness.Age);

        freshness.OnApplied(new LogIndex(9));
        Assert.Equal(TimeSpan.Zero, freshness.Age);     // the late one came after the commit of 9 was known
    }
}

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

/// <summary>A clock is trusted only as far as others, or the monotonic clock, confirm it.</summary>
public sealed class LogClockTests
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Year = TimeSpan.FromDays(400);

    // Planted: eng/defects/T01-leaders-clock-is-believed.defect
    [Fact]
    public void A_leap_of_the_leaders_clock_alone_is_refused() => Cluster.Run(3, seed: 1, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        leader.Shard.Clock.WallOffset = Year;
        await cluster.PassAsync(3);
        for (int n = 0; n < 50; n++)
        {
            await leader.AddAsync($"{n}");
            await cluster.PassAsync(0.05);
        }

        AssertStamp(cluster, leader, TimeSpan.Zero, within: 6);
        Assert.InRange(leader.Server.RefusedClockLeap, Year - TimeSpan.FromSeconds(1), Year + TimeSpan.FromSeconds(1));
        leader.Shard.Clock.WallOffset = TimeSpan.Zero;
        await cluster.PassAsync(1);
        Assert.Equal(TimeSpan.Zero, leader.Server.RefusedClockLeap);
        await cluster.PassAsync(10);
        await leader.AddAsync("last");
        AssertStamp(cluster, leader, TimeSpan.Zero, within: 0.1);
        AssertNeverFalls(leader);
    });

    [Fact]
    public void A_clock_that_a_quorum_denies_is_not_believed_while_the_quorum_is_silent() => Cluster.Run(3, seed: 13, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        foreach (Member member in cluster.Members)
            member.Shard.Clock.WallOffset = member == leader ? Year : TimeSpan.Zero;
        await cluster.PassAsync(60);        // longer than a clock takes to be believed where no other is known
        for (int n = 0; n < 12; n++)
        {
            // No frame is fresh then, and the leader has not stepped down yet.
            cluster.Network.Loss = 1;
            await cluster.PassAsync(0.4 + (0.015 * n));
            Task write = leader.AddAsync($"{n}");
            await cluster.PassAsync(0.05);
            cluster.Network.Loss = 0;
            try
            {
                await write;
            }
            catch (RaftException)
            {
                // It was too long: another leads now. The wrong clock is the next leader's too.
            }

            leader = await cluster.LeaderAsync();
            foreach (Member member in cluster.Members)
                member.Shard.Clock.WallOffset = member == leader ? Year : TimeSpan.Zero;
            await cluster.PassAsync(35);
        }

        await leader.AddAsync("last");

        AssertStamp(cluster, leader, TimeSpan.Zero, within: 6);
    });

    [Fact]
    public void A_leader_whose_clock_is_behind_stamps_by_those_of_the_others() => Cluster.Run(3, seed: 2, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        leader.Shard.Clock.WallOffset = -Hour;
        await cluster.PassAsync(300);
        await leader.AddAsync("two");
        AssertStamp(cluster, leader, TimeSpan.Zero, within: 6);
        AssertNeverFalls(leader);
    });

    [Fact]
    public void A_leap_of_all_clocks_is_followed_at_once() => Cluster.Run(3, seed: 3, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        foreach (Member member in cluster.Members)
            member.Shard.Clock.WallOffset = Hour;
        await cluster.PassAsync(1);
        await leader.AddAsync("two");
        AssertStamp(cluster, leader, Hour, within: 0.1);
        Assert.Equal(TimeSpan.Zero, leader.Server.RefusedClockLeap);
    });

    // Planted: eng/defects/T06-one-clock-moves-the-log.defect
    [Fact]
    public void Of_two_voters_neither_moves_the_log_alone() => Cluster.Run(2, seed: 4, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        followers[0].Shard.Clock.WallOffset = Hour;
        await cluster.PassAsync(60);
        await leader.AddAsync("two");
        AssertStamp(cluster, leader, TimeSpan.Zero, within: 0.1);
        followers[0].Shard.Clock.WallOffset = -Hour;
        await cluster.PassAsync(60);
        await leader.AddAsync("three");
        AssertStamp(cluster, leader, TimeSpan.Zero, within: 0.1);
        followers[0].Shard.Clock.WallOffset = TimeSpan.Zero;
        leader.Shard.Clock.WallOffset = Hour;
        await cluster.PassAsync(60);
        await leader.AddAsync("four");
        AssertStamp(cluster, leader, TimeSpan.Zero, within: 6);
    });

    [Fact]
    public void A_new_leader_with_a_wrong_clock_changes_nothing() => Cluster.Run(3, seed: 5, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        followers[0].Shard.Clock.WallOffset = Year;
        await cluster.PassAsync(1);
        await leader.Server.TransferLeadershipAsync(followers[0].Id.Node, TimeSpan.FromSeconds(5), default);
        await followers[0].AddAsync("two");
        AssertStamp(cluster, followers[0], TimeSpan.Zero, within: 6);
    });

    [Fact]
    public void The_first_stamp_of_a_log_is_that_of_a_quorum_too() => Cluster.Run(3, seed: 11, isStarted: false, scenario: async cluster =>
    {
        Member wrong = cluster.Members[0];
        wrong.WallOffset = Year;
        foreach (Member member in cluster.Members)
            await member.StartAsync();
        Member leader = await cluster.LeaderAsync();
        if (leader != wrong)
            await leader.Server.TransferLeadershipAsync(wrong.Id.Node, TimeSpan.FromSeconds(5), default);
        await wrong.AddAsync("one");
        AssertStamp(cluster, wrong, TimeSpan.Zero, within: 6);
    });

    [Fact]
    public void After_a_long_stop_of_the_whole_cluster_the_first_stamp_is_of_today() => Cluster.Run(3, seed: 6, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        await cluster.EventuallyAsync(member => member.Applied.Count == 1);
        foreach (Member member in cluster.Members)
        {
            member.Crash();
            member.WallOffset = Year;
        }

        foreach (Member member in cluster.Members)
            await member.StartAsync();
        Member next = await cluster.LeaderAsync();
        await next.AddAsync("two");
        AssertStamp(cluster, next, Year, within: 0.1);
    });

    // Planted: eng/defects/T05-sole-clock-is-believed-at-once.defect
    [Fact]
    public void A_sole_voter_believes_its_clock_at_its_start_and_a_leap_only_once_it_lasts() => Cluster.Run(1, seed: 7, async cluster =>
    {
        Member sole = cluster.Members[0];
        await sole.AddAsync("one");
        sole.Crash();
        sole.WallOffset = Hour;
        await sole.StartAsync();
        await sole.AddAsync("two");
        AssertStamp(cluster, sole, Hour, within: 0.1);

        sole.Shard.Clock.WallOffset = Year;
        await cluster.PassAsync(20);
        for (int n = 0; n < 20; n++)
            await sole.AddAsync($"three {n}");      // the bound is not granted with each of them
        AssertStamp(cluster, sole, Hour, within: 6);
        Assert.NotEqual(TimeSpan.Zero, sole.Server.RefusedClockLeap);
        await cluster.PassAsync(12);
        await sole.AddAsync("four");
        AssertStamp(cluster, sole, Year, within: 0.1);
        AssertNeverFalls(sole);
    });

    // Planted: eng/defects/T04-log-that-is-ahead-stands-still.defect
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_log_that_is_ahead_goes_on_slowly_and_says_so(int voters) => Cluster.Run(voters, seed: 8, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        await MakeAheadAsync(cluster, leader, Hour);
        long stamp = leader.Machine.Commands[^1].TimeMs;
        await cluster.PassAsync(300);
        for (int n = 0; n < 200; n++)
        {
            await leader.AddAsync($"{n}");      // the halves of milliseconds add up
            await cluster.PassAsync(0.001);
        }

        Assert.InRange(leader.Machine.Commands[^1].TimeMs - stamp, 149_000, 152_000);
        Assert.InRange(leader.Server.LogTimeAhead.TotalSeconds, 3600 - 152 - 6, 3600 - 145);

        leader.Server.ClockOffsetMs = leader.Server.WantedClockOffsetMs;
        await cluster.PassAsync(0.06);      // a tick
        stamp = leader.Machine.Commands[^1].TimeMs;
        for (int n = 0; n < 20; n++)
        {
            await cluster.PassAsync(0.05);
            Assert.Equal(0, leader.Server.WantedClockOffsetMs);     // it is not asked for twice
        }

        await cluster.PassAsync(99);
        await leader.AddAsync("corrected");
        Assert.InRange(leader.Machine.Commands[^1].TimeMs - stamp, 95_000, 106_000);
        Assert.Equal(TimeSpan.Zero, leader.Server.LogTimeAhead);
        AssertNeverFalls(leader);
    });

    [Fact]
    public void Peers_that_do_not_tell_their_clocks_leave_a_leap_to_time() => Cluster.Run(3, seed: 9, async cluster =>
    {
        foreach (Member member in cluster.Members)
            member.Endpoint.Clock = null;
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        await cluster.PassAsync(2);
        leader.Shard.Clock.WallOffset = Hour;
        await cluster.PassAsync(20);
        await leader.AddAsync("two");
        AssertStamp(cluster, leader, TimeSpan.Zero, within: 6);
        await cluster.PassAsync(12);
        await leader.AddAsync("three");
        AssertStamp(cluster, leader, Hour, within: 0.1);
        Assert.False(leader.Server.AreClocksKnown);
    });

    // Planted: eng/defects/T03-last-entry-is-not-loaded.defect
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Stamps_never_fall_however_small_the_cache(bool isWithheld) => Cluster.Run(1, seed: 10, settings: NoCache, scenario: async cluster =>
    {
        Member sole = cluster.Members[0];
        await sole.AddAsync("one");
        sole.Crash();
        sole.WallOffset = -Hour;
        sole.Wrap = storage => isWithheld ? new WithoutEntries(storage) : storage;
        await sole.StartAsync();
        await sole.AddAsync("two");
        AssertNeverFalls(sole);
        Assert.Equal(2, sole.Machine.Commands.Count);
    });

    // Planted: eng/defects/T02-bound-is-granted-with-each-entry.defect
    [Fact]
    public void A_clock_that_runs_fast_is_followed_no_further_than_the_bound() => Cluster.Run(1, seed: 12, async cluster =>
    {
        Member sole = cluster.Members[0];
        await sole.AddAsync("one");
        for (int n = 1; n <= 60; n++)
        {
            sole.Shard.Clock.WallOffset = TimeSpan.FromSeconds(2 * n);
            await cluster.PassAsync(1);
            await sole.AddAsync($"{n}");
        }

        AssertStamp(cluster, sole, TimeSpan.Zero, within: 6);
    });

    private static RaftServerSettings NoCache(RaftServerSettings settings) => settings with { Protocol = settings.Protocol with { MaxCacheBytes = 0 } };

    /// <summary>As a release that took every clock for right would have left it.</summary>
    private static async Task MakeAheadAsync(Cluster cluster, Member leader, TimeSpan ahead)
    {
        foreach (Member member in cluster.Members)
            member.Shard.Clock.WallOffset = ahead;
        await cluster.PassAsync(61);
        await leader.AddAsync("under a wrong clock");
        foreach (Member member in cluster.Members)
            member.Shard.Clock.WallOffset = TimeSpan.Zero;
        await leader.AddAsync("under the right clock");
    }

    private static void AssertStamp(Cluster cluster, Member member, TimeSpan offset, double within)
    {
        long now = (cluster.World.Time.GetUtcNow() + offset).ToUnixTimeMilliseconds();
        Assert.InRange(member.Machine.Commands[^1].TimeMs, now - (long)(within * 1000), now + (long)(within * 1000));
    }

    private static void AssertNeverFalls(Member member)
    {
        for (int i = 1; i < member.Machine.Commands.Count; i++)
            Assert.True(member.Machine.Commands[i - 1].TimeMs <= member.Machine.Commands[i].TimeMs);
    }

    /// <summary>A storage that does not give the last entry, as one whose state was read before with another bound.</summary>
    private sealed class WithoutEntries(IRaftStorage storage) : IRaftStorage
    {
        public async ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation) =>
            await storage.LoadAsync(cacheBytes, cancellation) with { RecentEntries = [] };

        public Task PersistAsync(PersistRequest? request) => storage.PersistAsync(request);

        public ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation) =>
            storage.ReadEntriesAsync(from, to, maxBytes, cancellation);

        public Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation) => storage.WriteSnapshotAsync(picture, cancellation);

        public ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
            storage.ReceiveSnapshotAsync(descriptor, cancellation);

        public ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
            storage.OpenSnapshotAsync(descriptor, cancellation);
    }
}

using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

// After B4: replication and restart.
public sealed class ReplicationTests
{
    private static string[] Commands(int count, string prefix = "c") => [.. Enumerable.Range(0, count).Select(n => $"{prefix}{n}")];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void What_the_leader_adds_is_applied_everywhere_in_order(int voters) => Cluster.Run(voters, seed: 11, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        string[] commands = Commands(100);

        AddedEntry[] added = await Expect.AllAsync(commands.Select(command => leader.AddAsync(command)));

        Assert.Equal("c7 is number 8", added[7].Result);
        Assert.True(added.Zip(added.Skip(1)).All(pair => pair.First.Index < pair.Second.Index));
        await cluster.ConvergesToAsync(commands);
    });

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void Lost_late_doubled_and_reordered_messages_change_nothing(int seed) => Cluster.Run(3, seed, async cluster =>
    {
        cluster.Network.IsReordering = true;
        cluster.Network.Loss = 0.1;
        cluster.Network.Doubling = 0.1;
        cluster.Network.MaxDelay = TimeSpan.FromMilliseconds(8);

        List<string> acknowledged = [];
        for (int n = 0; n < 60; n++)
        {
            Member member = await cluster.LeaderAsync();
            try
            {
                await member.AddAsync($"c{n}", WaitFor.Committed);
                acknowledged.Add($"c{n}");
            }
            catch (Errors.RaftException)
            {
                // A leader may change; what was not acknowledged may be there or not.
            }
        }

        cluster.Network.Loss = 0;
        cluster.Network.Doubling = 0;
        await cluster.EventuallyAsync(member => member.Applied.SequenceEqual(cluster.Members[0].Applied) && acknowledged.All(member.Applied.Contains));
        Assert.True(acknowledged.Count > 50);
        Assert.Equal(cluster.Members[0].Applied.Count, cluster.Members[0].Applied.Distinct().Count());
    });

    [Fact]
    public void A_learner_gets_the_log_and_never_counts() => Cluster.Run(1, seed: 3, learners: 1, scenario: async cluster =>
    {
        (Member leader, Member[] others) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        await cluster.ConvergesToAsync("one");

        cluster.Network.Isolate(others[0].Id);
        await leader.AddAsync("two");               // needs no learner

        Assert.Equal(["one"], others[0].Applied);
        cluster.Network.Heal();
        await cluster.ConvergesToAsync("one", "two");
        Assert.NotEqual(Role.Leader, others[0].Server.Role);
    });

    [Fact]
    public void A_follower_that_was_away_catches_up_without_new_entries() => Cluster.Run(3, seed: 4, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        followers[0].Crash();
        string[] commands = Commands(500);
        await Expect.AllAsync(commands.Select(command => leader.AddAsync(command)));

        await followers[0].StartAsync();

        await cluster.ConvergesToAsync(commands);
    });

    [Fact]
    public void A_lagging_follower_is_served_from_the_disk_when_memory_has_let_go() => Cluster.Run(
        3, seed: 5,
        settings: one => one with { Protocol = one.Protocol with { MaxCacheBytes = 1_000 } },
        scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            followers[0].Crash();
            string[] commands = Commands(1_000);
            foreach (string[] some in commands.Chunk(100))
                await Expect.AllAsync(some.Select(command => leader.AddAsync(command)));

            await followers[0].StartAsync();

            await cluster.ConvergesToAsync(commands);
        });

    [Fact]
    public void A_paused_follower_costs_the_others_nothing_and_catches_up() => Cluster.Run(3, seed: 6, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        followers[0].Pause();
        string[] commands = Commands(2_000);
        foreach (string[] some in commands.Chunk(100))
            await Expect.AllAsync(some.Select(command => leader.AddAsync(command)));
        await cluster.PassAsync(3);
        Assert.True(leader.IsLeader);

        followers[0].Resume();

        await cluster.ConvergesToAsync(commands);
    });

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    public void After_a_power_cut_everywhere_all_that_was_acknowledged_is_there(int voters) => Cluster.Run(voters, seed: 21, async cluster =>
    {
        List<string> acknowledged = [];
        Term highest = Term.Zero;
        for (int round = 0; round < 10; round++)
        {
            Member leader = await cluster.LeaderAsync();
            List<Task<AddedEntry>> calls = [.. Commands(50, $"r{round}-").Select(command => leader.AddAsync(command, WaitFor.Committed))];
            await cluster.World.UntilAsync(() => calls.Count(call => call.IsCompletedSuccessfully) >= 20, "some acknowledgements");
            for (int i = 0; i < calls.Count; i++)
            {
                if (calls[i].IsCompletedSuccessfully)
                    acknowledged.Add($"r{round}-{i}");
            }

            foreach (Member member in cluster.Members)
            {
                Assert.True(member.Disk.TermAndVote.Term >= highest || member != leader, "the term went back");
                member.Crash();
            }

            highest = leader.Disk.TermAndVote.Term;
            foreach (Member member in cluster.Members)
                await member.StartAsync();
        }

        await cluster.LeaderAsync();
        await cluster.EventuallyAsync(member => acknowledged.All(member.Applied.Contains));
        await cluster.EventuallyAsync(member => member.Applied.SequenceEqual(cluster.Members[0].Applied));
        Assert.Equal(cluster.Members[0].Applied.Count, cluster.Members[0].Applied.Distinct().Count());
    });

    [Fact]
    public void A_restarted_member_rebuilds_its_state_by_replay() => Cluster.Run(3, seed: 22, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        string[] commands = Commands(300);
        await Expect.AllAsync(commands.Select(command => leader.AddAsync(command)));

        leader.Crash();
        await cluster.LeaderAsync(otherThan: leader);
        await leader.StartAsync();

        Assert.Empty(leader.Applied);               // nothing is known to be committed yet
        await cluster.ConvergesToAsync(commands);
    });

    [Fact]
    public void Time_stamps_never_fall_over_leaders() => Cluster.Run(3, seed: 23, async cluster =>
    {
        for (int n = 0; n < 4; n++)
        {
            Member leader = await cluster.LeaderAsync();
            await leader.AddAsync($"c{n}");
            leader.Crash();
            await cluster.LeaderAsync(otherThan: leader);
            await leader.StartAsync();
        }

        await cluster.EventuallyAsync(member => member.Applied.Count == 4);
        Assert.All(cluster.Members, member => Assert.Equal(member.Machine.Commands.Select(c => c.TimeMs).Order(), member.Machine.Commands.Select(c => c.TimeMs)));
    });

    [Fact]
    public void An_idle_group_sends_nothing() => Cluster.Run(3, seed: 24, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        await cluster.ConvergesToAsync("one");
        await cluster.PassAsync(1);

        int sent = 0;
        cluster.Network.Filter = _ =>
        {
            sent++;
            return true;
        };
        await cluster.PassAsync(20);

        Assert.Equal(0, sent);
        Assert.True(leader.IsLeader);
    });

    [Fact]
    public void A_single_voter_needs_no_messages() => Cluster.Run(1, seed: 25, async cluster =>
    {
        cluster.Network.Filter = message => throw new InvalidOperationException($"{message} was sent.");
        Member leader = await cluster.LeaderAsync();
        await leader.AddAsync("one");
        Assert.Equal(["one"], leader.Applied);
    });
}

using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

// A slow state machine slows only itself. Rule 2 and design 3.2.
public sealed class ApplierTests
{
    [Fact]
    public void A_slow_state_machine_delays_neither_commit_nor_leadership() => Cluster.Run(3, seed: 81, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Term term = leader.Server.CurrentTerm;
        leader.Machine.Hold();

        Task<AddedEntry> applied = leader.AddAsync("one");
        for (int n = 0; n < 50; n++)
            await leader.AddAsync($"c{n}", WaitFor.Committed);
        await cluster.PassAsync(5);

        Assert.False(applied.IsCompleted);
        Assert.True(leader.IsLeader);
        Assert.Equal(term, leader.Server.CurrentTerm);
        Assert.Equal(51, followers[0].Applied.Count);
        leader.Machine.Release();
        Assert.Equal("one is number 1", (await applied).Result);
    });

    [Fact]
    public void A_slow_state_machine_of_a_follower_delays_only_who_asked_there() => Cluster.Run(3, seed: 82, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        followers[0].Machine.Hold();

        Task<AddedEntry> applied = followers[0].AddAsync("one");
        AddedEntry committed = await followers[0].AddAsync("two", WaitFor.Committed);
        await leader.AddAsync("three");

        Assert.False(applied.IsCompleted);
        Assert.True(followers[0].Server.CommitIndex >= committed.Index);
        followers[0].Machine.Release();
        Assert.Equal("one is number 1", (await applied).Result);
    });

    [Fact]
    public void Commands_come_in_bounded_batches() => Cluster.Run(
        1, seed: 83, settings: one => one with { MaxApplyEntries = 16 },
        scenario: async cluster =>
        {
            Member leader = await cluster.LeaderAsync();
            string[] commands = [.. Enumerable.Range(0, 200).Select(n => $"c{n}")];
            await Expect.AllAsync(commands.Select(command => leader.AddAsync(command)));

            Assert.Equal(commands, leader.Applied);
            Assert.Equal(16, leader.Machine.LargestCall);
        });

    [Fact]
    public void A_call_takes_bounded_bytes_and_a_larger_command_alone() => Cluster.Run(
        1, seed: 84, settings: one => one with { MaxApplyBytes = 500 },
        scenario: async cluster =>
        {
            Member leader = await cluster.LeaderAsync();
            await Expect.AllAsync(Enumerable.Range(0, 20).Select(n => leader.AddAsync(new string('x', 1_000))));
            Assert.Equal(1, leader.Machine.LargestCall);
            Assert.Equal(20, leader.Applied.Count);
        });

    [Fact]
    public void A_state_machine_that_fails_stops_the_server() => Cluster.Run(3, seed: 85, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        leader.Machine.IsFailing = true;

        StoppedException error = await Expect.FailsAsync<StoppedException>(leader.AddAsync("one"));

        Assert.Equal(WriteOutcome.Unknown, error.Outcome);
        await Expect.FailsAsync<InvalidOperationException>(leader.Server.Stopped);
        Member next = await cluster.LeaderAsync(otherThan: leader);
        await cluster.World.UntilAsync(() => next.Applied.Contains("one"), "the entry is applied elsewhere: unknown was the truth");
    });
}

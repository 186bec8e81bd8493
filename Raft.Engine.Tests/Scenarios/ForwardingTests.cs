using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

// Calls made on a follower, and what their caller knows at the end. Rule 11.
public sealed class ForwardingTests
{
    [Theory]
    [InlineData(WaitFor.Committed)]
    [InlineData(WaitFor.Applied)]
    public void A_follower_answers_with_its_own_state_machines_result(WaitFor wait) => Cluster.Run(3, seed: 51, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();

        AddedEntry added = await followers[0].AddAsync("one", wait);

        Assert.Equal(wait == WaitFor.Applied ? "one is number 1" : null, added.Result);
        if (wait == WaitFor.Applied)
            Assert.Equal(["one"], followers[0].Applied);
        Assert.True(followers[0].Server.CommitIndex >= added.Index);
    });

    [Fact]
    public void Many_calls_at_once_from_everywhere_each_get_their_own_result() => Cluster.Run(3, seed: 52, async cluster =>
    {
        await cluster.RolesAsync();
        List<(Member Member, string Command, Task<AddedEntry> Call)> calls = [];
        for (int n = 0; n < 256; n++)
        {
            Member member = cluster.Members[n % 3];
            calls.Add((member, $"c{n}", member.AddAsync($"c{n}")));
        }

        foreach ((Member member, string command, Task<AddedEntry> call) in calls)
        {
            AddedEntry added = await call;
            Assert.StartsWith($"{command} is number ", (string)added.Result!);
            Assert.Contains(command, member.Applied);
        }

        await cluster.EventuallyAsync(member => member.Applied.Count == 256);
    });

    [Fact]
    public void A_forwarded_write_does_not_wait_for_a_tick() => Cluster.Run(3, seed: 53, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        await followers[0].AddAsync("warm");
        TimeSpan before = cluster.World.Time.Now;

        for (int n = 0; n < 20; n++)
            await followers[0].AddAsync($"c{n}");

        // Messages take up to 1 ms and syncs up to 1.2 ms; a tick is 50 ms.
        Assert.True(cluster.World.Time.Now - before < TimeSpan.FromMilliseconds(20 * 10), $"{cluster.World.Time.Now - before}");
    });

    [Fact]
    public void A_reply_that_comes_after_its_entry_was_applied_still_brings_the_result() => Cluster.Run(3, seed: 54, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await followers[0].AddAsync("warm");
        TimeSpan slow = TimeSpan.FromMilliseconds(30);
        cluster.Network.ReplyDelay = _ => slow;

        AddedEntry[] added = await Expect.AllAsync(Enumerable.Range(0, 50).Select(n => followers[0].AddAsync($"c{n}")));

        Assert.Equal("c49 is number 51", added[49].Result);
    });

    [Fact]
    public void Without_a_leader_a_call_waits_for_one() => Cluster.Run(3, seed: 55, isStarted: false, scenario: async cluster =>
    {
        await cluster.Members[0].StartAsync();
        Task<AddedEntry> call = cluster.Members[0].AddAsync("early");
        await cluster.PassAsync(3);
        Assert.False(call.IsCompleted);

        await cluster.Members[1].StartAsync();

        Assert.Equal("early is number 1", (await call).Result);
    });

    [Fact]
    public void Time_that_is_up_without_a_quorum_names_the_voters_that_are_missing() => Cluster.Run(3, seed: 56, isStarted: false, scenario: async cluster =>
    {
        await cluster.Members[0].StartAsync();
        using var cancellation = new CancellationTokenSource();
        Task call = cluster.Members[0].AddAsync("early", cancellation: cancellation.Token);
        await cluster.PassAsync(1);

        cancellation.Cancel();

        RaftTimeoutException error = await Expect.FailsAsync<RaftTimeoutException>(call);
        Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
        Assert.Contains("n2, n3", error.Message);
    });

    [Fact]
    public void A_lost_reply_means_unknown_and_is_not_tried_again() => Cluster.Run(3, seed: 57, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.ReplyFilter = _ => false;

        CommitStatusUnknownException error = await Expect.FailsAsync<CommitStatusUnknownException>(followers[0].AddAsync("maybe"));

        Assert.Equal(WriteOutcome.Unknown, error.Outcome);
        await cluster.ConvergesToAsync("maybe");       // it was committed, once
    });

    [Fact]
    public void A_leader_that_dies_with_a_forwarded_entry_leaves_it_unknown() => Cluster.Run(3, seed: 58, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Task call = followers[0].AddAsync("maybe");
        cluster.World.Schedule(TimeSpan.FromMilliseconds(0.1), leader.Crash);

        await Expect.FailsAsync<CommitStatusUnknownException>(call);

        Member next = await cluster.LeaderAsync(otherThan: leader);
        await next.AddAsync("after");
    });

    [Fact]
    public void A_leader_that_is_gone_was_never_asked_so_the_call_goes_to_the_next() => Cluster.Run(3, seed: 59, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        leader.Crash();

        // The follower still believes in the leader; its connection does not.
        Task<AddedEntry> call = followers[0].AddAsync("later");

        Assert.Equal("later is number 1", (await call).Result);
    });

    /// <summary>B9 30: dropped, with proof.</summary>
    [Fact]
    public void A_forwarded_entry_that_was_overtaken_is_dropped_with_proof() => Cluster.Run(5, seed: 60, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        // The leader and one follower end up alone: the call is appended there and never on a majority.
        foreach (Member other in followers.Skip(1))
            cluster.Network.Isolate(other.Id);
        foreach (Member a in followers.Skip(1))
        {
            foreach (Member b in followers.Skip(1))
                cluster.Network.Join(a.Id, b.Id);
        }

        Task doomed = followers[0].AddAsync("doomed");
        Member next = await cluster.LeaderAsync(otherThan: leader);
        await next.AddAsync("after");
        Assert.False(doomed.IsCompleted);
        cluster.Network.Heal();

        DroppedEntryException error = await Expect.FailsAsync<DroppedEntryException>(doomed);
        Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
        await cluster.ConvergesToAsync("after");
    });

    [Fact]
    public void An_own_entry_that_the_next_leader_kept_succeeds() => Cluster.Run(3, seed: 61, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        // The followers get the entry; the leader never hears that.
        cluster.Network.Filter = message => message is not AppendReply;
        Task<AddedEntry> call = leader.AddAsync("kept");
        await cluster.World.UntilAsync(() => followers.All(member => member.Disk.Entries.Count == leader.Disk.Entries.Count && member.Disk.Entries[^1].Kind == EntryKind.Command), "the entry on all disks");
        cluster.Network.Filter = null;
        cluster.Network.Isolate(leader.Id);
        await cluster.LeaderAsync(otherThan: leader);
        cluster.Network.Heal();

        Assert.Equal("kept is number 1", (await call).Result);
    });

    [Fact]
    public void Forwarding_can_be_turned_off() => Cluster.Run(
        3, seed: 62, settings: one => one with { ForwardCalls = false },
        scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();

            NotLeaderException error = await Expect.FailsAsync<NotLeaderException>(followers[0].AddAsync("no"));

            Assert.Equal(leader.Id, error.Leader);
            await leader.AddAsync("yes");
        });

    [Fact]
    public void A_stranger_is_refused() => Cluster.Run(3, seed: 63, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        var stranger = new ServerId(new NodeId("n1"), new StorageId(99));

        LeaderReply reply = await leader.Server.ReceiveCallAsync(stranger, new AddEntryCall(new byte[1], 1_000));

        Assert.Equal(CallRefusal.NotMember, Assert.IsType<CallRefusedReply>(reply).Reason);
    });

    [Fact]
    public void Whoever_does_not_lead_says_so() => Cluster.Run(3, seed: 64, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();

        LeaderReply reply = await followers[0].Server.ReceiveCallAsync(followers[1].Id, new AddEntryCall(new byte[1], 1_000));

        Assert.Equal(leader.Id, Assert.IsType<NotLeaderReply>(reply).Leader);
    });

    [Fact]
    public void A_command_over_the_limit_is_refused_before_it_leaves() => Cluster.Run(
        3, seed: 65, settings: one => one with { MaxCommandBytes = 10 },
        scenario: async cluster =>
        {
            await cluster.RolesAsync();
            foreach (Member member in cluster.Members)
            {
                CommandTooBigException error = await Expect.FailsAsync<CommandTooBigException>(member.AddAsync("12345678901"));
                Assert.Equal((11, 10), (error.Size, error.Limit));
                await member.AddAsync("1234567890");
            }
        });
}

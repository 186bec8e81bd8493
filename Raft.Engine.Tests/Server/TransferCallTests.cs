using System.Globalization;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// TransferLeadershipAsync and StepDownAsync. Rule 10; scenario 26.
public sealed class TransferCallTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(3);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Leadership_goes_to_the_voter_that_is_named(bool isForwarded) => Cluster.Run(3, seed: 371, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member asked = isForwarded ? followers[0] : leader;

        ServerId? now = await asked.Server.TransferLeadershipAsync(followers[1].Id.Node, Soon, default);

        Assert.Equal(followers[1].Id, now);
        await cluster.World.UntilAsync(() => followers[1].IsLeader, "it leads");
    });

    [Fact]
    public void Without_a_name_it_goes_to_some_other_voter() => Cluster.Run(3, seed: 372, learners: 1, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();

        ServerId? now = await followers[0].Server.TransferLeadershipAsync(null, Soon, default);

        Assert.NotEqual(leader.Id, now);
        Assert.True(cluster.Configuration.CanVote(now!.Value));
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Who_cannot_lead_is_refused_and_nothing_changes(bool isForwarded) => Cluster.Run(3, seed: 373, learners: 1, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        RaftServer asked = (isForwarded ? followers[0] : leader).Server;
        Member dead = followers.First(member => member.Server != asked && cluster.Configuration.CanVote(member.Id));
        dead.Crash();
        await cluster.World.UntilAsync(() => leader.Server.Peers.Any(peer => peer.Server == dead.Id && !peer.IsAlive), "its death is known");

        foreach (string name in (string[])["nobody", leader.Id.Node.Value, "n4", dead.Id.Node.Value])
        {
            InvalidTransferTargetException error = await Expect.FailsAsync<InvalidTransferTargetException>(asked.TransferLeadershipAsync(new NodeId(name), Soon, default));
            Assert.Contains(name, error.Message);
        }

        Assert.True(leader.IsLeader);
        await cluster.World.UntilAsync(() => asked.Status.PendingCalls == 0, "no call is left");
    });

    [Fact]
    public void A_sole_voter_keeps_it() => Cluster.Run(1, seed: 374, learners: 1, scenario: async cluster =>
    {
        Member leader = await cluster.LeaderAsync();

        await Expect.FailsAsync<NoOtherVoterException>(leader.Server.StepDownAsync(Soon, default));
        await Expect.FailsAsync<NoOtherVoterException>(leader.Server.TransferLeadershipAsync(null, Soon, default));

        await leader.AddAsync("still");
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_target_that_does_not_take_over_in_time_leaves_it_where_it_is(bool isForwarded) => Cluster.Run(3, seed: 375, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.Filter = message => message is not TimeoutNow;
        Member asked = isForwarded ? followers[0] : leader;
        TimeSpan began = cluster.World.Time.Now;

        Task<ServerId?> transfer = asked.Server.TransferLeadershipAsync(followers[1].Id.Node, TimeSpan.FromSeconds(1), default);
        await cluster.PassAsync(0.1);
        Task<AddedEntry> write = leader.AddAsync("waits");
        RaftTimeoutException error = await Expect.FailsAsync<RaftTimeoutException>(transfer);

        Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
        Assert.InRange((cluster.World.Time.Now - began).TotalSeconds, 0.9, 1.3);
        Assert.Equal("waits is number 1", (await write).Result);
        Assert.True(leader.IsLeader);
    });

    [Fact]
    public void A_leader_that_did_not_answer_but_leads_no_more_has_done_it() => Cluster.Run(3, seed: 376, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.ReplyFilter = call => call is not TransferCall;

        ServerId? now = await followers[0].Server.TransferLeadershipAsync(followers[1].Id.Node, Soon, default);

        Assert.Equal(followers[1].Id, now);
        Assert.False(leader.IsLeader);
    });

    [Fact]
    public void A_leader_that_did_not_answer_and_leads_on_may_have_been_asked() => Cluster.Run(3, seed: 377, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.ReplyFilter = call => call is not TransferCall;
        cluster.Network.Filter = message => message is not TimeoutNow;

        RaftTimeoutException error = await Expect.FailsAsync<RaftTimeoutException>(followers[0].Server.TransferLeadershipAsync(null, Soon, default));

        Assert.Equal(WriteOutcome.Unknown, error.Outcome);
    });

    [Fact]
    public void To_step_down_is_done_at_once_where_nobody_leads() => Cluster.Run(3, seed: 378, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();

        await followers[0].Server.StepDownAsync(Soon, default);
        Assert.True(leader.IsLeader);
        await leader.Server.StepDownAsync(Soon, default);

        Assert.False(leader.IsLeader);
        Assert.NotNull(leader.Server.CurrentLeader);
    });

    [Fact]
    public void Whoever_asks_while_it_is_handed_over_joins_or_has_it_moved_on() => Cluster.Run(3, seed: 379, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Task<ServerId?> first = leader.Server.TransferLeadershipAsync(followers[0].Id.Node, Soon, default);
        Task<ServerId?> joins = leader.Server.TransferLeadershipAsync(null, Soon, default);
        Task<ServerId?> same = leader.Server.TransferLeadershipAsync(followers[0].Id.Node, Soon, default);

        Assert.Equal(followers[0].Id, await first);
        Assert.Equal(followers[0].Id, await joins);
        Assert.Equal(followers[0].Id, await same);
    });

    [Fact]
    public void Without_a_leader_it_waits_until_its_time_is_up() => Cluster.Run(3, seed: 380, isStarted: false, scenario: async cluster =>
    {
        await cluster.Members[0].StartAsync();

        RaftTimeoutException error = await Expect.FailsAsync<RaftTimeoutException>(
            cluster.Members[0].Server.TransferLeadershipAsync(null, Soon, default));

        Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
        Assert.Contains("n2, n3", error.Message);
    });

    [Fact]
    public void Whoever_stops_waiting_hears_so() => Cluster.Run(3, seed: 381, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.Filter = message => message is not TimeoutNow;
        using var cancellation = new CancellationTokenSource();
        Task begun = leader.Server.TransferLeadershipAsync(followers[0].Id.Node, Soon, cancellation.Token);
        await cluster.PassAsync(0.1);

        cancellation.Cancel();

        Assert.Equal(WriteOutcome.Unknown, (await Expect.FailsAsync<RaftTimeoutException>(begun)).Outcome);
        await cluster.PassAsync(4);
        await leader.AddAsync("serves on");
    });

    [Fact]
    public void Under_load_no_write_is_lost_or_doubled() => Cluster.Run(3, seed: 382, async cluster =>
    {
        await cluster.RolesAsync();
        bool isDone = false;
        int number = 0;
        List<string> acknowledged = [];
        Task[] writers = [.. Enumerable.Range(0, 12).Select(n => WriteAsync(cluster.Members[n % 3]))];
        for (int round = 0; round < 8; round++)
        {
            Member asked = cluster.Members[round % 3];
            await asked.Server.TransferLeadershipAsync(null, Soon, default);
            await cluster.PassAsync(0.2);
        }

        isDone = true;
        foreach (Task writer in writers)
            await writer;

        Assert.True(acknowledged.Count > 500, $"{acknowledged.Count} writes");
        await cluster.EventuallyAsync(member => member.Applied.Count == acknowledged.Count);
        Assert.Equal(acknowledged.Order(), cluster.Members[0].Applied.Order());

        async Task WriteAsync(Member member)
        {
            while (!isDone)
            {
                string command = (++number).ToString(CultureInfo.InvariantCulture);
                try
                {
                    await member.AddAsync(command);
                    acknowledged.Add(command);
                }
                catch (DroppedEntryException)
                {
                    // Appended at a former leader and provably never committed: submitted again as another one.
                }
            }
        }
    });

    /// <summary>Planted: eng/defects/V05-unanswered-transfer-is-called-not-submitted.defect</summary>
    [Fact]
    public void A_transfer_whose_answer_is_missing_is_unknown_when_the_server_stops() => Cluster.Run(3, seed: 383, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.ReplyFilter = call => call is not TransferCall;
        cluster.Network.Filter = message => message is not TimeoutNow;      // else it is done at once
        Task<ServerId?> transfer = followers[0].Server.TransferLeadershipAsync(null, TimeSpan.FromSeconds(30), default);
        await cluster.PassAsync(3);
        Assert.False(transfer.IsCompleted);

        await followers[0].Server.AbortAsync("test");

        Assert.Equal(WriteOutcome.Unknown, (await Expect.FailsAsync<StoppedException>(transfer)).Outcome);
    });

    /// <summary>Planted: eng/defects/V06-begun-transfer-is-called-undone.defect</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_leader_that_stops_says_of_a_transfer_that_it_has_begun_that_it_may_succeed(bool hasBegun) => Cluster.Run(3, seed: 384, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.Filter = message => message is not TimeoutNow;
        Task<LeaderReply> first = leader.Server.ReceiveCallAsync(followers[0].Id, new TransferCall(followers[0].Id.Node, 30_000));
        Task<LeaderReply> second = leader.Server.ReceiveCallAsync(followers[0].Id, new TransferCall(followers[1].Id.Node, 30_000));     // waits for the first
        await cluster.PassAsync(0.1);

        await leader.Server.AbortAsync("test");

        LeaderReply reply = await (hasBegun ? first : second);
        if (hasBegun)
            Assert.IsType<CallFailedReply>(reply);      // asked again, leadership would move twice
        else
            Assert.Equal(CallRefusal.Stopped, Assert.IsType<CallRefusedReply>(reply).Reason);
    });

    /// <summary>Planted: eng/defects/V10-infinite-time-outs-are-over-at-once.defect</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(false, true)]
    public void A_very_long_time_out_is_not_over_at_once(bool isInfinite, bool isForwarded) => Cluster.Run(3, seed: 385, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        bool isOpen = false;
        cluster.Network.Filter = message => message is not TimeoutNow || isOpen;
        Member asked = isForwarded ? followers[0] : leader;

        Task<ServerId?> transfer = asked.Server.TransferLeadershipAsync(null, isInfinite ? Timeout.InfiniteTimeSpan : TimeSpan.MaxValue, default);
        await cluster.PassAsync(0.3);
        Assert.False(transfer.IsCompleted);
        isOpen = true;

        Assert.NotEqual(leader.Id, await transfer);
    });

    [Fact]
    public void A_negative_time_out_is_an_error_of_the_caller() => Cluster.Run(1, seed: 386, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = leader.Server.StepDownAsync(TimeSpan.FromSeconds(-1), default); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = leader.Server.TransferLeadershipAsync(null, TimeSpan.MinValue, default); });
        await Expect.FailsAsync<InvalidTransferTargetException>(leader.Server.TransferLeadershipAsync(new NodeId("n\udc00"), Soon, default));
        await Expect.FailsAsync<InvalidTransferTargetException>(leader.Server.TransferLeadershipAsync(default(NodeId), Soon, default));
    });
}

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

// Byte budgets of group and process. Rule 7.
public sealed class AdmissionTests
{
    private static RaftServerSettings Small(RaftServerSettings settings) => settings with { MaxUncommittedBytes = 1_600 };    // 1,500 for commands

    /// <summary>Costs 100 bytes.</summary>
    private static string Command(int n) => $"{n}".PadLeft(100 - Entry.OverheadBytes, '0');

    [Fact]
    public void A_full_budget_makes_writers_wait_in_order_and_then_drains() => Cluster.Run(3, seed: 91, settings: Small, scenario: async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        leader.Machine.Hold();
        LogIndex before = leader.Server.LastIndex;
        List<Task<AddedEntry>> calls = [.. Enumerable.Range(0, 100).Select(n => leader.AddAsync(Command(n)))];
        await cluster.PassAsync(2);

        Assert.Equal(before + 15, leader.Server.LastIndex);
        Assert.Equal(1_500, leader.Server.Status.AdmittedBytes);
        leader.Machine.Release();
        await Expect.AllAsync(calls);

        Assert.Equal(Enumerable.Range(0, 100).Select(Command), leader.Applied);
        Assert.Equal(0, leader.Server.Status.AdmittedBytes);
    });

    [Fact]
    public void A_leader_that_takes_no_commands_refuses_its_own_the_waiting_and_the_forwarded_and_goes_on_otherwise() => Cluster.Run(3, seed: 102, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        leader.Machine.Hold();
        List<Task<AddedEntry>> first = [.. Enumerable.Range(0, 15).Select(n => leader.AddAsync(Command(n)))];
        Task<AddedEntry> waiting = leader.AddAsync(Command(15));
        await cluster.PassAsync(0.2);

        leader.Server.CommandStop = "The disk is nearly full.";
        leader.Machine.Release();

        OutOfSpaceException refused = await Expect.FailsAsync<OutOfSpaceException>(waiting);
        Assert.Equal((WriteOutcome.NotSubmitted, "The disk is nearly full."), (refused.Outcome, refused.Message));
        await Expect.FailsAsync<OutOfSpaceException>(leader.AddAsync(Command(16)));
        await Expect.FailsAsync<OutOfSpaceException>(followers[0].AddAsync(Command(17)));
        await Expect.AllAsync(first);
        await leader.ReadAsync();
        await leader.Server.AddSystemEntryAsync(new byte[] { 1 }, WaitFor.Committed, CancellationToken.None);

        leader.Server.CommandStop = null;
        await followers[0].AddAsync(Command(18));
        await cluster.ConvergesToAsync([.. Enumerable.Range(0, 15).Select(Command), "\u0001", Command(18)]);
    });

    /// <summary>eng/defects/D05-deletions-are-refused.defect</summary>
    [Fact]
    public void A_leader_without_room_lets_deletions_pass() => Cluster.Run(3, seed: 103, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        leader.Machine.Deletion = "delete";
        leader.Server.CommandStop = "The disk is nearly full.";
        leader.Server.LetsDeletionsPass = true;
        await leader.AddAsync("delete a");
        await followers[0].AddAsync("delete b");
        await Expect.FailsAsync<OutOfSpaceException>(leader.AddAsync("put c"));
        await Expect.FailsAsync<OutOfSpaceException>(followers[0].AddAsync("put d"));

        leader.Server.LetsDeletionsPass = false;        // too little is left even for them
        await Expect.FailsAsync<OutOfSpaceException>(leader.AddAsync("delete e"));
        await cluster.ConvergesToAsync(["delete a", "delete b"]);
    });

    /// <summary>eng/defects/M01-leader-does-not-ask-its-gate.defect</summary>
    [Fact]
    public void A_leader_whose_gate_is_closed_refuses_its_own_the_waiting_and_the_forwarded_commands() => Cluster.Run(3, seed: 103, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        leader.Machine.Hold();
        List<Task<AddedEntry>> first = [.. Enumerable.Range(0, 15).Select(n => leader.AddAsync(Command(n)))];
        Task<AddedEntry> waiting = leader.AddAsync(Command(15));
        await cluster.PassAsync(0.2);

        leader.Gate.Closed = "The memory budget is used up.";
        leader.Machine.Release();

        OutOfMemoryBudgetException refused = await Expect.FailsAsync<OutOfMemoryBudgetException>(waiting);
        Assert.Equal((WriteOutcome.NotSubmitted, "The memory budget is used up."), (refused.Outcome, refused.Message));
        await Expect.FailsAsync<OutOfMemoryBudgetException>(leader.AddAsync(Command(16)));
        await Expect.FailsAsync<OutOfMemoryBudgetException>(followers[0].AddAsync(Command(17)));
        await Expect.AllAsync(first);
        await leader.ReadAsync();
        await leader.Server.AddSystemEntryAsync(new byte[] { 1 }, WaitFor.Committed, CancellationToken.None);

        leader.Gate.Closed = null;
        await followers[0].AddAsync(Command(18));
        await cluster.ConvergesToAsync([.. Enumerable.Range(0, 15).Select(Command), "\u0001", Command(18)]);
    });

    /// <summary>eng/defects/M03-asked-node-does-not-ask-its-gate.defect</summary>
    [Fact]
    public void A_follower_whose_gate_is_closed_forwards_nothing_and_applies_what_the_leader_appends() => Cluster.Run(3, seed: 104, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        followers[0].Gate.Closed = "The memory budget is used up.";

        await Expect.FailsAsync<OutOfMemoryBudgetException>(followers[0].AddAsync(Command(1)));
        await leader.AddAsync(Command(2));
        await followers[1].AddAsync(Command(3));
        await followers[0].Server.AddSystemEntryAsync(new byte[] { 1 }, WaitFor.Committed, CancellationToken.None);

        await cluster.ConvergesToAsync([Command(2), Command(3), "\u0001"]);
    });

    /// <summary>eng/defects/M02-gate-is-asked-before-the-state-is-known.defect</summary>
    [Fact]
    public void A_new_leader_whose_state_is_behind_its_log_does_not_ask_its_gate_before_it_has_caught_up() => Cluster.Run(3, seed: 105, scenario: async cluster =>
    {
        (Member old, Member[] followers) = await cluster.RolesAsync();
        foreach (Member follower in followers)
        {
            follower.Gate.NeedsAll = true;
            follower.Machine.Hold();
        }

        for (int n = 0; n < 5; n++)
            await old.AddAsync(Command(n));
        old.Crash();
        Member leader = await cluster.LeaderAsync(otherThan: old);
        Task<AddedEntry> call = leader.AddAsync(Command(5));
        await cluster.PassAsync(2);
        Assert.False(call.IsCompleted);
        Assert.Equal(0, leader.Server.Status.AdmittedBytes);

        // The state that it has then is what fills its budget.
        leader.Gate.Closed = "The memory budget is used up.";
        leader.Machine.Release();
        await Expect.FailsAsync<OutOfMemoryBudgetException>(call);
    });

    [Fact]
    public void A_group_without_quorum_holds_its_share_and_no_more() => Cluster.Run(3, seed: 92, settings: Small, scenario: async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        LogIndex before = leader.Server.LastIndex;
        cluster.Network.Filter = message => message is not AppendReply;

        List<Task<AddedEntry>> calls = [.. Enumerable.Range(0, 100).Select(n => leader.AddAsync(Command(n)))];
        await cluster.PassAsync(0.2);
        Assert.Equal(before + 15, leader.Server.LastIndex);

        cluster.Network.Filter = null;
        await Expect.AllAsync(calls);
    });

    [Fact]
    public void A_cancelled_writer_that_waited_was_never_submitted() => Cluster.Run(3, seed: 93, settings: Small, scenario: async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        leader.Machine.Hold();
        List<Task<AddedEntry>> first = [.. Enumerable.Range(0, 15).Select(n => leader.AddAsync(Command(n)))];
        using var cancellation = new CancellationTokenSource();
        Task<AddedEntry> waiting = leader.AddAsync(Command(99), cancellation: cancellation.Token);
        Task<AddedEntry> behind = leader.AddAsync(Command(15));
        await cluster.PassAsync(0.2);

        cancellation.Cancel();

        OverloadedException error = await Expect.FailsAsync<OverloadedException>(waiting);
        Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
        Assert.Contains("1500 bytes", error.Message, StringComparison.Ordinal);
        leader.Machine.Release();
        await behind;
        await Expect.AllAsync(first);
        await cluster.ConvergesToAsync([.. Enumerable.Range(0, 16).Select(Command)]);
    });

    [Fact]
    public void A_forwarded_writer_gives_up_at_its_deadline() => Cluster.Run(
        3, seed: 94, settings: one => Small(one) with { ForwardTimeout = TimeSpan.FromSeconds(1) },
        scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            leader.Machine.Hold();
            for (int n = 0; n < 15; n++)
                await leader.AddAsync(Command(n), WaitFor.Committed);

            OverloadedException error = await Expect.FailsAsync<OverloadedException>(followers[0].AddAsync(Command(99)));

            Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
            Assert.Equal(0, leader.Server.Status.AdmissionWaiting);
            leader.Machine.Release();
            await cluster.ConvergesToAsync([.. Enumerable.Range(0, 15).Select(Command)]);
        });

    [Fact]
    public void A_full_budget_without_a_quorum_is_no_overload() => Cluster.Run(
        5, seed: 99, settings: one => Small(one) with { ForwardTimeout = TimeSpan.FromMilliseconds(250) },
        scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            leader.Machine.Hold();
            for (int n = 0; n < 15; n++)
                await leader.AddAsync(Command(n), WaitFor.Committed);

            using var cancellation = new CancellationTokenSource();
            Task<AddedEntry> own = leader.AddAsync(Command(98), cancellation: cancellation.Token);
            Task<AddedEntry> forwarded = followers[0].AddAsync(Command(99));
            foreach (Member member in followers[1..])
                member.Crash();
            await cluster.World.UntilAsync(() => forwarded.IsCompleted, "the answer of the leader");
            Assert.True(leader.IsLeader);
            cancellation.Cancel();

            RaftTimeoutException[] errors = [await Expect.FailsAsync<RaftTimeoutException>(forwarded), await Expect.FailsAsync<RaftTimeoutException>(own)];
            Assert.All(errors, error => Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome));
            Assert.All(errors, error => Assert.Contains("A quorum is missing", error.Message, StringComparison.Ordinal));
        });

    [Fact]
    public void A_write_that_has_waited_for_a_leader_may_wait_there_only_as_long_as_is_left() => Cluster.Run(
        1, learners: 1, seed: 100, isStarted: false, settings: one => one with { ForwardTimeout = TimeSpan.FromSeconds(10) },
        scenario: async cluster =>
        {
            List<int> timeouts = [];
            cluster.Network.ReplyFilter = call =>
            {
                timeouts.Add(((AddEntryCall)call).TimeoutMs);
                return true;
            };
            (Member voter, Member learner) = (cluster.Members[0], cluster.Members[1]);
            await learner.StartAsync();
            Task<AddedEntry> early = learner.AddAsync("early");
            await cluster.PassAsync(4);
            await voter.StartAsync();
            await early;
            Assert.InRange(Assert.Single(timeouts), 1_000, 6_000);

            await learner.AddAsync("next");
            Assert.InRange(timeouts[^1], 9_000, 10_000);
        });

    [Fact]
    public void Writers_that_wait_on_a_leader_that_steps_down_go_to_the_next() => Cluster.Run(3, seed: 95, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.Isolate(leader.Id);
        List<Task<AddedEntry>> calls = [.. Enumerable.Range(0, 20).Select(n => leader.AddAsync(Command(n)))];
        await cluster.LeaderAsync(otherThan: leader);
        cluster.Network.Heal();

        for (int n = 0; n < 20; n++)
        {
            if (n < 15)
                await Expect.FailsAsync<DroppedEntryException>(calls[n]);     // appended, and overwritten
            else
                await calls[n];                                             // had never been appended
        }

        await cluster.ConvergesToAsync([.. Enumerable.Range(15, 5).Select(Command)]);
        await cluster.World.UntilAsync(() => leader.Server.Status.AdmittedBytes == 0, "the budget of what was truncated comes back");
        Assert.NotEmpty(followers);
    });

    [Fact]
    public void Groups_share_a_budget_and_release_wakes_the_others() => Cluster.Run(1, seed: 96, isStarted: false, scenario: async cluster =>
    {
        var budget = new MemoryBudget(1_600);
        Assert.True(budget.TryCharge(1_450));       // another group's
        Member leader = cluster.Members[0];
        leader.Budget = budget;
        await leader.StartAsync();
        await cluster.LeaderAsync();

        Task<AddedEntry> call = leader.AddAsync(Command(1));
        await cluster.PassAsync(1);
        Assert.False(call.IsCompleted);
        budget.Release(1_450);

        await call;
        Assert.Equal(0, budget.ChargedBytes);
    });

    [Fact]
    public void A_stopped_server_gives_its_share_back() => Cluster.Run(3, seed: 97, isStarted: false, scenario: async cluster =>
    {
        var budget = new MemoryBudget(1 << 20);
        foreach (Member member in cluster.Members)
        {
            member.Budget = budget;
            await member.StartAsync();
        }

        (Member leader, _) = await cluster.RolesAsync();
        leader.Machine.Hold();
        await leader.AddAsync(Command(1), WaitFor.Committed);
        Assert.Equal(100, budget.ChargedBytes);

        await leader.Server.AbortAsync("test");

        Assert.Equal(0, budget.ChargedBytes);
    });

    [Fact]
    public void A_command_larger_than_the_budget_passes_alone() => Cluster.Run(3, seed: 98, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync(new string('x', 5_000));
        await followers[0].AddAsync(new string('y', 5_000));
        await cluster.EventuallyAsync(member => member.Applied.Count == 2);
    });

    [Fact]
    public void The_ring_of_charges_grows_and_forgets_what_is_truncated()
    {
        var admission = new Admission(1 << 20, shared: null, wake: () => { });
        for (int n = 1; n <= 1_000; n++)
        {
            Assert.True(admission.TryReserve(10));
            admission.Appended(new EntryId(new LogIndex(n), new Term(n / 100)), 10);
            if (n % 3 == 0)
                admission.ReleaseUpTo(new LogIndex(n / 3));
        }

        Assert.Equal((1_000 - 333) * 10, admission.ChargedBytes);
        admission.ReleaseTruncated(new LogIndex(700), index => index.Value > 500 ? new Term(77) : new Term(index.Value / 100));
        Assert.Equal((500 - 333) * 10, admission.ChargedBytes);
        admission.ReleaseTruncated(new LogIndex(500), _ => null);     // compacted: released when it is applied
        Assert.Equal((500 - 333) * 10, admission.ChargedBytes);
        Assert.True(admission.ReleaseUpTo(new LogIndex(2_000)));
        Assert.Equal(0, admission.ChargedBytes);
    }

    /// <summary>Rule 7: a group without quorum may hold the whole budget for days.</summary>
    [Fact]
    public void A_group_that_waits_for_the_shared_budget_asks_to_be_woken_once_however_long_it_waits()
    {
        var budget = new MemoryBudget(1_000);
        Assert.True(budget.TryCharge(900));
        int wakes = 0;
        var admission = new Admission(1 << 20, budget, wake: () => wakes++);
        for (int tick = 0; tick < 100; tick++)
        {
            Assert.False(admission.TryReserve(500));
            admission.ExpireWaiting(now: 0);
        }

        budget.Release(400);
        Assert.Equal(1, wakes);

        admission.OnWoken();
        Assert.False(admission.TryReserve(500));
        budget.Release(400);
        Assert.Equal(2, wakes);
        admission.OnWoken();
        Assert.True(admission.TryReserve(500));
    }

    [Fact]
    public void Commands_that_wait_for_room_are_bounded_and_the_rest_is_refused() => Cluster.Run(3, seed: 103, scenario: async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        cluster.Network.Filter = message => message is not AppendReply { Rejection: null } reply || reply.MatchIndex <= leader.Server.CommitIndex;   // nothing commits
        List<Task<AddedEntry>> calls = [];
        for (int burst = 0; burst < 10; burst++)
        {
            calls.AddRange(Enumerable.Range(0, 500).Select(_ => leader.Server.AddEntryAsync(new byte[16 << 10], WaitFor.Committed, default)));
            await cluster.PassAsync(0.02);      // those that have room are appended meanwhile
        }

        ServerStatus status = leader.Server.Status;
        Assert.InRange(status.WaitingBytes, 15L << 20, 16L << 20);
        Assert.InRange(status.AdmissionWaiting * (16L << 10), 15L << 20, 16L << 20);
        Task<AddedEntry>[] refused = [.. calls.Where(call => call.IsFaulted)];
        Assert.True(refused.Length > 2_000, $"{refused.Length} refused");
        foreach (Task<AddedEntry> call in refused)
            Assert.Equal(WriteOutcome.NotSubmitted, (await Expect.FailsAsync<OverloadedException>(call)).Outcome);

        cluster.Network.Filter = null;          // and the others are served
        await Expect.AllAsync(calls.Except(refused));
        await leader.AddAsync("after");
        await cluster.World.UntilAsync(() => leader.Server.Status.WaitingBytes == 0, "they are not counted any more");
    });

    /// <summary>Planted: eng/defects/V07-truncated-entries-stay-charged.defect</summary>
    [Fact]
    public void Entries_that_are_truncated_before_any_batch_names_them_are_released_at_once() => Cluster.Run(3, seed: 104, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("before");
        cluster.Network.Isolate(leader.Id);
        LogIndex last = leader.Server.LastIndex;
        Term term = leader.Server.CurrentTerm;
        LogIndex commit = leader.Server.CommitIndex;

        // In one turn of the shard: appended, and replaced by another leader's entry.
        Task<AddedEntry> call = leader.AddAsync("replaced");
        leader.Server.Receive([new AppendRequest(followers[0].Id, leader.Id, term.Next, last, term, commit, [new Entry(last.Next, term.Next, EntryKind.Empty, 0, default)])
        {
            SenderStart = 1,
        }]);
        await cluster.World.UntilAsync(() => leader.Server.CurrentTerm == term.Next && leader.Server.LastIndex == last.Next, "the other leader's entry is there");

        Assert.Equal(0, leader.Server.Status.AdmittedBytes);
        Assert.False(call.IsCompleted);     // not known to be dropped before another one commits there
    });
}

using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Each invariant can fail: it is shown what must never be.</summary>
public class InvariantTests
{
    private static readonly Term One = new(1);
    private static readonly Term Two = new(2);

    /// <summary>A small cluster that has just formed; its servers are shown to invariants of the test's own.</summary>
    private static void Check(Action<SimulatedServer, SimulatedServer, GroupLedger> check) => World.Run(seed: 5, async world =>
    {
        var cluster = new SimulatedCluster(world, RunPlan.Draw(new RunSettings(5) { Operations = 0, Voters = 3, IsStorageReal = false }));
        await cluster.FormAsync();
        SimulatedServer[] servers = [];
        await world.UntilAsync(() => (servers = [.. cluster.ServersOf(cluster.First)]).Length == 3 && Array.TrueForAll(servers, server => server.Status.CommitIndex.Value > 1), "a leader's first commit on all");
        check(servers[0], servers[1], new GroupLedger());
    });

    private static Entry EntryOf(long index, Term term, string text) =>
        new(new LogIndex(index), term, EntryKind.Command, 0, System.Text.Encoding.UTF8.GetBytes(text));

    private static ServerStatus Leads(SimulatedServer server, Term term) => server.Status with { Role = Role.Leader, Term = term };

    [Fact]
    public void Two_leaders_of_one_term_are_found() => Check((a, b, _) =>
    {
        var invariant = new ElectionSafety();
        Assert.Null(invariant.OnStatus(a, null, Leads(a, Two)));
        Assert.Null(invariant.OnStatus(b, null, Leads(b, new Term(3))));
        Assert.NotNull(invariant.OnStatus(b, null, Leads(b, Two)));
    });

    [Fact]
    public void A_leader_that_takes_something_back_is_found() => Check((a, _, _) =>
    {
        ServerStatus before = Leads(a, Two) with { LastIndex = new LogIndex(5) };
        Assert.Null(new LeaderAppendOnly().OnStatus(a, before, before with { LastIndex = new LogIndex(6) }));
        Assert.NotNull(new LeaderAppendOnly().OnStatus(a, before, before with { LastIndex = new LogIndex(4) }));
    });

    [Fact]
    public void Two_entries_of_one_name_are_found() => Check((a, b, ledger) =>
    {
        var invariant = new LogMatching(ledger);
        Assert.Null(invariant.OnSent(a, new AppendRequest(a.Id, b.Id, Two, new LogIndex(4), One, LogIndex.Zero, [EntryOf(5, Two, "x")])));
        Assert.NotNull(invariant.OnSent(a, new AppendRequest(a.Id, b.Id, Two, new LogIndex(4), One, LogIndex.Zero, [EntryOf(5, Two, "y")])));
        Assert.NotNull(invariant.OnSent(a, new AppendRequest(a.Id, b.Id, Two, new LogIndex(4), Two, LogIndex.Zero, [EntryOf(5, Two, "x")])));
    });

    [Fact]
    public void A_leader_without_what_is_committed_is_found() => Check((a, _, ledger) => a.Shard.Look(() =>
    {
        ledger.Commit(a.Status.LastIndex + 1, One, One);
        Assert.NotNull(new LeaderCompleteness(ledger).OnStatus(a, null, Leads(a, new Term(9))));

        // Committed after all, but only in a later term.
        var later = new GroupLedger();
        later.Commit(a.Status.LastIndex + 1, One, new Term(9));
        Assert.Null(new LeaderCompleteness(later).OnStatus(a, null, Leads(a, new Term(8))));
    }));

    [Fact]
    public void A_commit_that_goes_back_or_changes_is_found() => Check((a, _, ledger) => a.Shard.Look(() =>
    {
        ServerStatus now = a.Status;
        Assert.Null(new CommitIsFinal(ledger).OnStatus(a, null, now));
        Assert.NotNull(new CommitIsFinal(ledger).OnStatus(a, now with { CommitIndex = now.CommitIndex + 1 }, now));

        var other = new GroupLedger();
        other.Commit(now.CommitIndex, new Term(99), new Term(99));
        Assert.NotNull(new CommitIsFinal(other).OnStatus(a, null, now));
    }));

    [Fact]
    public void Different_commands_at_one_index_are_found() => Check((a, b, ledger) =>
    {
        var invariant = new StateMachineSafety(ledger);
        foreach (SimulatedServer server in new[] { a, b })
            Persist(ledger, server, new PersistRequest(null, null, [EntryOf(1, One, "x")]));
        Assert.Null(invariant.OnApplied(a, new CommittedCommand(new LogIndex(1), One, 0, "x"u8.ToArray())));
        Assert.NotNull(invariant.OnApplied(b, new CommittedCommand(new LogIndex(1), One, 0, "y"u8.ToArray())));
        Assert.NotNull(invariant.OnApplied(a, new CommittedCommand(new LogIndex(1), One, 0, "x"u8.ToArray())));
    });

    [Fact]
    public void A_time_stamp_that_falls_is_found() => Check((a, b, _) =>
    {
        var invariant = new TimeNeverFalls();
        Assert.Null(invariant.OnApplied(a, new CommittedCommand(new LogIndex(1), One, 10, "x"u8.ToArray())));
        Assert.Null(invariant.OnApplied(a, new CommittedCommand(new LogIndex(2), One, 10, "x"u8.ToArray())));
        Assert.Null(invariant.OnApplied(b, new CommittedCommand(new LogIndex(1), One, 10, "x"u8.ToArray())));
        Assert.NotNull(invariant.OnApplied(b, new CommittedCommand(new LogIndex(3), One, 9, "x"u8.ToArray())));
    });

    [Fact]
    public void Two_votes_in_a_term_are_found() => Check((a, b, ledger) =>
    {
        var invariant = new OneVoteATerm(ledger);
        Assert.Null(invariant.OnSent(a, new VoteReply(a.Id, b.Id, Two, IsGranted: true, IsPreVote: false)));
        Assert.NotNull(invariant.OnSent(a, new VoteRequest(a.Id, b.Id, Two, LogIndex.Zero, Term.Zero, IsPreVote: false, IsTransfer: false)));
        Assert.Null(invariant.OnDurable(b, new PersistRequest(new TermAndVote(Two, a.Id), null, [])));
        Assert.NotNull(invariant.OnDurable(b, new PersistRequest(new TermAndVote(One, null), null, [])));
    });

    [Fact]
    public void Configurations_whose_quorums_do_not_meet_are_found()
    {
        Configuration three = Of(1, 2, 3), four = Of(1, 2, 3, 4), others = Of(3, 4, 5);
        Assert.True(ConfigurationSafety.DoMeet(three, four));
        Assert.False(ConfigurationSafety.DoMeet(three, others));
        Assert.True(ConfigurationSafety.DoMeet(three, others with { Previous = three.Current }));
        Assert.True(ConfigurationSafety.DoMeet(others with { Previous = three.Current }, others));

        static Configuration Of(params int[] numbers) => Configuration.Of(numbers.Select(number =>
            new Member(new NodeId($"n{number}"), new StorageId((UInt128)number), MemberKind.Voter, "http://a", "http://b")));
    }

    [Theory]
    [InlineData("voters 1 2, learner 3", null)]
    [InlineData("learner 3", "without a voter")]
    [InlineData("voters 1 | learner 3", "joint configuration without a voter")]
    [InlineData("voters 1 -> learner 3", "target has no voter")]
    public void A_configuration_without_a_voter_is_found(string kind, string? fault)
    {
        Configuration configuration = kind switch
        {
            "voters 1 2, learner 3" => Configuration.Of([Of(1, MemberKind.Voter), Of(2, MemberKind.Voter), Of(3, MemberKind.Learner)]),
            "learner 3" => Configuration.Of([Of(3, MemberKind.Learner)]),
            "voters 1 | learner 3" => Configuration.Of([Of(1, MemberKind.Voter)]) with { Previous = [Of(3, MemberKind.Learner)] },
            _ => Configuration.Of([Of(1, MemberKind.Voter)]) with { Target = [Of(3, MemberKind.Learner)] },
        };

        string? found = ConfigurationInForce.FaultOf(configuration);

        Assert.Equal(fault is null, found is null);
        Assert.Contains(fault ?? "", found ?? "", StringComparison.Ordinal);

        static Member Of(int number, MemberKind kind) => new(new NodeId($"n{number}"), new StorageId((UInt128)number), kind, "http://a", "http://b");
    }

    [Fact]
    public void A_configuration_in_force_that_is_not_the_last_one_in_the_log_is_found() => Check((a, _, ledger) => a.Shard.Look(() =>
    {
        ServerStatus now = a.Status;
        Assert.Null(new ConfigurationInForce(a.Group.Ledger).OnStatus(a, null, now));
        Assert.NotNull(new ConfigurationInForce(a.Group.Ledger).OnStatus(a, null, now with { ConfigurationIndex = now.ConfigurationIndex.Next }));
        Assert.NotNull(new ConfigurationInForce(a.Group.Ledger).OnStatus(a, null, now with { Configuration = Configuration.Of(now.Configuration.Current.Take(1)) }));
    }));

    [Fact]
    public void A_commit_without_a_quorum_of_disks_is_found() => Check((a, _, ledger) => a.Shard.Look(() =>
    {
        ServerStatus now = Leads(a, a.TermAt(a.Status.CommitIndex)!.Value);     // the cluster has committed something
        Assert.NotNull(new CommittedByQuorum(ledger).OnStatus(a, now with { CommitIndex = LogIndex.Zero }, now));
        Assert.Null(new CommittedByQuorum(a.Group.Ledger).OnStatus(a, now with { CommitIndex = LogIndex.Zero }, now));
    }));

    [Fact]
    public void An_acknowledgement_of_what_is_not_committed_is_found() => Check((a, _, ledger) =>
    {
        var invariant = new AcknowledgedIsCommitted(ledger);
        ledger.Commit(new LogIndex(1), One, One);
        Assert.Null(invariant.OnAcknowledged(a, new EntryId(new LogIndex(1), One)));
        Assert.NotNull(invariant.OnAcknowledged(a, new EntryId(new LogIndex(1), Two)));
        Assert.NotNull(invariant.OnAcknowledged(a, new EntryId(new LogIndex(2), One)));
    });

    [Fact]
    public void Different_states_at_one_index_are_found() => Check((a, b, _) =>
    {
        var invariant = new EqualStates();
        Assert.Null(invariant.OnState(a, new LogIndex(1), 7));
        Assert.NotNull(invariant.OnState(b, new LogIndex(1), 8));
    });

    [Fact]
    public void A_promise_before_its_proof_is_found() => Check((a, b, ledger) =>
    {
        var invariant = new DurablePromises(ledger);
        var acknowledgement = new AppendReply(a.Id, b.Id, One, new LogIndex(1), new LogIndex(1), LogIndex.Zero, null);
        var vote = new VoteReply(a.Id, b.Id, One, IsGranted: true, IsPreVote: false);
        Assert.NotNull(invariant.OnSent(a, acknowledgement));
        Assert.NotNull(invariant.OnSent(a, vote));

        Persist(ledger, a, new PersistRequest(new TermAndVote(One, b.Id), null, [EntryOf(1, One, "x")]));
        Assert.Null(invariant.OnSent(a, acknowledgement));
        Assert.Null(invariant.OnSent(a, vote));
    });

    [Fact]
    public void Memory_above_its_bound_is_found() => Check((a, _, _) =>
    {
        ServerStatus before = Leads(a, Two);
        Assert.Null(new BoundedMemory().OnStatus(a, before, before));
        Assert.NotNull(new BoundedMemory().OnStatus(a, before, before with { AdmittedBytes = 1L << 40 }));
        Assert.NotNull(new BoundedMemory().OnStatus(a, before, before with { WaitingBytes = 1L << 40 }));
        Assert.NotNull(new BoundedMemory().OnStatus(a, before, before with { WaitingBytes = -1 }));
        Assert.NotNull(new BoundedMemory().OnStatus(a, before, before with { PendingCalls = 1 << 20 }));
        Assert.NotNull(new BoundedMemory().OnStatus(a, before, before with { Waiters = 1 << 20 }));
        Assert.NotNull(new BoundedMemory().OnStatus(a, before, before with { QueuedBatches = 1 << 20 }));
    });

    [Fact]
    public void A_storage_that_lost_what_it_acknowledged_is_found()
    {
        var shadow = new DurableShadow();
        shadow.Reset(PersistedState.Empty, []);
        var request = new PersistRequest(new TermAndVote(One, null), null, [EntryOf(1, One, "x")]);
        shadow.Begin(request);
        Assert.Null(shadow.Compare(PersistedState.Empty));          // nobody was told

        shadow.Begin(request);
        shadow.Complete(request);
        Assert.NotNull(shadow.Compare(PersistedState.Empty));
    }

    private static void Persist(GroupLedger ledger, SimulatedServer server, PersistRequest request)
    {
        ledger.ShadowOf(server.Id).Begin(request);
        ledger.ShadowOf(server.Id).Complete(request);
    }
}

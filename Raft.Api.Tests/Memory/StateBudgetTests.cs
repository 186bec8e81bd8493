using Microsoft.Extensions.Logging.Abstractions;
using Raft.Api.Tests.StateMachine;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Memory;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.Memory;

public sealed class StateBudgetTests
{
    private const int MaxBytes = 20_000;
    private readonly StateBudget _budget = new(MaxBytes, new MemoryBudget(1 << 20));
    private readonly Store _store = new();
    private readonly GroupStateMachine _machine;
    private readonly StateGate _gate;
    private long _index;

    public StateBudgetTests()
    {
        _machine = new GroupStateMachine(new GroupId("g"), _store, NullLogger<GroupStateMachine>.Instance) { Budget = _budget };
        _gate = new StateGate(_budget, _store, "n1", commandBytesMax: 1000);
    }

    [Fact]
    public async Task A_value_that_does_not_fit_is_refused_and_what_does_not_grow_the_state_is_not()
    {
        while (_gate.Check(Put($"k{_index}", 1000)) is null)
            await ApplyAsync(Put($"k{_index}", 1000));

        Assert.InRange(_budget.StateBytes, MaxBytes - 1300, MaxBytes);
        Assert.Equal(_store.StateBytes, _budget.StateBytes);
        CommandRefusal refusal = Assert.IsType<CommandRefusal>(_gate.Check(Put("more", 1000)));
        Assert.Equal(CallRefusal.OutOfMemoryBudget, refusal.Reason);
        Assert.Contains("'n1'", refusal.Detail, StringComparison.Ordinal);
        Assert.Contains($"Raft:Limits:MaxStateBytes = {MaxBytes}", refusal.Detail, StringComparison.Ordinal);
        Assert.Null(_gate.Check(Put("k0", 1000)));
        Assert.Null(_gate.Check(Put("k0", 10)));
        Assert.NotNull(_gate.Check(Put("k0", 3000)));
        Assert.Null(_gate.Check(Delete("k0")));
        Assert.Null(_gate.Check(Delete("none")));
        Assert.Null(_gate.Check(new byte[] { 7 }));      // refused when it is applied, and holds nothing

        await ApplyAsync(Delete("k0"));
        await ApplyAsync(Delete("k1"));
        Assert.Null(_gate.Check(Put("more", 1000)));
    }

    [Fact]
    public async Task A_journal_at_its_limit_takes_further_entries_and_one_below_it_only_what_fits()
    {
        byte[] entry = Commands.Of(CommandKind.Append, "x".PadLeft(1000), maxBytes: 15_000);
        while (_gate.Check(entry) is null && _index < 100)
            await ApplyAsync(entry);
        Assert.Equal(100, _index);

        byte[] larger = Commands.Of(CommandKind.Append, "x".PadLeft(1000), maxBytes: 50_000);
        while (_gate.Check(larger) is null && _index < 200)
            await ApplyAsync(larger);
        Assert.InRange(_index, 101, 199);
        Assert.InRange(_budget.StateBytes, MaxBytes - 1300, MaxBytes);
    }

    [Fact]
    public void A_leader_that_has_not_applied_what_might_fill_the_budget_cannot_decide()
    {
        Assert.True(_gate.CanDecide(MaxBytes / 1000));
        Assert.False(_gate.CanDecide((MaxBytes / 1000) + 1));
    }

    [Fact]
    public void A_voter_over_its_budget_stops_what_grows_and_nothing_else()
    {
        _gate.PeerShortage = "n3 is over its budget.";

        Assert.Equal("n3 is over its budget.", _gate.Check(Put("k", 1))?.Detail);
        Assert.Null(_gate.Check(Delete("k")));
        _gate.PeerShortage = null;
        Assert.Null(_gate.Check(Put("k", 1)));
    }

    [Fact]
    public async Task A_snapshot_that_is_loaded_counts_as_much_as_what_it_was_taken_of()
    {
        for (int n = 0; n < 8; n++)
        {
            await ApplyAsync(Put($"k{n}", 500));
            await ApplyAsync(Commands.Of(CommandKind.Append, "entry"));
            await ApplyAsync(Commands.Of(CommandKind.Put, "value", $"i{n}", idempotencyKey: $"key-{n}"));
        }

        using var content = new MemoryStream();
        using (IStateSnapshot picture = _machine.TakeSnapshot())
            await picture.WriteAsync(content, CancellationToken.None);
        content.Position = 0;
        var otherBudget = new StateBudget(MaxBytes, new MemoryBudget(1 << 20));
        var other = new GroupStateMachine(new GroupId("g"), new Store(), NullLogger<GroupStateMachine>.Instance) { Budget = otherBudget };
        await other.LoadSnapshotAsync(content, CancellationToken.None);

        Assert.Equal(_budget.StateBytes, otherBudget.StateBytes);
    }

    private async Task ApplyAsync(byte[] command) =>
        await _machine.ApplyAsync([new CommittedCommand(new LogIndex(++_index), new Term(1), 1, command)], CancellationToken.None);

    private static byte[] Put(string key, int valueBytes) => Commands.Of(CommandKind.Put, new string('v', valueBytes), key);

    private static byte[] Delete(string key) => Commands.Of(CommandKind.Delete, key: key);
}

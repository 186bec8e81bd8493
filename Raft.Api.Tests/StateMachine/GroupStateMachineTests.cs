using Microsoft.Extensions.Logging;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

public sealed class GroupStateMachineTests
{
    private static readonly GroupId Group = new("first");
    private static readonly CreateGroup Orders = new(new GroupId("orders"), SystemCommandsTests.First);

    private readonly AlarmLog _log = new();

    [Fact]
    public async Task A_batch_without_commands_of_the_host_is_handed_on_as_it_is()
    {
        var inner = new InnerMachine();
        var machine = new GroupStateMachine(Group, inner, _log);
        List<CommittedCommand> batch = [User(1), User(2), User(5)];
        IReadOnlyList<object?> results = await machine.ApplyAsync(batch, CancellationToken.None);
        Assert.Same(batch, Assert.Single(inner.Calls));
        Assert.Equal(["result 1", "result 2", "result 5"], results);
    }

    [Fact]
    public async Task Commands_of_the_host_are_kept_from_the_inner_machine_and_all_results_are_in_their_places()
    {
        var inner = new InnerMachine();
        var machine = new GroupStateMachine(Group, inner, _log);
        IReadOnlyList<object?> results = await machine.ApplyAsync([System(1, Orders), User(2), User(3), System(4, Orders), User(5)], CancellationToken.None);
        Assert.Equal([2, 3, 5], inner.Applied);
        Assert.IsType<GroupCreated>(results[0]);
        Assert.Equal(["result 2", "result 3"], results.Skip(1).Take(2));
        Assert.IsType<GroupCreated>(results[3]);
        Assert.Equal("result 5", results[4]);
    }

    [Fact]
    public async Task The_first_command_that_creates_a_group_wins_and_whoever_listens_hears_of_it_once()
    {
        var machine = new GroupStateMachine(Group, new InnerMachine(), _log);
        List<CreatedGroup> heard = [];
        machine.GroupCreated += created =>
        {
            Assert.Contains(created, machine.CreatedGroups);
            heard.Add(created);
        };
        var other = Orders with { First = Configuration.Of([SystemCommandsTests.First.Current[0] with { Node = new NodeId("n2") }]) };
        IReadOnlyList<object?> results = await machine.ApplyAsync(
            [System(1, Orders), System(2, other), System(3, new CreateGroup(new GroupId("a"), SystemCommandsTests.First))], CancellationToken.None);

        GroupCreated[] created = [.. results.Cast<GroupCreated>()];
        Assert.Equal([true, false, true], created.Select(result => result.IsNew));
        Assert.Equal("n1", created[1].Group.First.Current[0].Node.Value);
        Assert.Equal(["orders", "a"], machine.CreatedGroups.Select(group => group.Id.Value));
        Assert.Equal([1, 3], machine.CreatedGroups.Select(group => group.Index.Value));
        Assert.Equal(machine.CreatedGroups, heard);
    }

    [Fact]
    public async Task A_command_that_is_not_known_is_passed_over()
    {
        var machine = new GroupStateMachine(Group, new InnerMachine(), _log);
        IReadOnlyList<object?> results = await machine.ApplyAsync(
            [new CommittedCommand(new LogIndex(1), new Term(1), 1, new byte[] { 1, 99 }) { IsSystem = true }, User(2)], CancellationToken.None);
        Assert.Contains("kind 99", Assert.IsType<UnknownSystemCommand>(results[0]).Reason, StringComparison.Ordinal);
        Assert.Equal("result 2", results[1]);
    }

    [Fact]
    public async Task A_command_is_never_applied_twice()
    {
        var machine = new GroupStateMachine(Group, new InnerMachine(), _log);
        await machine.ApplyAsync([User(1), System(2, Orders)], CancellationToken.None);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await machine.ApplyAsync([User(2)], CancellationToken.None));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Every_replica_records_its_hash_at_the_same_commands_however_they_are_batched(int seed)
    {
        var random = new Random(seed);
        GroupStateMachine one = OfStore(), other = OfStore();
        CommittedCommand[] log = RandomLog(random, 6_000);
        List<HashCheck> first = await RecordsAsync(one, log, () => 1);
        await RecordsAsync(other, log, () => random.Next(1, 3_000));
        Assert.True(first.Count > 10);
        Assert.Equal(one.PendingHashCheck, other.PendingHashCheck);

        // What the one recorded, the other compares with its own.
        LogIndex next = log[^1].Index.Next;
        foreach (HashCheck check in first.TakeLast(HashRecords.Kept))
        {
            Assert.Equal(HashCheckOutcome.Equal, await CheckAsync(other, next, check));
            next = next.Next;
        }

        Assert.Null(other.PendingHashCheck);
        Assert.Null(other.HashAlarm);
        Assert.Equal(HashCheckOutcome.NotCompared, await CheckAsync(other, next, first[0]));   // no longer kept
        for (int i = 1; i < first.Count; i++)
            Assert.True(first[i].Index.Value / 1_000 > first[i - 1].Index.Value / 1_000 || TimeOf(first[i]) / 30_000 > TimeOf(first[i - 1]) / 30_000);

        long TimeOf(HashCheck check) => log.First(command => command.Index == check.Index).TimeMs;
    }

    [Fact]
    public async Task An_idle_group_has_nothing_to_check_and_a_check_makes_none_due()
    {
        GroupStateMachine machine = OfStore();
        Assert.Null(machine.PendingHashCheck);
        await machine.ApplyAsync([User(1)], CancellationToken.None);
        HashCheck check = machine.PendingHashCheck!;
        Assert.Equal(1, check.Index.Value);
        await machine.ApplyAsync([System(50_000, check, timeMs: 10_000_000)], CancellationToken.None);
        Assert.Null(machine.PendingHashCheck);
    }

    [Fact]
    public async Task Another_state_than_the_leaders_raises_the_alarm_once_and_for_good()
    {
        GroupStateMachine machine = OfStore();
        List<HashAlarm> heard = [];
        machine.HashAlarmRaised += heard.Add;
        await machine.ApplyAsync([User(1), User(2_000)], CancellationToken.None);
        HashCheck right = machine.PendingHashCheck!;
        Assert.Equal(HashCheckOutcome.NotCompared, await CheckAsync(machine, new LogIndex(2_001), right with { Hash = 1, HashVersion = right.HashVersion + 1 }));
        Assert.Null(machine.HashAlarm);
        Assert.Equal(HashCheckOutcome.Different, await CheckAsync(machine, new LogIndex(2_002), right with { Hash = 1 }));
        Assert.Equal(HashCheckOutcome.Different, await CheckAsync(machine, new LogIndex(2_003), right with { Hash = 2 }));
        Assert.Equal(HashCheckOutcome.Equal, await CheckAsync(machine, new LogIndex(2_004), right));

        var alarm = new HashAlarm(new LogIndex(2_000), right.Hash, 1);
        Assert.Equal(alarm, machine.HashAlarm);
        Assert.Equal([alarm], heard);
        Assert.Equal(1, _log.Critical);
    }

    [Fact]
    public async Task Without_a_hash_nothing_is_recorded_or_compared()
    {
        var machine = new GroupStateMachine(Group, new InnerMachine(), _log);
        await machine.ApplyAsync([User(1), User(5_000)], CancellationToken.None);
        Assert.Null(machine.PendingHashCheck);
        Assert.Equal(HashCheckOutcome.NotCompared, await CheckAsync(machine, new LogIndex(5_001), new HashCheck(new LogIndex(5_000), 1, 1)));
    }

    [Fact]
    public async Task A_snapshot_holds_groups_records_and_the_inner_state()
    {
        GroupStateMachine machine = OfStore(), loaded = OfStore();
        CommittedCommand[] log = RandomLog(new Random(9), 5_000);
        await machine.ApplyAsync([System(1, Orders)], CancellationToken.None);
        List<HashCheck> checks = await RecordsAsync(machine, log[1..2_500], () => 100);
        await machine.ApplyAsync([System(log[2_500].Index.Value, checks[^2])], CancellationToken.None);
        var content = new MemoryStream();
        using (IStateSnapshot picture = machine.TakeSnapshot())
        {
            await RecordsAsync(machine, log[2_501..2_700], () => 100);
            await picture.WriteAsync(content, CancellationToken.None);
        }

        List<CreatedGroup> heard = [];
        loaded.GroupCreated += heard.Add;
        await loaded.ApplyAsync([System(1, new CreateGroup(new GroupId("gone"), SystemCommandsTests.First))], CancellationToken.None);
        content.Position = 0;
        await loaded.LoadSnapshotAsync(content, CancellationToken.None);
        Assert.Equal(["orders"], loaded.CreatedGroups.Select(group => group.Id.Value));
        Assert.Equal(["gone", "orders"], heard.Select(group => group.Id.Value));
        Assert.Equal(checks[^1], loaded.PendingHashCheck);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await loaded.ApplyAsync([System(log[2_500].Index.Value, Orders)], CancellationToken.None));

        await RecordsAsync(loaded, log[2_501..2_700], () => 7);
        Assert.Equal(machine.PendingHashCheck, loaded.PendingHashCheck);
        Assert.Equal(((Store)machine.Inner).Status, ((Store)loaded.Inner).Status);
        Assert.Equal(HashCheckOutcome.Equal, await CheckAsync(loaded, log[2_700].Index, checks[^1]));
    }

    [Fact]
    public async Task A_snapshot_that_the_inner_machine_refuses_changes_nothing()
    {
        GroupStateMachine machine = OfStore(), other = OfStore();
        await machine.ApplyAsync([System(1, Orders), User(2)], CancellationToken.None);
        var content = new MemoryStream();
        using (IStateSnapshot picture = machine.TakeSnapshot())
            await picture.WriteAsync(content, CancellationToken.None);

        await other.ApplyAsync([User(1)], CancellationToken.None);
        StoreStatus before = ((Store)other.Inner).Status;
        var cut = new MemoryStream(content.ToArray()[..^1]);
        await Assert.ThrowsAsync<InvalidDataException>(async () => await other.LoadSnapshotAsync(cut, CancellationToken.None));
        Assert.Empty(other.CreatedGroups);
        Assert.Equal(before, ((Store)other.Inner).Status);
        Assert.Equal(1, other.PendingHashCheck?.Index.Value);
    }

    private GroupStateMachine OfStore() => new(Group, new Store(), _log);

    private static CommittedCommand User(long index, long timeMs = 1_000) =>
        new(new LogIndex(index), new Term(1), timeMs, Commands.Of(CommandKind.Append, $"{index}"));

    private static CommittedCommand System(long index, SystemCommand command, long timeMs = 1_000) =>
        new(new LogIndex(index), new Term(1), timeMs, SystemCommands.Encode(command)) { IsSystem = true };

    private static async Task<HashCheckOutcome> CheckAsync(GroupStateMachine machine, LogIndex at, HashCheck check) =>
        Assert.IsType<HashChecked>(Assert.Single(await machine.ApplyAsync([System(at.Value, check)], CancellationToken.None))).Outcome;

    /// <summary>Jumps over thousands, and over half minutes.</summary>
    private static CommittedCommand[] RandomLog(Random random, int count)
    {
        var log = new CommittedCommand[count];
        (long index, long time) = (1, 1_700_000_000_000);
        for (int n = 0; n < count; n++)
        {
            index += random.Next(200) == 0 ? random.Next(3_000) : 1;
            time += random.Next(500) == 0 ? 40_000 : random.Next(5);
            log[n] = new CommittedCommand(new LogIndex(index), new Term(1), time, StoreContractTests.Random(random));
        }

        return log;
    }

    /// <summary>All checks that were pending on the way.</summary>
    private static async Task<List<HashCheck>> RecordsAsync(GroupStateMachine machine, CommittedCommand[] log, Func<int> size)
    {
        List<HashCheck> records = [];
        for (int next = 0; next < log.Length;)
        {
            int count = Math.Min(size(), log.Length - next);
            await machine.ApplyAsync(log[next..(next + count)], CancellationToken.None);
            next += count;
            if (machine.PendingHashCheck is { } pending && (records.Count == 0 || records[^1] != pending))
                records.Add(pending);
        }

        return records;
    }

    /// <summary>Remembers its calls; has no hash.</summary>
    private sealed class InnerMachine : IStateMachine
    {
        public List<IReadOnlyList<CommittedCommand>> Calls { get; } = [];
        public List<long> Applied { get; } = [];

        public ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation)
        {
            Calls.Add(commands);
            Applied.AddRange(commands.Select(command => command.Index.Value));
            return ValueTask.FromResult<IReadOnlyList<object?>>([.. commands.Select(command => $"result {command.Index}")]);
        }

        public IStateSnapshot TakeSnapshot() => throw new NotSupportedException();

        public ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation) => throw new NotSupportedException();
    }

    private sealed class AlarmLog : ILogger<GroupStateMachine>
    {
        public int Critical { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Critical += logLevel == LogLevel.Critical ? 1 : 0;
    }
}

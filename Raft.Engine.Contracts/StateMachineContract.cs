using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

/// <summary>What every <see cref="IStateMachine"/> must do: each line of its remarks as a test.</summary>
/// <remarks>
/// To run it on a state machine of your own: reference this package from an xunit project, derive a public class, and say
/// how to make an empty machine, how to make random commands, and how to describe the whole state as text (or its hash):
/// <code>
/// public sealed class MyMachineTests : StateMachineContract
/// {
///     protected override IStateMachine Create() => new MyMachine();
///     protected override ReadOnlyMemory&lt;byte&gt; NextCommand(Random random) => ...;
///     protected override string Describe(IStateMachine machine) => ((MyMachine)machine).Hash();
/// }
/// </code>
/// </remarks>
public abstract class StateMachineContract
{
    /// <summary>An empty state machine.</summary>
    protected abstract IStateMachine Create();

    /// <summary>A random command, of every kind that there is in the course of many; also ones that the machine refuses.</summary>
    protected abstract ReadOnlyMemory<byte> NextCommand(Random random);

    /// <summary>All of the state, as text: equal exactly when the states are equal.</summary>
    protected abstract string Describe(IStateMachine machine);

    /// <summary>One result as text.</summary>
    protected virtual string DescribeResult(object? result) => result?.ToString() ?? "";

    /// <summary>How many commands a test applies.</summary>
    protected virtual int CommandCount => 1_000;

    [Fact]
    public async Task There_is_one_result_for_each_command_in_the_same_order()
    {
        CommittedCommand[] log = RandomLog(seed: 1);
        List<string> oneByOne = await ApplyAsync(Create(), log, _ => 1);
        List<string> together = await ApplyAsync(Create(), log, _ => log.Length);
        Assert.Equal(log.Length, oneByOne.Count);
        Assert.Equal(oneByOne, together);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task The_same_log_gives_the_same_state_and_results_however_it_is_cut(int seed)
    {
        CommittedCommand[] log = RandomLog(seed);
        IStateMachine one = Create(), other = Create();
        var random = new Random(seed);
        List<string> first = await ApplyAsync(one, log, _ => random.Next(1, 40));
        List<string> second = await ApplyAsync(other, log, _ => random.Next(1, 400));
        Assert.Equal(first, second);
        Assert.Equal(Describe(one), Describe(other));
    }

    [Fact]
    public async Task A_replay_from_the_beginning_gives_the_state_of_before()
    {
        CommittedCommand[] log = RandomLog(seed: 4);
        IStateMachine before = Create();
        await ApplyAsync(before, log[..(log.Length / 2)], _ => 10);
        string half = Describe(before);
        await ApplyAsync(before, log[(log.Length / 2)..], _ => 10);

        IStateMachine after = Create();
        await ApplyAsync(after, log[..(log.Length / 2)], _ => 100);
        Assert.Equal(half, Describe(after));
        await ApplyAsync(after, log[(log.Length / 2)..], _ => 100);
        Assert.Equal(Describe(before), Describe(after));
    }

    [Fact]
    public async Task Machines_do_not_share_state()
    {
        IStateMachine idle = Create(), busy = Create();
        string empty = Describe(idle);
        await ApplyAsync(busy, RandomLog(seed: 5), _ => 50);
        Assert.Equal(empty, Describe(idle));
        Assert.Equal(empty, Describe(Create()));
    }

    [Fact]
    public async Task Other_commands_give_another_state()
    {
        IStateMachine one = Create(), other = Create();
        await ApplyAsync(one, RandomLog(seed: 6), _ => 50);
        await ApplyAsync(other, RandomLog(seed: 7), _ => 50);
        Assert.NotEqual(Describe(one), Describe(other)); // else Describe describes nothing
    }

    [Fact]
    public async Task Applying_a_command_does_not_change_its_bytes()
    {
        CommittedCommand[] log = RandomLog(seed: 8);
        byte[][] copies = [.. log.Select(command => command.Command.ToArray())];
        await ApplyAsync(Create(), log, _ => 7);
        Assert.All(log.Zip(copies), pair => Assert.True(pair.First.Command.Span.SequenceEqual(pair.Second), "A command was changed by applying it."));
    }

    [Fact]
    public async Task The_list_of_commands_is_not_used_after_the_call()
    {
        CommittedCommand[] log = RandomLog(seed: 9);
        IStateMachine expected = Create(), machine = Create();
        List<string> wanted = await ApplyAsync(expected, log, _ => 20);

        // As the server does: one list, filled anew for each call. Results are looked at when it holds something else.
        List<CommittedCommand> borrowed = [];
        List<string> results = [];
        var poison = new CommittedCommand(new LogIndex(1), new Term(1), 1, new byte[] { 0xFF });
        for (int next = 0; next < log.Length; next += 20)
        {
            borrowed.AddRange(log.AsSpan(next, Math.Min(20, log.Length - next)));
            IReadOnlyList<object?> answers = await machine.ApplyAsync(borrowed, CancellationToken.None);
            for (int i = 0; i < borrowed.Count; i++)
                borrowed[i] = poison;
            results.AddRange(answers.Select(DescribeResult));
            borrowed.Clear();
        }

        Assert.Equal(wanted, results);
        Assert.Equal(Describe(expected), Describe(machine));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.01)]
    [InlineData(0.5)]
    public async Task A_loaded_picture_gives_an_equal_state_and_equal_further_results(double part)
    {
        CommittedCommand[] log = RandomLog(seed: 10);
        int applied = (int)(log.Length * part);
        IStateMachine one = Create(), other = Create();
        await ApplyAsync(one, log[..applied], _ => 30);
        await LoadAsync(other, await PictureOfAsync(one));
        Assert.Equal(Describe(one), Describe(other));

        List<string> first = await ApplyAsync(one, log[applied..], _ => 30);
        Assert.Equal(first, await ApplyAsync(other, log[applied..], _ => 70));
        Assert.Equal(Describe(one), Describe(other));
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public async Task A_picture_is_of_its_moment_while_commands_go_on(int seed)
    {
        CommittedCommand[] log = RandomLog(seed);
        int half = log.Length / 2, next = half;
        IStateMachine undisturbed = Create(), machine = Create(), loaded = Create();
        List<string> wanted = await ApplyAsync(undisturbed, log[..half], _ => 25);
        string moment = Describe(undisturbed);
        wanted.AddRange(await ApplyAsync(undisturbed, log[half..], _ => 25));

        // Commands come after the picture was taken and before it is written, then between the pieces that are written, then after.
        List<string> results = await ApplyAsync(machine, log[..half], _ => 25);
        using IStateSnapshot picture = machine.TakeSnapshot();
        await GoOnAsync(log.Length / 8);
        var target = new StreamInPieces(() => GoOnAsync(20));
        await picture.WriteAsync(target, CancellationToken.None);
        await GoOnAsync(log.Length);

        await LoadAsync(loaded, target.ToArray());
        Assert.Equal(moment, Describe(loaded));
        Assert.Equal(wanted, results);
        Assert.Equal(Describe(undisturbed), Describe(machine));

        async Task GoOnAsync(int count)
        {
            CommittedCommand[] batch = log[next..Math.Min(log.Length, next + count)];
            next += batch.Length;
            results.AddRange(await ApplyAsync(machine, batch, _ => batch.Length));
        }
    }

    [Fact]
    public async Task A_picture_may_be_written_on_another_thread_at_the_same_time()
    {
        CommittedCommand[] log = RandomLog(seed: 13);
        int half = log.Length / 2;
        IStateMachine machine = Create(), undisturbed = Create(), loaded = Create();
        await ApplyAsync(machine, log[..half], _ => 25);
        await ApplyAsync(undisturbed, log[..half], _ => 25);
        using IStateSnapshot picture = machine.TakeSnapshot();
        var target = new StreamInPieces(async () => await Task.Yield());
        Task written = Task.Run(() => picture.WriteAsync(target, CancellationToken.None));
        await ApplyAsync(machine, log[half..], _ => 1);
        await written;

        await LoadAsync(loaded, target.ToArray());
        Assert.Equal(Describe(undisturbed), Describe(loaded));
    }

    [Fact]
    public async Task Loading_replaces_everything()
    {
        CommittedCommand[] log = RandomLog(seed: 14);
        IStateMachine one = Create(), other = Create();
        await ApplyAsync(one, log[..(log.Length / 20)], _ => 10);
        await ApplyAsync(other, RandomLog(seed: 15), _ => 50);
        await LoadAsync(other, await PictureOfAsync(one));
        Assert.Equal(Describe(one), Describe(other));
        Assert.Equal(await ApplyAsync(one, log[(log.Length / 20)..], _ => 10), await ApplyAsync(other, log[(log.Length / 20)..], _ => 10));
        Assert.Equal(Describe(one), Describe(other));
    }

    [Fact]
    public async Task A_loaded_state_gives_pictures_too()
    {
        CommittedCommand[] log = RandomLog(seed: 16);
        IStateMachine one = Create(), second = Create(), third = Create();
        await ApplyAsync(one, log[..(log.Length / 3)], _ => 10);
        await LoadAsync(second, await PictureOfAsync(one));
        await ApplyAsync(second, log[(log.Length / 3)..], _ => 10);
        await LoadAsync(third, await PictureOfAsync(second));
        Assert.Equal(Describe(second), Describe(third));
    }

    [Fact]
    public async Task Pictures_are_taken_one_after_the_other()
    {
        CommittedCommand[] log = RandomLog(seed: 17);
        IStateMachine machine = Create(), loaded = Create();
        foreach (CommittedCommand[] part in log.Chunk(Math.Max(1, log.Length / 4)))
        {
            await ApplyAsync(machine, part, _ => 10);
            string moment = Describe(machine);
            await LoadAsync(loaded, await PictureOfAsync(machine));
            Assert.Equal(moment, Describe(loaded));
        }
    }

    [Fact]
    public async Task A_picture_that_is_not_wanted_any_more_is_disposed_unread_or_half_written()
    {
        CommittedCommand[] log = RandomLog(seed: 18);
        IStateMachine machine = Create(), undisturbed = Create(), loaded = Create();
        await ApplyAsync(undisturbed, log, _ => 25);
        await ApplyAsync(machine, log[..(log.Length / 3)], _ => 25);
        machine.TakeSnapshot().Dispose();
        await ApplyAsync(machine, log[(log.Length / 3)..(log.Length / 2)], _ => 25);

        using (IStateSnapshot cancelled = machine.TakeSnapshot())
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WriteAsync(new MemoryStream(), new CancellationToken(canceled: true)));
        using (IStateSnapshot failing = machine.TakeSnapshot())
            await Assert.ThrowsAsync<IOException>(() => failing.WriteAsync(new StreamInPieces(() => throw new IOException("The disk is full.")), CancellationToken.None));

        await ApplyAsync(machine, log[(log.Length / 2)..], _ => 25);
        Assert.Equal(Describe(undisturbed), Describe(machine));
        await LoadAsync(loaded, await PictureOfAsync(machine));
        Assert.Equal(Describe(undisturbed), Describe(loaded));
    }

    [Fact]
    public async Task Content_that_is_cut_off_or_goes_on_or_is_none_is_refused_and_changes_nothing()
    {
        IStateMachine machine = Create(), receiver = Create();
        await ApplyAsync(machine, RandomLog(seed: 19), _ => 50);
        await ApplyAsync(receiver, RandomLog(seed: 21), _ => 50);
        string before = Describe(receiver);
        byte[] picture = await PictureOfAsync(machine);
        var random = new Random(19);
        for (int n = 0; n < 50; n++)
            await RefusedAsync(picture[..random.Next(picture.Length)]);
        await RefusedAsync(picture[..^1]);
        await RefusedAsync([]);
        await RefusedAsync([.. picture, 0]);
        byte[] garbage = new byte[picture.Length];
        random.NextBytes(garbage);
        await RefusedAsync(garbage);

        async Task RefusedAsync(byte[] content)
        {
            Exception? error = await Record.ExceptionAsync(() => LoadAsync(receiver, content));
            Assert.True(error is not null, $"{content.Length} bytes that are no picture (which has {picture.Length}) were loaded.");
            Assert.NotEmpty(error.Message);
            Assert.Equal(before, Describe(receiver));
        }
    }

    [Fact]
    public async Task A_picture_comes_in_pieces_of_any_size()
    {
        IStateMachine machine = Create(), loaded = Create();
        await ApplyAsync(machine, RandomLog(seed: 20), _ => 50);
        await loaded.LoadSnapshotAsync(new StreamInPieces(await PictureOfAsync(machine), new Random(20)), CancellationToken.None);
        Assert.Equal(Describe(machine), Describe(loaded));
    }

    private static async Task<byte[]> PictureOfAsync(IStateMachine machine)
    {
        using IStateSnapshot picture = machine.TakeSnapshot();
        var target = new MemoryStream();
        await picture.WriteAsync(target, CancellationToken.None);
        return target.ToArray();
    }

    private static Task LoadAsync(IStateMachine machine, byte[] content) =>
        machine.LoadSnapshotAsync(new MemoryStream(content, writable: false), CancellationToken.None).AsTask();

    /// <summary>Indexes with holes, because the log also holds other entries; terms and times that never fall.</summary>
    private CommittedCommand[] RandomLog(int seed)
    {
        var random = new Random(seed);
        var log = new CommittedCommand[CommandCount];
        (long index, long term, long time) = (1, 1, 1_700_000_000_000);
        for (int n = 0; n < log.Length; n++)
        {
            index += random.Next(20) == 0 ? 2 : 1;
            term += random.Next(50) == 0 ? 1 : 0;
            time += random.Next(100) == 0 ? 60_000 : random.Next(3);
            log[n] = new CommittedCommand(new LogIndex(index), new Term(term), time, NextCommand(random));
        }

        return log;
    }

    private async Task<List<string>> ApplyAsync(IStateMachine machine, CommittedCommand[] log, Func<int, int> size)
    {
        var results = new List<string>(log.Length);
        for (int next = 0; next < log.Length;)
        {
            CommittedCommand[] batch = log[next..Math.Min(log.Length, next + size(next))];
            IReadOnlyList<object?> answers = await machine.ApplyAsync(batch, CancellationToken.None);
            Assert.Equal(batch.Length, answers.Count);
            results.AddRange(answers.Select(DescribeResult));
            next += batch.Length;
        }

        return results;
    }
}

using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

/// <summary>What every <see cref="IRaftStorage"/> must do: each line of its remarks as a test.</summary>
/// <remarks>
/// To run it on a storage of your own: reference this package from an xunit project, derive a public class, and give a
/// new, empty disk from <see cref="CreateDiskAsync"/>. <c>dotnet test</c> then finds the tests by itself:
/// <code>
/// public sealed class MyStorageTests : StorageContract
/// {
///     protected override ValueTask&lt;StorageDisk&gt; CreateDiskAsync() => new(new MyDisk());
/// }
/// </code>
/// Override <see cref="StorageDisk.CrashAsync"/>, <see cref="StorageDisk.FailWrites"/> and
/// <see cref="StorageDisk.HoldWrites"/> where the implementation allows it: without them the tests about crashes,
/// failures and slow disks prove less.
/// </remarks>
public abstract partial class StorageContract
{
    /// <summary>A new, empty disk that is not open yet.</summary>
    protected abstract ValueTask<StorageDisk> CreateDiskAsync();

    /// <summary>About how many bytes of entries the tests ask <see cref="IRaftStorage.LoadAsync"/> to return.</summary>
    protected virtual long CacheBytes => 1 << 20;

    [Fact]
    public async Task A_new_disk_holds_nothing()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        await AssertHoldsAsync(disk.Group(Samples.Group), new LogModel());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Term_and_vote_come_back_together(bool withVote)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(7, withVote ? Samples.Server(2) : null));

        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task A_later_term_without_vote_forgets_the_vote_before()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(3, Samples.Server(1)));
        await storage.PersistAsync(model.Vote(4));

        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task Every_kind_of_entry_comes_back_unchanged()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        var term = new Term(1);
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(
            new Entry(new LogIndex(1), term, EntryKind.Configuration, 5, Samples.Configuration(3).Encode()),
            new Entry(new LogIndex(2), term, EntryKind.Empty, 6, default),
            new Entry(new LogIndex(3), term, EntryKind.Command, 6, default),
            new Entry(new LogIndex(4), term, EntryKind.Command, 7, new byte[] { 0, 255, 10, 13 }),
            new Entry(new LogIndex(5), term, EntryKind.Configuration, long.MaxValue / 4, Samples.Configuration(5).Encode())));

        await AssertReadsAsync(storage, model);
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task Large_entries_and_large_batches_come_back_unchanged()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(count: 7, bytes: (1 << 20) + 13));
        await storage.PersistAsync(model.Append(count: 5_000, bytes: 100));

        await AssertReadsAsync(storage, model);
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_random_history_comes_back_as_it_was(int seed)
    {
        var random = new Random(seed);
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        for (int step = 0; step < 300; step++)
        {
            Task written = storage.PersistAsync(model.Next(random));
            if (random.Next(4) == 0)
                await written;
            if (random.Next(60) != 0)
                continue;

            await storage.PersistAsync(null);
            await AssertReadsAsync(storage, model);
            await (random.Next(2) == 0 ? ReopenAsync(disk) : CrashAndReopenAsync(disk));
            storage = disk.Group(Samples.Group);
            await AssertHoldsAsync(storage, model);
        }

        await storage.PersistAsync(null);
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(60)]
    [InlineData(100)]
    public async Task A_truncation_removes_its_index_and_all_above(int from)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(count: 100, bytes: 2_000));
        await storage.PersistAsync(model.Take(new PersistRequest(null, new LogIndex(from), [])));

        Assert.Equal(from - 1, model.Entries.Count);
        await AssertReadsAsync(storage, model);
        Assert.Empty(await storage.ReadEntriesAsync(new LogIndex(from), new LogIndex(100), int.MaxValue, default));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task New_entries_replace_the_truncated_ones_and_reads_give_only_the_new()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(count: 50));
        var newTerm = new Term(2);
        await storage.PersistAsync(model.Take(new PersistRequest(
            new TermAndVote(newTerm, null), new LogIndex(31), Samples.Commands(new LogIndex(31), newTerm, count: 5, bytes: 40))));

        await AssertReadsAsync(storage, model);
        Assert.Empty(await storage.ReadEntriesAsync(new LogIndex(36), new LogIndex(50), int.MaxValue, default));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task A_truncated_configuration_is_not_among_those_found_at_start()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        var term = new Term(1);
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(
            new Entry(new LogIndex(1), term, EntryKind.Configuration, 1, Samples.Configuration(3).Encode()),
            new Entry(new LogIndex(2), term, EntryKind.Command, 1, new byte[10]),
            new Entry(new LogIndex(3), term, EntryKind.Configuration, 1, Samples.Configuration(4).Encode())));
        await storage.PersistAsync(model.Take(new PersistRequest(null, new LogIndex(3), [])));

        await ReopenAsync(disk);
        PersistedState state = await disk.Group(Samples.Group).LoadAsync(CacheBytes, default);
        Assert.Equal(1, Assert.Single(state.ConfigurationEntries).Index.Value);
    }

    [Fact]
    public async Task Requests_complete_in_the_order_of_the_calls()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        var tasks = new List<Task> { storage.PersistAsync(model.Vote(1)) };
        var checks = new List<Task>();
        for (int n = 0; n < 500; n++)
        {
            Task task = storage.PersistAsync(n % 3 == 0 ? null : model.Append(count: 1 + n % 4, bytes: n % 7 == 0 ? 20_000 : 50));
            Task[] earlier = [.. tasks];
            tasks.Add(task);
            checks.Add(CheckAsync(task, earlier));
        }

        await Task.WhenAll(checks).WaitAsync(Samples.Bound);
        await AssertReadsAsync(storage, model);

        static async Task CheckAsync(Task task, Task[] earlier)
        {
            await task;
            Assert.DoesNotContain(earlier, before => !before.IsCompletedSuccessfully);
        }
    }

    [Fact]
    public async Task A_null_request_completes_after_all_before_it()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        await storage.PersistAsync(null).WaitAsync(Samples.Bound); // also when nothing was written at all
        var model = new LogModel();
        Task first = storage.PersistAsync(model.Vote(1));
        Task second = storage.PersistAsync(model.Append(count: 200, bytes: 5_000));
        await storage.PersistAsync(null).WaitAsync(Samples.Bound);
        Assert.True(first.IsCompletedSuccessfully && second.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_null_request_waits_while_the_disk_is_slow_and_the_caller_does_not()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        Task written, empty;
        using (IDisposable? held = disk.HoldWrites())
        {
            if (held is null)
                return;
            written = storage.PersistAsync(model.Append(count: 1));
            empty = storage.PersistAsync(null);
            Assert.False(written.IsCompleted || empty.IsCompleted);
        }

        await empty.WaitAsync(Samples.Bound);
        Assert.True(written.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task What_was_completed_survives_a_crash()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(5, Samples.Server(3)));
        for (int n = 0; n < 20; n++)
            await storage.PersistAsync(model.Append(count: 10));

        await CrashAndReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task After_a_crash_a_request_is_there_whole_or_not_at_all()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(count: 10));
        for (int n = 2; n < 12; n++)
        {
            var term = new Term(n);
            _ = storage.PersistAsync(model.Take(
                new PersistRequest(new TermAndVote(term, null), null, Samples.Commands(model.Last.Next, term, count: 10, bytes: 500))));
        }

        await disk.CrashAsync();
        await disk.OpenAsync();
        PersistedState state = await disk.Group(Samples.Group).LoadAsync(CacheBytes, default);
        Assert.InRange(state.TermAndVote.Term.Value, 1, 11);
        Assert.Equal(state.TermAndVote.Term.Value * 10, state.LastIndex.Value);
    }

    [Fact]
    public async Task Reads_are_contiguous_at_least_one_entry_and_bounded_by_bytes()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        for (int n = 0; n < 30; n++)
            await storage.PersistAsync(model.Append(count: 20, bytes: n * 40));
        foreach (bool reopen in new[] { false, true })
        {
            if (reopen)
            {
                await ReopenAsync(disk);
                storage = await LoadedAsync(disk);
            }

            foreach (int maxBytes in new[] { 1, 100, 5_000, 1 << 20 })
            {
                foreach (int from in new[] { 1, 2, 77, 300, 599, 600 })
                {
                    var to = new LogIndex(Math.Min(600, from + 250));
                    IReadOnlyList<Entry> entries = await storage.ReadEntriesAsync(new LogIndex(from), to, maxBytes, default);
                    Assert.NotEmpty(entries);
                    Assert.True(entries[^1].Index <= to, $"Asked for [{from}, {to}] and got {entries[^1]}.");
                    Assert.True(entries.Take(entries.Count - 1).Sum(entry => (long)entry.CostBytes) < maxBytes || entries.Count == 1,
                        $"Asked for {maxBytes} bytes and got {entries.Sum(entry => (long)entry.CostBytes)} in {entries.Count} entries.");
                    Samples.Same([.. model.Entries.Skip(from - 1).Take(entries.Count)], entries);
                }
            }
        }
    }

    [Fact]
    public async Task A_read_of_what_the_log_does_not_hold_is_empty()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        Assert.Empty(await storage.ReadEntriesAsync(new LogIndex(1), new LogIndex(5), 1_000, default));
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(count: 3));
        Assert.Empty(await storage.ReadEntriesAsync(new LogIndex(4), new LogIndex(9), 1_000, default));
    }

    [Fact]
    public async Task A_completed_request_is_seen_by_every_read_that_starts_after_it()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        for (int n = 0; n < 100; n++)
        {
            await storage.PersistAsync(model.Append(count: 3, bytes: 3_000));
            Entry last = Assert.Single(await storage.ReadEntriesAsync(model.Last, model.Last, 1, default));
            Samples.Same(model.Entries[^1], last);
        }
    }

    [Fact]
    public async Task The_cache_bytes_bound_the_recent_entries_and_terms_are_known_for_all()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        for (int term = 1; term <= 5; term++)
        {
            await storage.PersistAsync(model.Vote(term));
            await storage.PersistAsync(model.Append(count: 200, bytes: 1_000));
        }

        await ReopenAsync(disk);
        PersistedState state = await disk.Group(Samples.Group).LoadAsync(cacheBytes: 50_000, default);
        Assert.Equal(model.Last, state.LastIndex);
        Assert.InRange(state.RecentEntries.Sum(entry => (long)entry.CostBytes), 0, 1_000_000 / 2); // "about": well below the whole log
        if (state.RecentEntries.Count > 0)
            Samples.Same([.. model.Entries.Skip((int)state.RecentEntries[0].Index.Value - 1)], state.RecentEntries);
        AssertTerms(model, state);
        await AssertReadsAsync(disk.Group(Samples.Group), model);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5_000)]
    public async Task The_last_entry_is_loaded_however_small_the_cache(long cacheBytes)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(count: 20, bytes: 100));
        await storage.PersistAsync(model.Append(count: 1, bytes: 100_000));

        await ReopenAsync(disk);
        PersistedState state = await disk.Group(Samples.Group).LoadAsync(cacheBytes, default);
        Samples.Same([model.Entries[^1]], state.RecentEntries);
    }

    [Fact]
    public async Task Groups_do_not_see_each_other()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage one = await LoadedAsync(disk);
        IRaftStorage other = disk.Group(Samples.OtherGroup);
        await other.LoadAsync(CacheBytes, default);
        var first = new LogModel();
        var second = new LogModel();
        Task[] writes =
        [
            one.PersistAsync(first.Vote(1, Samples.Server(1))), other.PersistAsync(second.Vote(9, Samples.Server(2))),
            one.PersistAsync(first.Append(count: 100)), other.PersistAsync(second.Append(count: 40, bytes: 99)),
            other.PersistAsync(second.Take(new PersistRequest(null, new LogIndex(11), []))),
        ];
        await Task.WhenAll(writes);

        await AssertReadsAsync(one, first);
        await AssertReadsAsync(other, second);
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), first);
        await AssertHoldsAsync(disk.Group(Samples.OtherGroup), second);
    }

    [Fact]
    public async Task Opening_again_and_again_changes_nothing()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(2, Samples.Server(1)));
        await storage.PersistAsync(model.Append(count: 64));
        for (int n = 0; n < 4; n++)
        {
            await (n % 2 == 0 ? CrashAndReopenAsync(disk) : ReopenAsync(disk));
            await AssertHoldsAsync(disk.Group(Samples.Group), model);
        }
    }

    [Fact]
    public async Task After_one_failure_every_later_call_fails()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        await storage.PersistAsync(model.Append(count: 1));
        if (!disk.FailWrites())
            return;

        await Assert.ThrowsAnyAsync<Exception>(() => storage.PersistAsync(model.Append(count: 1))).WaitAsync(Samples.Bound);
        await Assert.ThrowsAnyAsync<Exception>(() => storage.PersistAsync(model.Append(count: 1))).WaitAsync(Samples.Bound);
        await Assert.ThrowsAnyAsync<Exception>(() => storage.PersistAsync(null)).WaitAsync(Samples.Bound);
        await Assert.ThrowsAnyAsync<Exception>(
            async () => await storage.ReadEntriesAsync(new LogIndex(1), new LogIndex(1), 1_000, default)).WaitAsync(Samples.Bound);
    }

    private async Task<StorageDisk> OpenDiskAsync()
    {
        StorageDisk disk = await CreateDiskAsync();
        await disk.OpenAsync();
        return disk;
    }

    private async Task<IRaftStorage> LoadedAsync(StorageDisk disk)
    {
        IRaftStorage storage = disk.Group(Samples.Group);
        await storage.LoadAsync(CacheBytes, default);
        return storage;
    }

    private static async Task ReopenAsync(StorageDisk disk)
    {
        await disk.CloseAsync();
        await disk.OpenAsync();
    }

    private static async Task CrashAndReopenAsync(StorageDisk disk)
    {
        await disk.CrashAsync();
        await disk.OpenAsync();
    }

    private async Task AssertHoldsAsync(IRaftStorage storage, LogModel model)
    {
        PersistedState state = await storage.LoadAsync(CacheBytes, default);
        Assert.Equal(model.TermAndVote, state.TermAndVote);
        Assert.Equal(model.Snapshot is null, state.Snapshot is null);
        if (model.Snapshot is { } snapshot)
            Samples.Same(snapshot, state.Snapshot!);                    // just compared
        Assert.Equal(model.First, state.FirstIndex);
        Assert.Equal(model.Last, state.LastIndex);
        AssertTerms(model, state);
        Samples.Same([.. model.Entries.Skip(model.Entries.Count - state.RecentEntries.Count)], state.RecentEntries);
        Samples.Same([.. model.Entries.Where(entry => entry.Kind == EntryKind.Configuration)], state.ConfigurationEntries);
        await AssertReadsAsync(storage, model);
    }

    private static void AssertTerms(LogModel model, PersistedState state)
    {
        var runs = new List<TermRun>();
        foreach (Entry entry in model.Entries)
        {
            if (runs.Count == 0 || runs[^1].Term != entry.Term)
                runs.Add(new TermRun(entry.Index, entry.Term));
        }

        Assert.Equal(runs, state.TermRuns);
    }

    /// <summary>Reads the whole log piece by piece and compares it.</summary>
    private static async Task AssertReadsAsync(IRaftStorage storage, LogModel model)
    {
        LogIndex next = model.First;
        while (next <= model.Last)
        {
            IReadOnlyList<Entry> piece = await storage.ReadEntriesAsync(next, model.Last, 256 << 10, default);
            Assert.NotEmpty(piece);
            Samples.Same([.. model.From(next).Take(piece.Count)], piece);
            next = piece[^1].Index.Next;
        }

        Assert.Empty(await storage.ReadEntriesAsync(model.Last.Next, model.Last + 10, 1_000, default));
        if (model.First.Value > 1)
            Assert.Empty(await storage.ReadEntriesAsync(model.First.Previous, model.Last, 1_000, default));
    }
}

using System.IO.Hashing;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Xunit;

namespace Raft.Engine.Contracts;

// Snapshots and the log behind them. Rule 6.
public abstract partial class StorageContract
{
    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(100_000, false)]
    [InlineData(3_000_013, true)]
    public async Task A_snapshot_in_force_comes_back_with_its_content(int bytes, bool crash)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 50);
        byte[] content = Samples.Content(bytes, seed: 1);
        await TakeAsync(storage, model, model.First + 40, content);

        await AssertContentAsync(storage, model.Snapshot!, content);
        await (crash ? CrashAndReopenAsync(disk) : ReopenAsync(disk));
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
        await AssertContentAsync(disk.Group(Samples.Group), model.Snapshot!, content);
    }

    [Fact]
    public async Task A_written_file_names_its_size_and_hash()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        byte[] content = Samples.Content(70_000, seed: 2);
        SnapshotFile file = await storage.WriteSnapshotAsync(new Picture(content), default).WaitAsync(Samples.Bound);

        Assert.Equal(content.Length, file.SizeBytes);
        Assert.Equal(XxHash128.HashToUInt128(content), file.Hash);
        SnapshotFile other = await storage.WriteSnapshotAsync(new Picture(content), default).WaitAsync(Samples.Bound);
        Assert.NotEqual(file.SnapshotId, other.SnapshotId);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_that_no_request_named_is_gone_after_a_restart(bool crash)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 10);
        SnapshotDescriptor written = await WriteAsync(storage, model, model.Last, Samples.Content(5_000, seed: 3));
        await AssertContentAsync(storage, written, Samples.Content(5_000, seed: 3));

        await (crash ? CrashAndReopenAsync(disk) : ReopenAsync(disk));
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
        await Assert.ThrowsAsync<CorruptStorageException>(async () => await disk.Group(Samples.Group).OpenSnapshotAsync(written, default));
    }

    [Fact]
    public async Task A_newer_snapshot_takes_the_place_of_the_one_before()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 100);
        await TakeAsync(storage, model, new LogIndex(30), Samples.Content(10_000, seed: 1));
        SnapshotDescriptor older = model.Snapshot!;
        await TakeAsync(storage, model, new LogIndex(80), Samples.Content(20_000, seed: 2));

        await AssertContentAsync(storage, model.Snapshot!, Samples.Content(20_000, seed: 2));
        await ReopenAsync(disk);
        storage = disk.Group(Samples.Group);
        await AssertHoldsAsync(storage, model);
        await AssertContentAsync(storage, model.Snapshot!, Samples.Content(20_000, seed: 2));
        await Assert.ThrowsAsync<CorruptStorageException>(async () => await storage.OpenSnapshotAsync(older, default));
    }

    [Fact]
    public async Task The_older_file_stays_until_the_newer_one_is_durably_in_force()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 100);
        await TakeAsync(storage, model, new LogIndex(30), Samples.Content(10_000, seed: 1));
        SnapshotDescriptor older = model.Snapshot!;
        SnapshotDescriptor newer = await WriteAsync(storage, model, new LogIndex(80), Samples.Content(20_000, seed: 2));
        Task inForce;
        using (IDisposable? held = disk.HoldWrites())
        {
            if (held is null)
                return;
            inForce = storage.PersistAsync(model.Take(new PersistRequest(null, null, []) { Snapshot = newer, DeleteThrough = newer.Index }));
            await AssertContentAsync(storage, older, Samples.Content(10_000, seed: 1));
        }

        await inForce.WaitAsync(Samples.Bound);
        await AssertContentAsync(storage, newer, Samples.Content(20_000, seed: 2));
    }

    [Fact]
    public async Task An_open_snapshot_stays_readable_when_a_newer_one_takes_its_place()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 100);
        byte[] content = Samples.Content(300_000, seed: 1);
        await TakeAsync(storage, model, new LogIndex(10), content);
        await using (ISnapshotReader reader = await storage.OpenSnapshotAsync(model.Snapshot!, default))
        {
            for (int index = 20; index <= 90; index += 10)
                await TakeAsync(storage, model, new LogIndex(index), Samples.Content(1_000, seed: index));
            await AssertContentAsync(reader, content);
        }

        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task A_reader_reads_anywhere_and_less_only_at_the_end()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 10);
        byte[] content = Samples.Content(200_001, seed: 4);
        await TakeAsync(storage, model, new LogIndex(10), content);
        await using ISnapshotReader reader = await storage.OpenSnapshotAsync(model.Snapshot!, default);
        Assert.Equal(content.Length, reader.SizeBytes);

        var random = new Random(5);
        await Task.WhenAll(Enumerable.Range(0, 50).Select(n =>
        {
            int offset = n == 0 ? content.Length : random.Next(content.Length), count = random.Next(1, 100_000);
            return Task.Run(async () =>
            {
                byte[] buffer = new byte[count];
                int read = await reader.ReadAsync(offset, buffer, default);
                Assert.Equal(Math.Min(count, content.Length - offset), read);
                Assert.True(buffer.AsSpan(0, read).SequenceEqual(content.AsSpan(offset, read)));
            });
        })).WaitAsync(Samples.Bound);
    }

    [Fact]
    public async Task A_picture_that_fails_or_is_cancelled_leaves_the_storage_as_it_was()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 10);
        await Assert.ThrowsAsync<FormatException>(() => storage.WriteSnapshotAsync(new Picture(new byte[5_000_000]) { FailsWith = new FormatException() }, default)).WaitAsync(Samples.Bound);
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => storage.WriteSnapshotAsync(new Picture(new byte[5_000_000]), cancelled.Token)).WaitAsync(Samples.Bound);

        await storage.PersistAsync(model.Append(count: 5));
        await TakeAsync(storage, model, new LogIndex(12), Samples.Content(100, seed: 1));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7_777)]
    [InlineData(1 << 20)]
    public async Task A_snapshot_received_in_chunks_is_installed_into_an_empty_log(int chunkBytes)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        byte[] content = Samples.Content(Math.Min(chunkBytes * 40, 2_500_000), seed: 6);
        SnapshotDescriptor received = await ReceiveAsync(storage, Foreign(content, index: 500, term: 3), content, chunkBytes);
        await storage.PersistAsync(model.Take(new PersistRequest(new TermAndVote(new Term(4), null), new LogIndex(1), []) { Snapshot = received, DeleteThrough = received.Index }));

        Assert.Equal(501, model.First.Value);
        await AssertReadsAsync(storage, model);
        await storage.PersistAsync(model.Append(count: 10));
        await AssertContentAsync(storage, received, content);
        await CrashAndReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
        await AssertContentAsync(disk.Group(Samples.Group), received, content);
    }

    [Fact]
    public async Task Receiving_goes_on_where_it_was_broken_off_whoever_sends()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 10);
        byte[] content = Samples.Content(400_000, seed: 7);
        SnapshotDescriptor foreign = Foreign(content, index: 100, term: 1);
        for (int offset = 0; offset < content.Length; offset += 100_000)
        {
            // Another leader has the same state in a file of another name.
            await using ISnapshotReceiver receiver = await storage.ReceiveSnapshotAsync(foreign with { SnapshotId = $"of-{offset}" }, default);
            Assert.Equal(offset, receiver.NextOffset);
            await receiver.WriteAsync(content.AsMemory(offset, 60_000), default);
            Assert.Equal(offset + 60_000, receiver.NextOffset);
            await receiver.WriteAsync(content.AsMemory(offset + 60_000, 40_000), default);
        }

        SnapshotDescriptor received = await ReceiveAsync(storage, foreign, content, chunkBytes: 1_000);
        await storage.PersistAsync(model.Take(new PersistRequest(null, model.First, []) { Snapshot = received, DeleteThrough = received.Index }));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
        await AssertContentAsync(disk.Group(Samples.Group), received, content);
    }

    [Fact]
    public async Task Receiving_another_content_begins_anew_and_forgets_the_first()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        byte[] first = Samples.Content(50_000, seed: 8), second = Samples.Content(50_000, seed: 9);
        foreach (SnapshotDescriptor descriptor in new[] { Foreign(first, 10, 1), Foreign(second, 10, 1), Foreign(second, 11, 1), Foreign(second, 11, 2), Foreign(first, 10, 1) })
        {
            await using ISnapshotReceiver receiver = await storage.ReceiveSnapshotAsync(descriptor, default);
            Assert.Equal(0, receiver.NextOffset);
            await receiver.WriteAsync(first.AsMemory(0, 20_000), default);
        }
    }

    [Fact]
    public async Task Receiving_what_a_snapshot_of_our_own_covers_may_be_given_up_and_says_so()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 10);
        byte[] content = Samples.Content(50_000, seed: 11);
        SnapshotDescriptor foreign = Foreign(content, index: 10, term: 1);
        await using ISnapshotReceiver receiver = await storage.ReceiveSnapshotAsync(foreign, default);
        await receiver.WriteAsync(content.AsMemory(0, 20_000), default);
        await TakeAsync(storage, model, new LogIndex(10), Samples.Content(1_000, seed: 12));

        try
        {
            await receiver.WriteAsync(content.AsMemory(20_000), default);
            await receiver.CompleteAsync(default).WaitAsync(Samples.Bound);
        }
        catch (OperationCanceledException)
        {
            // Allowed, and nothing else.
        }

        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_not_what_the_descriptor_says_is_refused_and_deleted(bool isShort)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 10);
        byte[] content = Samples.Content(150_000, seed: 10);
        SnapshotDescriptor foreign = Foreign(content, index: 100, term: 1);
        await using (ISnapshotReceiver receiver = await storage.ReceiveSnapshotAsync(foreign, default))
        {
            byte[] wrong = [.. content];
            wrong[77_777] ^= 1;
            await receiver.WriteAsync(isShort ? content.AsMemory(0, 149_999) : wrong, default);
            await Assert.ThrowsAsync<InvalidDataException>(() => receiver.CompleteAsync(default)).WaitAsync(Samples.Bound);
        }

        SnapshotDescriptor received = await ReceiveAsync(storage, foreign, content, chunkBytes: 50_000, nextOffset: 0);
        await AssertContentAsync(storage, received, content);
        await storage.PersistAsync(model.Append(count: 1));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task A_crash_while_receiving_leaves_a_part_or_nothing_and_it_goes_on_from_there()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 10);
        byte[] content = Samples.Content(3_000_000, seed: 11);
        SnapshotDescriptor foreign = Foreign(content, index: 100, term: 1);
        ISnapshotReceiver receiver = await storage.ReceiveSnapshotAsync(foreign, default);
        await receiver.WriteAsync(content.AsMemory(0, 2_000_000), default);

        await CrashAndReopenAsync(disk);
        storage = disk.Group(Samples.Group);
        await AssertHoldsAsync(storage, model);
        SnapshotDescriptor received = await ReceiveAsync(storage, foreign, content, chunkBytes: 500_000);
        await AssertContentAsync(storage, received, content);
    }

    [Theory]
    [InlineData(1, 30, 30)]
    [InlineData(40, 60, 60)]
    [InlineData(40, 60, 45)]
    [InlineData(2, 100, 99)]
    [InlineData(100, 100, 100)]
    public async Task A_deletion_keeps_exactly_the_entries_above_its_mark(int batch, int index, int mark)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        for (int term = 1; model.Entries.Count < 100; term++)
        {
            await storage.PersistAsync(model.Vote(term));
            await storage.PersistAsync(model.Append(new Entry(model.Last.Next, new Term(term), EntryKind.Configuration, term, Samples.Configuration(1 + term % 5).Encode())));
            await storage.PersistAsync(model.Append(Math.Min(batch, 100 - model.Entries.Count), bytes: 700));
        }

        await TakeAsync(storage, model, new LogIndex(index), Samples.Content(1_000, seed: 1), deleteThrough: new LogIndex(mark));
        Assert.Equal(mark + 1, model.First.Value);
        await AssertReadsAsync(storage, model);
        for (int from = 1; from <= mark; from += 7)
            Assert.Empty(await storage.ReadEntriesAsync(new LogIndex(from), model.Last, 1_000, default));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
        await disk.Group(Samples.Group).PersistAsync(model.Append(count: 3));
        await CrashAndReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Theory]
    [InlineData(100, 40, true)]     // the log goes on above the snapshot, but is another one
    [InlineData(100, 100, true)]
    [InlineData(100, 250, true)]
    [InlineData(100, 250, false)]   // all of it is below
    [InlineData(0, 250, true)]
    public async Task A_reset_log_is_empty_and_goes_on_behind_the_snapshot(int entries, int index, bool truncates)
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, entries);
        byte[] content = Samples.Content(30_000, seed: 1);
        SnapshotDescriptor received = await ReceiveAsync(storage, Foreign(content, index, term: 9), content, chunkBytes: 8_000);
        Task reset = storage.PersistAsync(model.Take(new PersistRequest(new TermAndVote(new Term(9), null), truncates ? model.First : null, [])
        {
            Snapshot = received,
            DeleteThrough = received.Index,
        }));
        Task append = storage.PersistAsync(model.Append(count: 20, bytes: 500));
        await reset;
        await append;

        Assert.Equal(index + 1, model.First.Value);
        await AssertReadsAsync(storage, model);
        for (int from = 1; from <= index; from += 13)
            Assert.Empty(await storage.ReadEntriesAsync(new LogIndex(from), new LogIndex(1_000), int.MaxValue, default));
        await CrashAndReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);

        // And what was appended there can be replaced like any other, all of it included.
        storage = disk.Group(Samples.Group);
        var term = new Term(10);
        await storage.PersistAsync(model.Take(new PersistRequest(new TermAndVote(term, null), model.First, Samples.Commands(model.First, term, count: 4, bytes: 90))));
        await AssertReadsAsync(storage, model);
        await storage.PersistAsync(model.Take(new PersistRequest(null, model.First + 2, [])));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task Entries_above_a_snapshot_stay_when_the_log_matches_at_it()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 100);
        byte[] content = Samples.Content(30_000, seed: 1);
        SnapshotDescriptor received = await ReceiveAsync(storage, Foreign(content, index: 60, term: 1), content, chunkBytes: 8_000);
        await storage.PersistAsync(model.Take(new PersistRequest(null, null, Samples.Commands(new LogIndex(101), new Term(1), count: 5, bytes: 9))
        {
            Snapshot = received,
            DeleteThrough = received.Index,
        }));

        Assert.Equal((61, 105), (model.First.Value, model.Last.Value));
        await CrashAndReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
    }

    [Fact]
    public async Task The_snapshot_never_goes_back_and_nothing_is_deleted_above_it()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage storage, LogModel model) = await FilledAsync(disk, 100);
        SnapshotDescriptor older = await WriteAsync(storage, model, new LogIndex(20), Samples.Content(10, seed: 1));
        await TakeAsync(storage, model, new LogIndex(60), Samples.Content(1_000, seed: 2), deleteThrough: new LogIndex(50));

        await Assert.ThrowsAnyAsync<ArgumentException>(() => storage.PersistAsync(new PersistRequest(null, null, []) { Snapshot = older }));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => storage.PersistAsync(new PersistRequest(null, null, []) { DeleteThrough = new LogIndex(61) }));
        await storage.PersistAsync(model.Append(count: 1));
        await storage.PersistAsync(model.Take(new PersistRequest(null, null, []) { DeleteThrough = new LogIndex(60) }));
        await storage.PersistAsync(model.Take(new PersistRequest(null, null, []) { DeleteThrough = new LogIndex(55) }));        // long gone: nothing
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), model);
        await AssertContentAsync(disk.Group(Samples.Group), model.Snapshot!, Samples.Content(1_000, seed: 2));
    }

    [Fact]
    public async Task Snapshots_of_groups_do_not_meet()
    {
        await using StorageDisk disk = await OpenDiskAsync();
        (IRaftStorage one, LogModel first) = await FilledAsync(disk, 20);
        (IRaftStorage other, LogModel second) = await FilledAsync(disk, 20, Samples.OtherGroup);
        await TakeAsync(one, first, new LogIndex(10), Samples.Content(1_000, seed: 1));
        await TakeAsync(other, second, new LogIndex(15), Samples.Content(1_000, seed: 2));

        await Assert.ThrowsAsync<CorruptStorageException>(async () => await other.OpenSnapshotAsync(first.Snapshot! with { SnapshotId = "no-such" }, default));
        await ReopenAsync(disk);
        await AssertHoldsAsync(disk.Group(Samples.Group), first);
        await AssertHoldsAsync(disk.Group(Samples.OtherGroup), second);
        await AssertContentAsync(disk.Group(Samples.Group), first.Snapshot!, Samples.Content(1_000, seed: 1));
        await AssertContentAsync(disk.Group(Samples.OtherGroup), second.Snapshot!, Samples.Content(1_000, seed: 2));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task A_random_history_with_snapshots_comes_back_as_it_was(int seed)
    {
        var random = new Random(seed);
        await using StorageDisk disk = await OpenDiskAsync();
        IRaftStorage storage = await LoadedAsync(disk);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        byte[] content = [];
        for (int step = 0; step < 300; step++)
        {
            switch (random.Next(12))
            {
                case 0 when model.Last > (model.Snapshot?.Index ?? LogIndex.Zero).Next:
                    LogIndex index = model.Last - random.Next((int)Math.Min(model.Last - model.First + 1, model.Last - (model.Snapshot?.Index ?? LogIndex.Zero)));
                    content = Samples.Content(random.Next(100_000), seed: step);
                    await TakeAsync(storage, model, index, content, index - random.Next(30));
                    break;
                case 1 when random.Next(2) == 0:
                    // Of a leader whose log is another one, or goes on where this one ends.
                    LogIndex from = LogIndex.Max(model.Snapshot?.Index ?? LogIndex.Zero, model.Last - 20);
                    var target = from + random.Next(1, 60);
                    content = Samples.Content(random.Next(100_000), seed: step);
                    Term term = model.TermAndVote.Term.Next;
                    SnapshotDescriptor received = await ReceiveAsync(storage, Foreign(content, (int)target.Value, (int)term.Value), content, chunkBytes: 30_000);
                    await storage.PersistAsync(model.Take(new PersistRequest(new TermAndVote(term, null), model.First, []) { Snapshot = received, DeleteThrough = target }));
                    break;
                default:
                    await storage.PersistAsync(model.Next(random));
                    break;
            }

            if (random.Next(30) != 0)
                continue;
            await AssertReadsAsync(storage, model);
            await (random.Next(2) == 0 ? ReopenAsync(disk) : CrashAndReopenAsync(disk));
            storage = disk.Group(Samples.Group);
            await AssertHoldsAsync(storage, model);
            if (model.Snapshot is { } snapshot)
                await AssertContentAsync(storage, snapshot, content);
        }
    }

    private async Task<(IRaftStorage Storage, LogModel Model)> FilledAsync(StorageDisk disk, int entries, GroupId? group = null)
    {
        IRaftStorage storage = disk.Group(group ?? Samples.Group);
        await storage.LoadAsync(CacheBytes, default);
        var model = new LogModel();
        await storage.PersistAsync(model.Vote(1));
        if (entries > 0)
            await storage.PersistAsync(model.Append(entries, bytes: 300));
        return (storage, model);
    }

    /// <summary>Writes a snapshot of this server's own state, and puts it in force.</summary>
    private static async Task TakeAsync(IRaftStorage storage, LogModel model, LogIndex index, byte[] content, LogIndex? deleteThrough = null)
    {
        SnapshotDescriptor written = await WriteAsync(storage, model, index, content);
        await storage.PersistAsync(model.Take(new PersistRequest(null, null, []) { Snapshot = written, DeleteThrough = deleteThrough ?? index }));
    }

    private static async Task<SnapshotDescriptor> WriteAsync(IRaftStorage storage, LogModel model, LogIndex index, byte[] content)
    {
        SnapshotFile file = await storage.WriteSnapshotAsync(new Picture(content), default).WaitAsync(Samples.Bound);
        return new SnapshotDescriptor(file.SnapshotId, index, model[index].Term, Samples.Configuration(3), new LogIndex(1), file.SizeBytes, file.Hash);
    }

    /// <summary>A snapshot as another server describes it.</summary>
    private static SnapshotDescriptor Foreign(byte[] content, int index, int term) => new(
        "foreign", new LogIndex(index), new Term(term), Samples.Configuration(5), new LogIndex(1), content.Length, XxHash128.HashToUInt128(content));

    /// <summary>Receives it from where the storage wants to go on, and gives it our own name.</summary>
    private static async Task<SnapshotDescriptor> ReceiveAsync(
        IRaftStorage storage, SnapshotDescriptor foreign, byte[] content, int chunkBytes, long? nextOffset = null)
    {
        await using ISnapshotReceiver receiver = await storage.ReceiveSnapshotAsync(foreign, default);
        Assert.InRange(receiver.NextOffset, 0, content.Length);
        Assert.Equal(nextOffset ?? receiver.NextOffset, receiver.NextOffset);
        while (receiver.NextOffset < content.Length)
        {
            // Borrowed until the task completes, and not longer.
            byte[] chunk = content.AsSpan((int)receiver.NextOffset, (int)Math.Min(chunkBytes, content.Length - receiver.NextOffset)).ToArray();
            await receiver.WriteAsync(chunk, default).AsTask().WaitAsync(Samples.Bound);
            chunk.AsSpan().Clear();
        }

        SnapshotFile file = await receiver.CompleteAsync(default).WaitAsync(Samples.Bound);
        Assert.Equal((foreign.SizeBytes, foreign.Hash), (file.SizeBytes, file.Hash));
        return foreign with { SnapshotId = file.SnapshotId };
    }

    private static async Task AssertContentAsync(IRaftStorage storage, SnapshotDescriptor descriptor, byte[] content)
    {
        await using ISnapshotReader reader = await storage.OpenSnapshotAsync(descriptor, default);
        await AssertContentAsync(reader, content);
    }

    private static async Task AssertContentAsync(ISnapshotReader reader, byte[] content)
    {
        Assert.Equal(content.Length, reader.SizeBytes);
        byte[] buffer = new byte[70_001], found = new byte[content.Length];
        for (int offset = 0; offset < found.Length;)
        {
            int count = await reader.ReadAsync(offset, buffer, default);
            Assert.NotEqual(0, count);
            buffer.AsSpan(0, count).CopyTo(found.AsSpan(offset));
            offset += count;
        }

        Assert.Equal(0, await reader.ReadAsync(content.Length, buffer, default));
        Assert.True(found.AsSpan().SequenceEqual(content), "The content came back changed.");
    }

    /// <summary>A picture that writes in pieces, as a state machine does; some of them without awaiting.</summary>
    private sealed class Picture(byte[] content) : IStateSnapshot
    {
        public Exception? FailsWith { get; init; }

        public async Task WriteAsync(Stream target, CancellationToken cancellation)
        {
            for (int at = 0, piece = 0; at < content.Length; piece++)
            {
                int count = Math.Min(content.Length - at, 1 + piece * 997 % 60_000);
                if (piece % 3 == 0)
                    target.Write(content.AsSpan(at, count));
                else
                    await target.WriteAsync(content.AsMemory(at, count), cancellation);
                at += count;
                if (FailsWith is { } error && at > content.Length / 2)
                    throw error;
            }
        }

        public void Dispose()
        {
        }
    }
}

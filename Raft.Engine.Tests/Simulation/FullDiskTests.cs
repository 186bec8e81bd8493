using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Engine.Tests.Simulation;

/// <summary>The real store on a disk that has no room left.</summary>
/// <remarks>What it must find, each planted by eng/defects/run:
/// <list type="bullet">
/// <item>eng/defects/D01-snapshots-shortage-ends-the-node.defect</item>
/// <item>eng/defects/D02-leftovers-go-last.defect</item>
/// <item>eng/defects/D03-receptions-have-no-bound.defect</item>
/// <item>eng/defects/D04-room-in-place-is-not-taken-before.defect</item>
/// <item>eng/defects/D06-reserve-is-not-given-back.defect</item>
/// <item>eng/defects/C28-changed-record-is-cleared-uncovered.defect</item>
/// </list>
/// </remarks>
public sealed class FullDiskTests
{
    private static readonly GroupId Group = new("one");

    [Fact]
    public void A_snapshot_without_room_is_given_up_and_deleted_and_the_store_goes_on() => World.Run(seed: 1, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        await node.AppendAsync(1, 5);
        long before = node.Files.UsedBytes;
        node.Files.Capacity = before + (700 << 10);
        await Assert.ThrowsAsync<OutOfSpaceException>(() => node.TakeSnapshotAsync(1 << 20, estimatedBytes: 0));
        await node.AppendAsync(6, 10);
        Assert.Empty(node.SnapshotFiles());
        Assert.Null(node.Failure);

        // With room it is taken as if nothing had happened.
        node.Files.Capacity = null;
        await node.TakeSnapshotAsync(1 << 20, estimatedBytes: 0);
        await node.CloseAsync();
    });

    [Fact]
    public void A_snapshot_that_cannot_fit_is_not_begun() => World.Run(seed: 2, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        node.Files.Capacity = node.Files.UsedBytes + (1 << 20);
        bool isBegun = false;
        node.Files.Changing = (operation, path) => isBegun |= operation == "create" && path.EndsWith(".tmp", StringComparison.Ordinal);
        await Assert.ThrowsAsync<OutOfSpaceException>(() => node.TakeSnapshotAsync(2 << 20, estimatedBytes: 2 << 20));
        Assert.False(isBegun);
        await node.CloseAsync();
    });

    [Fact]
    public void A_received_snapshot_without_room_is_given_up_and_the_store_goes_on() => World.Run(seed: 3, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        node.Files.Capacity = node.Files.UsedBytes + (600 << 10);
        await Assert.ThrowsAsync<OutOfSpaceException>(() => node.Storage.ReceiveSnapshotAsync(DescriptorOf(100, 2 << 20), CancellationToken.None).AsTask());

        // Another program takes the room while it comes.
        node.Files.Capacity = node.Files.UsedBytes + (2 << 20);
        node.Files.CanReserve = false;
        ISnapshotReceiver receiver = await node.Storage.ReceiveSnapshotAsync(DescriptorOf(100, 1 << 20), CancellationToken.None);
        await receiver.WriteAsync(new byte[200 << 10], CancellationToken.None);
        node.Files.Capacity = node.Files.UsedBytes;
        await Assert.ThrowsAsync<OutOfSpaceException>(() => receiver.WriteAsync(new byte[200 << 10], CancellationToken.None).AsTask());
        await node.AppendAsync(1, 5);
        Assert.Empty(node.SnapshotFiles());
        Assert.Null(node.Failure);
        await node.CloseAsync();
    });

    [Fact]
    public void So_many_snapshots_are_received_at_once_and_one_that_stands_still_makes_way() => World.Run(seed: 4, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        for (int i = 0; i < SnapshotFiles.ReceiversMax; i++)
            await node.ReceiveAsync(i);
        await Assert.ThrowsAsync<OverloadedException>(() => node.ReceiveAsync(100));
        Assert.Equal(SnapshotFiles.ReceiversMax, node.SnapshotFiles().Length);

        await world.PassAsync(TimeSpan.FromMilliseconds(SnapshotFiles.IdleReceptionMs + 1));
        for (int i = 1; i < SnapshotFiles.ReceiversMax; i++)
            await node.ReceiveAsync(i);                 // they go on, so it is none of them
        await node.ReceiveAsync(100);
        await node.AppendAsync(1, 2);
        Assert.Equal(SnapshotFiles.ReceiversMax, node.SnapshotFiles().Length);
        await Assert.ThrowsAsync<OverloadedException>(() => node.ReceiveAsync(0));
        await node.CloseAsync();
    });

    [Fact]
    public void A_checkpoint_without_room_waits_while_the_log_keeps_everything() => World.Run(seed: 5, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        await node.AppendAsync(1, 10);
        node.Files.Capacity = node.Files.UsedBytes;
        long index = 11;
        for (; node.Store.Shortage is null; index++)
        {
            await node.AppendAsync(index, index, bytes: 3500);
            await world.PassAsync(TimeSpan.FromMilliseconds(20));
        }

        // The log holds more than the database can take; what is durable is read.
        await node.AppendAsync(index, index + 2, bytes: 3500);
        await node.CheckAsync(index + 2);
        Assert.Null(node.Failure);

        // Killed: what the log has is replayed, and still there is no room.
        node.Kill();
        await node.OpenAsync();
        await node.CheckAsync(index + 2);

        node.Files.Capacity = null;
        await world.UntilAsync(() => node.Store.Shortage is null, "the checkpoint");
        await node.AppendAsync(index + 3, index + 40, bytes: 3500);         // more than the log holds
        await node.CloseAsync();
        await node.OpenAsync();
        await node.CheckAsync(index + 40);
        await node.CloseAsync();
    });

    [Fact]
    public void A_changed_sector_of_a_whole_record_loses_nothing_while_only_the_log_holds_it() => World.Run(seed: 11, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        await node.AppendAsync(1, 10);
        node.Files.Capacity = node.Files.UsedBytes;
        long index = 11;
        for (; node.Store.Shortage is null; index++)
        {
            await node.AppendAsync(index, index, bytes: 3500);
            await world.PassAsync(TimeSpan.FromMilliseconds(20));
        }

        // Two more, one block each, beside each other.
        long withoutRoom = index;
        while (index < withoutRoom + 2 || node.Files.LastLogWrite!.Value.Offset == 0)       // there was one
        {
            await node.AppendAsync(index, index, bytes: 3500);
            index++;
        }

        node.Kill();
        (string path, int offset, int bytes) = node.Files.LastLogWrite!.Value;
        Assert.Equal(4096, bytes);
        node.Files.Flip(path, offset - bytes + 504);        // the check of its first sector; the record's own hash fits
        await node.OpenAsync();
        await node.CheckAsync(index - 1);
        node.Kill();                                        // the database had no room for it in between

        node.Files.Capacity = null;
        await node.OpenAsync();
        await node.CheckAsync(index - 1);
        await node.CloseAsync();
    });

    [Fact]
    public void A_full_log_refuses_in_the_end_and_a_stop_does_not_hang() => World.Run(seed: 6, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        node.Files.Capacity = node.Files.UsedBytes;
        long acknowledged = 0;
        Task last = Task.CompletedTask;
        for (long index = 1; last.IsCompletedSuccessfully; index++)
        {
            acknowledged = index - 1;
            last = node.BeginAppend(index, index, bytes: 4000);
            await world.PassAsync(TimeSpan.FromSeconds(3));
        }

        Assert.NotNull(node.Store.Shortage);
        await node.CloseAsync();
        Assert.True(last.IsFaulted);
        Assert.Null(node.Failure);

        // No room for anything: even the start count finds none, and the error says so.
        DataDirectoryException refused = await Assert.ThrowsAsync<DataDirectoryException>(() => node.OpenAsync());
        Assert.Contains("Make room", refused.Message, StringComparison.Ordinal);
        node.Files.Capacity = null;
        await node.OpenAsync();
        await node.CheckAsync(acknowledged);
        await node.CloseAsync();
    });

    [Fact]
    public void The_room_for_pages_in_place_is_taken_before_the_header_of_their_copy_counts() => World.Run(seed: 7, async world =>
    {
        // At every amount of room, whichever call runs out of it.
        for (int roomKb = 0; roomKb <= 400; roomKb += 8)
        {
            var node = new Node(world);
            await node.OpenAsync();
            node.Files.Capacity = node.Files.UsedBytes + (roomKb << 10);
            await node.AppendAsync(1, 5, bytes: 3000);
            await world.PassAsync(TimeSpan.FromSeconds(3));
            Assert.Null(node.Failure);
            node.Kill();
            node.Files.Capacity = null;
            await node.OpenAsync();
            await node.CheckAsync(5);
            await node.CloseAsync();
        }
    });

    [Fact]
    public void Leftovers_go_before_anything_that_needs_room() => World.Run(seed: 8, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        await node.AppendAsync(1, 12, bytes: 4000);
        node.Kill();                                    // all of it is in the log, and not in the database
        foreach (string leftover in (string[])["/data/current/snapshots/x.tmp", "/data/current/snapshots/y.part", "/data/current/raft-00000000deadbeef.db", "/data/current/manifest.json.tmp"])
        {
            using IStorageFile file = node.Files.Open(leftover, create: true);
            file.Write(0, new byte[300 << 10]);
        }

        node.Files.Capacity = node.Files.UsedBytes;
        await node.OpenAsync();
        Assert.Null(node.Store.Shortage);
        Assert.Empty(node.SnapshotFiles());
        await node.CheckAsync(12);
        await node.CloseAsync();
    });

    [Fact]
    public void A_reserve_makes_a_start_possible_on_a_full_disk_again_and_again() => World.Run(seed: 9, async world =>
    {
        var node = new Node(world);
        node.Files.Capacity = 20 << 20;
        await node.OpenAsync();
        Assert.True(node.Files.FileExists("/data/reserve"));
        await node.AppendAsync(1, 12, bytes: 4000);
        node.Kill();
        for (int start = 0; start < 6; start++)
        {
            node.Files.Capacity = node.Files.UsedBytes;     // another program takes the rest, each time
            await node.OpenAsync();
            Assert.Null(node.Store.Shortage);
            await node.CheckAsync(12);
            node.Kill();
        }

        node.Files.Capacity = 20 << 20;
        await node.OpenAsync();
        node.Store.RefillReserve();
        await world.PassAsync(TimeSpan.FromSeconds(1));
        Assert.True(node.Files.Content("/data/reserve").Length > 300 << 10);
        await node.CloseAsync();
    });

    [Fact]
    public void A_new_directory_that_finds_no_room_leaves_nothing_behind() => World.Run(seed: 10, async world =>
    {
        var node = new Node(world);
        node.Files.Capacity = 40 << 10;
        await Assert.ThrowsAsync<DataDirectoryException>(() => node.OpenAsync());
        Assert.Equal(0, node.Files.UsedBytes);
        node.Files.Capacity = null;
        await node.OpenAsync();
        await node.CloseAsync();
    });

    private static SnapshotDescriptor DescriptorOf(long index, long bytes) =>
        new("theirs", new LogIndex(index), new Term(1), Configuration.Empty, new LogIndex(1), bytes, UInt128.One);

    private sealed class Node(World world)
    {
        private VirtualStorageThreads? _threads;

        public SimulatedFiles Files { get; } = new();
        public NodeStore Store { get; private set; } = null!;           // every test opens it first
        public StorageFailedException? Failure { get; private set; }
        public IRaftStorage Storage => Store.Group(Group);

        public Task OpenAsync()
        {
            _threads = new VirtualStorageThreads(world, Files);
            try
            {
                Store = NodeStore.Open(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, _threads.Settings(failure => Failure = failure) with
                {
                    SegmentBytes = 16 << 10,
                    RecordBytes = 6 << 10,
                    DatabaseLogBytes = 96 << 10,
                    IdleCheckpointMs = 10,
                });
                return Task.CompletedTask;
            }
            catch (DataDirectoryException error)
            {
                _threads.Kill();
                Files.Restart();
                return Task.FromException(error);
            }
        }

        public async Task CloseAsync() => await Store.DisposeAsync();

        public void Kill()
        {
            _threads!.Kill();           // made when it was opened
            Files.Restart();
            Assert.True(Store.DisposeAsync().AsTask().IsCompletedSuccessfully);
        }

        public Task BeginAppend(long from, long to, int bytes) => Storage.PersistAsync(new PersistRequest(
            from == 1 ? new TermAndVote(new Term(1), null) : null, null,
            [.. Enumerable.Range(0, (int)(to - from + 1)).Select(n => new Entry(new LogIndex(from + n), new Term(1), EntryKind.Command, 1000, new byte[bytes]))]));

        public Task AppendAsync(long from, long to, int bytes = 100) => BeginAppend(from, to, bytes);

        public async Task CheckAsync(long last)
        {
            PersistedState state = await Storage.LoadAsync(long.MaxValue, CancellationToken.None);
            Assert.Equal(last, state.LastIndex.Value);
        }

        public string[] SnapshotFiles() => [.. Files.Paths.Where(path => path.StartsWith("/data/current/snapshots/", StringComparison.Ordinal))];

        public Task<SnapshotFile> TakeSnapshotAsync(int bytes, long estimatedBytes) =>
            Storage.WriteSnapshotAsync(new Picture(bytes, estimatedBytes), CancellationToken.None);

        public async Task ReceiveAsync(int group)
        {
            ISnapshotReceiver receiver = await Store.Group(new GroupId($"g{group}")).ReceiveSnapshotAsync(DescriptorOf(100, 1 << 20), CancellationToken.None);
            await receiver.WriteAsync(new byte[1000], CancellationToken.None);
        }
    }

    private sealed class Picture(int bytes, long estimatedBytes) : IStateSnapshot
    {
        public long EstimatedBytes => estimatedBytes;

        public async Task WriteAsync(Stream target, CancellationToken cancellation)
        {
            for (int done = 0; done < bytes; done += 10_000)
                await target.WriteAsync(new byte[10_000], cancellation);
        }

        public void Dispose()
        {
        }
    }
}

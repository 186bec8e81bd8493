using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>What a node in quarantine knows of itself, and how it comes out of it.</summary>
public sealed class DamagedDirectoryTests
{
    private static readonly ClusterUid s_uid = new(77);
    private readonly SimulatedFiles _files = new();

    private StorageSettings Settings => Small with { Files = _files };

    [Fact]
    public async Task A_damaged_directory_tells_whose_it_is_and_keeps_the_lock()
    {
        StorageId storage = await FormAsync();
        Damage();

        using DamagedDirectory damaged = Quarantine();

        Assert.Equal((s_uid, "n1", storage), (damaged.ClusterUid, damaged.NodeId.Value, damaged.StorageId));
        Assert.EndsWith("wal-0", damaged.Damage.File);
        Assert.Throws<DataDirectoryException>(() => Open("/data", Settings));
    }

    [Fact]
    public async Task What_is_moved_aside_leaves_behind_what_the_node_was()
    {
        StorageId first = await FormAsync();
        Damage();
        var ids = new List<StorageId> { first };
        for (int time = 1; time <= 3; time++)
        {
            using DamagedDirectory damaged = Quarantine();
            string? target = damaged.MoveAside();
            Assert.StartsWith("/data/damaged-", target, StringComparison.Ordinal);
            Assert.Contains(target + "/manifest.json", _files.Paths);
            Assert.Null(damaged.MoveAside());       // once is enough

            NodeStore store = damaged.Open();
            Assert.Throws<DataDirectoryException>(() => Open("/data", Settings));      // the lock went with it
            Assert.Null(store.ClusterUid);
            Assert.DoesNotContain(store.StorageId, ids);
            Assert.Equal((s_uid, "n1"), (store.Former!.ClusterUid, store.Former.NodeId.Value));
            Assert.Equal(ids, store.Former.StorageIds);
            ids.Add(store.StorageId);
            await store.Group(Default).PersistAsync(Append(Commands(1, 5, 1)));
            await store.DisposeAsync();

            await using (NodeStore again = Open("/data", Settings))
                Assert.Equal(ids[..^1], again.Former!.StorageIds);
            Damage();
        }

        Assert.Equal(3, _files.Paths.Count(path => path.StartsWith("/data/damaged-", StringComparison.Ordinal) && path.EndsWith("manifest.json", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Power_may_go_at_any_call_of_moving_aside()
    {
        for (int calls = 1; ; calls++)
        {
            var files = new SimulatedFiles();
            StorageId storage = await FormAsync(files);
            files.Flip("/data/current/manifest.json", 20);
            files.CutAfter(calls);
            bool isThrough = false;
            try
            {
                _ = NodeStore.TryOpen(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, Small with { Files = files }, out DamagedDirectory? damaged);
                damaged!.MoveAside();               // the manifest is damaged
                await damaged.Open().DisposeAsync();
                isThrough = !files.IsOff;
            }
            catch (Exception error) when (error is StorageFailedException or DataDirectoryException)
            {
                // The power went.
            }

            files.CutAfter(0);
            files.PowerOn(new Random(calls));
            NodeStore? store = NodeStore.TryOpen(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, Small with { Files = files }, out DamagedDirectory? still);
            if (store is not null)
            {
                // A new storage, and never as if it had been none before.
                Assert.NotEqual(storage, store.StorageId);
                Assert.NotNull(store.Former);
                await store.DisposeAsync();
            }
            else
            {
                still!.Dispose();                   // one of both is there
            }

            if (isThrough)
                break;
        }
    }

    [Fact]
    public async Task A_manifest_that_cannot_be_read_leaves_what_earlier_times_tell()
    {
        StorageId first = await FormAsync();
        Damage();
        using (DamagedDirectory damaged = Quarantine())
        {
            damaged.MoveAside();
            await damaged.Open().DisposeAsync();
        }

        _files.Flip("/data/current/manifest.json", 20);
        using DamagedDirectory again = Quarantine();

        Assert.Null(again.StorageId);
        Assert.Equal(s_uid, again.ClusterUid);
        Assert.Equal([first], again.Former.StorageIds);
    }

    [Fact]
    public async Task A_directory_that_was_whole_after_all_does_not_count_itself_as_former()
    {
        // Power went between the two steps, and the damage was none of the disk's.
        StorageId storage = await FormAsync();
        new Former(s_uid, new NodeId("n1"), [new StorageId(5), storage]).Write(_files, "/data");

        await using NodeStore store = Open("/data", Settings);

        Assert.Equal(s_uid, store.ClusterUid);
        Assert.Equal([new StorageId(5)], store.Former!.StorageIds);
    }

    [Fact]
    public async Task A_former_that_was_changed_is_damage()
    {
        await FormAsync();
        new Former(s_uid, new NodeId("n1"), [new StorageId(5)]).Write(_files, "/data");
        int found = 0, length = _files.Content("/data/former").Length;
        for (int at = 0; at < length; at++)
        {
            _files.Flip("/data/former", at, 1);
            try
            {
                await using NodeStore store = Open("/data", Settings);
                Assert.Equal((s_uid, "n1", new StorageId(5)), (store.Former!.ClusterUid, store.Former.NodeId.Value, Assert.Single(store.Former.StorageIds)));
            }
            catch (CorruptStorageException damage)
            {
                found++;
                Assert.Equal("/data/former", damage.File);
            }

            _files.Flip("/data/former", at, 1);
        }

        Assert.True(found > length / 2, $"Only {found} flips of {length} were found.");
    }

    [Fact]
    public async Task Other_things_in_the_directory_do_not_matter()
    {
        using var temp = new TempDirectory();
        Directory.CreateDirectory(Path.Combine(temp.Data, "lost+found"));
        await using (NodeStore store = Open(temp.Data))
            Assert.Null(store.Former);
        await using NodeStore again = Open(temp.Data);
        Assert.Equal(2, again.StartCount);
    }

    [Fact]
    public async Task A_directory_on_the_file_system_moves_aside_too()
    {
        using var temp = new TempDirectory();
        await using (NodeStore store = Open(temp.Data))
            await store.AdoptAsync(s_uid);
        File.Delete(temp.File("current/wal-2"));
        Assert.Null(NodeStore.TryOpen(new NodeStoreSettings(temp.Data, new NodeId("n1")), NullLoggerFactory.Instance, Small, out DamagedDirectory? damaged));

        string? target = damaged!.MoveAside();      // a segment is missing

        Assert.True(File.Exists(Path.Combine(target!, "wal-3")));       // it was there to be moved
        await using NodeStore again = damaged.Open();
        Assert.Equal(s_uid, again.Former!.ClusterUid);
    }

    private Task<StorageId> FormAsync() => FormAsync(_files);

    private static async Task<StorageId> FormAsync(SimulatedFiles files)
    {
        await using NodeStore store = Open("/data", Small with { Files = files });
        await store.FormAsync(s_uid, Default, Configuration.Empty);
        for (int i = 2; i < 6; i++)
            await store.Group(Default).PersistAsync(Append(Commands(i, i, 1)));
        return store.StorageId;
    }

    private void Damage() => _files.Remove("/data/current/wal-0");

    private DamagedDirectory Quarantine()
    {
        Assert.Null(NodeStore.TryOpen(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, Settings, out DamagedDirectory? damaged));
        return damaged!;                            // one of both is there
    }
}

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>A snapshot that is not what its descriptor says never reaches a state machine or another server.</summary>
public sealed class SnapshotDamageTests
{
    private readonly SimulatedFiles _files = new();

    private StorageSettings Settings => Small with { Files = _files };

    [Fact]
    public async Task A_flipped_bit_anywhere_in_a_snapshot_file_is_damage_at_the_next_start()
    {
        (string path, int length) = await TakeAsync(new byte[150_000]);
        for (int at = 0; at < length; at += at < 64 || at > length - 64 ? 1 : 1_009)
        {
            _files.Flip(path, at);

            var damage = Assert.Throws<CorruptStorageException>(() => Open("/data", Settings));

            Assert.Equal(path, damage.File);
            _files.Flip(path, at);
        }

        await Open("/data", Settings).DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_missing_snapshot_is_damage_also_with_its_whole_directory(bool isDirectory)
    {
        (string path, _) = await TakeAsync(new byte[10_000]);
        _files.Remove(path);
        if (isDirectory)
            _files.Remove("/data/current/snapshots");

        Assert.Equal(isDirectory ? "/data/current/snapshots" : path, Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File);
    }

    [Fact]
    public async Task A_snapshot_under_the_name_of_another_is_damage()
    {
        (string first, _) = await TakeAsync(new byte[10_000]);
        byte[] old = _files.Content(first);
        (string second, _) = await TakeAsync(new byte[10_000], index: 60);
        using (IStorageFile file = _files.Open(second, create: false))
        {
            file.Write(0, old);
            file.Sync();
        }

        Assert.Equal(second, Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File);
    }

    [Fact]
    public async Task A_block_that_goes_bad_under_a_running_node_ends_it_and_is_remembered()
    {
        var failures = new List<StorageFailedException>();
        await using (NodeStore store = Open("/data", Settings with { OnFailure = failures.Add }))
        {
            IRaftStorage group = store.Group(Default);
            await group.PersistAsync(Append(Commands(1, 100, 1)));
            SnapshotDescriptor snapshot = await group.WriteSnapshotAsync(50, 1, new byte[300_000]);
            await group.PersistAsync(InForce(snapshot, 50));
            await using ISnapshotReader reader = await group.OpenSnapshotAsync(snapshot, CancellationToken.None);
            _files.Flip(PathOf(snapshot), 200_000);

            // What is still right is read; the damaged block is not.
            Assert.Equal(1_000, await reader.ReadAsync(0, new byte[1_000], CancellationToken.None));
            var damage = await Assert.ThrowsAsync<CorruptStorageException>(async () => await reader.ReadAsync(199_000, new byte[1_000], CancellationToken.None));
            Assert.Equal(PathOf(snapshot), damage.File);
            await Assert.ThrowsAsync<StorageFailedException>(() => store.Failed);
            await Assert.ThrowsAsync<StorageFailedException>(() => group.PersistAsync(null));
        }

        Assert.Single(failures);
        _files.Restart();
        Assert.Contains("/snapshots/", Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_failed_write_or_sync_of_a_snapshot_ends_the_node(bool isSync)
    {
        var failures = new List<StorageFailedException>();
        await using NodeStore store = Open("/data", Settings with { OnFailure = failures.Add });
        IRaftStorage group = store.Group(Default);
        await group.PersistAsync(Append(Commands(1, 100, 1)));
        bool Fails(string path) => path.EndsWith(".tmp", StringComparison.Ordinal) && path.Contains("/snapshots/", StringComparison.Ordinal);
        if (isSync)
            _files.FailsSync = Fails;
        else
            _files.FailsWrite = Fails;

        await Assert.ThrowsAsync<StorageFailedException>(() => group.WriteSnapshotAsync(50, 1, new byte[300_000]));

        await Assert.ThrowsAsync<StorageFailedException>(() => store.Failed);
        Assert.Contains("snapshots", Assert.Single(failures).File, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StorageFailedException>(() => group.PersistAsync(Append(Commands(101, 101, 1))));
    }

    [Fact]
    public async Task What_was_left_half_written_is_deleted_at_the_next_start()
    {
        await using (NodeStore store = Open("/data", Settings))
        {
            IRaftStorage group = store.Group(Default);
            await group.PersistAsync(Append(Commands(1, 100, 1)));
            await using ISnapshotReceiver receiver = await group.ReceiveSnapshotAsync(
                new SnapshotDescriptor("x", new LogIndex(500), new Term(1), Configuration.Empty, new LogIndex(1), 9_000_000, 1), CancellationToken.None);
            await receiver.WriteAsync(new byte[3_000_000], CancellationToken.None);
            await group.WriteSnapshotAsync(50, 1, new byte[10_000]);        // complete, and never named
            Assert.Equal(2, SnapshotPaths().Length);
            _files.Restart();                       // killed
        }

        await using NodeStore again = Open("/data", Settings);
        Assert.Empty(SnapshotPaths());
    }

    [Fact]
    public async Task A_file_that_is_read_is_deleted_when_its_last_reader_is_through()
    {
        await using NodeStore store = Open("/data", Settings);
        IRaftStorage group = store.Group(Default);
        await group.PersistAsync(Append(Commands(1, 100, 1)));
        SnapshotDescriptor older = await group.WriteSnapshotAsync(50, 1, new byte[10_000]);
        await group.PersistAsync(InForce(older, 50));
        ISnapshotReader one = await group.OpenSnapshotAsync(older, CancellationToken.None), other = await group.OpenSnapshotAsync(older, CancellationToken.None);
        SnapshotDescriptor newer = await group.WriteSnapshotAsync(80, 1, new byte[10_000]);
        await group.PersistAsync(InForce(newer, 80));

        await one.DisposeAsync();
        await one.DisposeAsync();                   // twice counts once
        await group.ReadSnapshotAsync(newer);       // goes the same way as the deletions
        Assert.Contains(PathOf(older), SnapshotPaths());
        await other.DisposeAsync();
        await UntilAsync(() => SnapshotPaths().Length == 1);
        Assert.Equal([PathOf(newer)], SnapshotPaths());
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 3000 && !condition(); i++)
            await Task.Delay(10);
        Assert.True(condition(), "The condition was not met within its bound.");
    }

    private static string PathOf(SnapshotDescriptor snapshot) => $"/data/current/snapshots/{snapshot.SnapshotId}.snap";

    private string[] SnapshotPaths() => [.. _files.Paths.Where(path => path.Contains("/snapshots/", StringComparison.Ordinal))];

    private async Task<(string Path, int Length)> TakeAsync(byte[] content, long index = 50)
    {
        await using (NodeStore store = Open("/data", Settings))
        {
            IRaftStorage group = store.Group(Default);
            if (index == 50)
                await group.PersistAsync(Append(Commands(1, 100, 1)));
            await group.PersistAsync(InForce(await group.WriteSnapshotAsync(index, 1, content), index));
        }

        await Open("/data", Settings).DisposeAsync();       // an older file is gone for certain
        string path = Assert.Single(SnapshotPaths());
        return (path, _files.Content(path).Length);
    }
}

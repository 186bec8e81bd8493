using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>LiteDB's file does not get smaller by itself. What a power cut makes of it: Simulation/CrashPointTests.</summary>
public sealed class DataFileRewriteTests
{
    private readonly SimulatedFiles _files = new();

    private StorageSettings Settings => Small with { Files = _files, RewriteFromBytes = 256 << 10 };

    [Fact]
    public async Task A_data_file_of_which_little_lives_is_copied_into_a_small_one_at_the_start()
    {
        Entry[] kept = await FillAndCompactAsync();
        (string Path, int Bytes) before = DataFile();

        await using (NodeStore store = Open("/data", Settings))
        {
            (string path, int bytes) = DataFile();
            Assert.NotEqual(before.Path, path);
            Assert.True(bytes < before.Bytes / 4, $"{bytes} of {before.Bytes} bytes are left.");
            AssertSame(kept, await store.Group(Default).ReadAllAsync(kept[0].Index.Value, kept[^1].Index.Value));
            await store.Group(Default).PersistAsync(Append(Commands(kept[^1].Index.Value + 1, kept[^1].Index.Value + 20, 1)));
        }

        (string Path, int Bytes) after = DataFile();
        await using NodeStore again = Open("/data", Settings);
        Assert.Equal(after, DataFile());
        Assert.Equal(new LogIndex(kept[^1].Index.Value + 20), (await again.Group(Default).LoadAsync(1 << 20, CancellationToken.None)).LastIndex);
    }

    [Fact]
    public async Task A_file_that_cannot_be_copied_stays_and_serves()
    {
        Entry[] kept = await FillAndCompactAsync();
        (string Path, int Bytes) before = DataFile();
        _files.FailsWrite = path => path.EndsWith(".db", StringComparison.Ordinal) && path != before.Path;

        await using NodeStore store = Open("/data", Settings);

        Assert.Equal(before, DataFile());
        AssertSame(kept, await store.Group(Default).ReadAllAsync(kept[0].Index.Value, kept[^1].Index.Value));
    }

    private async Task<Entry[]> FillAndCompactAsync()
    {
        Entry[] entries = Commands(1, 1500, 1, bytes: 500);
        await using NodeStore store = Open("/data", Settings with { RewriteFromBytes = long.MaxValue });
        IRaftStorage group = store.Group(Default);
        foreach (Entry[] some in entries.Chunk(50))
            await group.PersistAsync(Append(some));
        await group.PersistAsync(InForce(await group.WriteSnapshotAsync(1500, 1, new byte[100]), deleteThrough: 1450));
        return entries[1450..];
    }

    private (string Path, int Bytes) DataFile()
    {
        string path = Assert.Single(_files.Paths, path => path.EndsWith(".db", StringComparison.Ordinal));
        return (path, _files.Content(path).Length);
    }
}

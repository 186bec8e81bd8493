using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>Damage is told from a torn tail, and names file and offset.</summary>
public sealed class DamageTests
{
    private readonly SimulatedFiles _files = new();

    /// <summary>Nothing leaves the WAL while the test runs.</summary>
    private StorageSettings LazySettings => Small with { Files = _files, CopyBytes = int.MaxValue, CopyDelayMs = 600_000, IdleCheckpointMs = 600_000 };

    private StorageSettings Settings => Small with { Files = _files };

    [Fact]
    public async Task A_flipped_bit_in_a_record_with_others_after_it_is_damage()
    {
        await KillWithRecordsInTheLogAsync(records: 5);
        _files.Flip("/data/current/wal-0", 2 * 4096 + 50);

        var damage = Assert.Throws<CorruptStorageException>(() => Open("/data", Settings));

        Assert.EndsWith("wal-0", damage.File);
        Assert.Equal(2 * 4096, damage.Offset);
        Assert.NotEmpty(damage.Remedy);
    }

    [Fact]
    public async Task A_last_record_that_is_not_whole_is_a_torn_tail_and_no_damage()
    {
        await KillWithRecordsInTheLogAsync(records: 5);
        _files.Flip("/data/current/wal-0", 5 * 4096 + 50);

        await using NodeStore store = Open("/data", Settings);

        PersistedState state = await store.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
        Assert.Equal(new LogIndex(4), state.LastIndex);
    }

    [Fact]
    public async Task A_log_without_the_record_at_the_position_is_damage()
    {
        await FillAsync(50);
        foreach (string path in _files.Paths.Where(path => path.Contains("wal-", StringComparison.Ordinal)))
            _files.Flip(path, 8);
        foreach (string path in _files.Paths.Where(path => path.Contains("wal-", StringComparison.Ordinal)))
        {
            for (int at = 4096; at < Small.SegmentBytes; at += 4096)
                _files.Flip(path, at + 8);
        }

        var damage = Assert.Throws<CorruptStorageException>(() => Open("/data", Settings));
        Assert.Contains("wal-", damage.File, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_flipped_bit_in_any_page_of_the_database_is_found_or_does_not_matter()
    {
        Entry[] entries = await FillAsync(400);
        string data = DataFile();
        int pages = _files.Content(data).Length / CheckpointStream.PageBytes, found = 0;
        for (int page = 0; page < pages; page++)
        {
            int at = page * CheckpointStream.PageBytes + 31 * (page + 1) % CheckpointStream.PageBytes;
            _files.Flip(data, at);
            try
            {
                await using NodeStore store = Open("/data", Settings);
                AssertSame(entries, await store.Group(Default).ReadAllAsync(1, entries.Length));
                data = DataFile();
                pages = _files.Content(data).Length / CheckpointStream.PageBytes;
            }
            catch (CorruptStorageException damage)
            {
                found++;
                Assert.Equal(data, damage.File);
                Assert.Equal(page * CheckpointStream.PageBytes, damage.Offset);
                _files.Flip(data, at);
            }
        }

        Assert.True(found > 30, $"Only {found} of {pages} pages were missed.");
    }

    [Fact]
    public async Task A_flipped_bit_in_the_manifest_is_damage_or_does_not_matter()
    {
        await FillAsync(5);
        const string manifest = "/data/current/manifest.json";
        int found = 0, length = _files.Content(manifest).Length;
        for (int at = 0; at < length; at += 3)
        {
            _files.Flip(manifest, at, 1);
            try
            {
                await using NodeStore store = Open("/data", Settings);
                AssertSame(Commands(1, 5, 1, 500), await store.Group(Default).ReadAllAsync(1, 5));
            }
            catch (CorruptStorageException damage)
            {
                found++;
                Assert.Equal(manifest, damage.File);
            }

            _files.Flip(manifest, at, 1);
        }

        Assert.True(found > length / 6, $"Only {found} flips of {length / 3} were found.");
    }

    [Theory]
    [InlineData("manifest.json")]
    [InlineData("wal-0")]
    [InlineData("wal-3")]
    [InlineData("copy0")]
    [InlineData("copy1")]
    [InlineData("raft-")]
    public async Task A_missing_file_is_damage(string name)
    {
        await FillAsync(20);
        string path = _files.Paths.Single(path => System.IO.Path.GetFileName(path).StartsWith(name, StringComparison.Ordinal));
        _files.Remove(path);

        Assert.Equal(path, Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File);
    }

    [Fact]
    public async Task Copies_without_a_valid_header_are_damage_and_one_valid_header_is_enough()
    {
        await FillAsync(20);
        foreach (long at in new long[] { 0, 4096 })
        {
            foreach (string copy in new[] { "/data/current/copy0", "/data/current/copy1" })
            {
                if (at == 4096)
                    _files.Flip(copy, at + 16);
                else
                    _files.Flip(copy, 16);
            }

            if (at == 0)
            {
                await using NodeStore store = Open("/data", Settings);
                AssertSame(Commands(1, 20, 1, 500), await store.Group(Default).ReadAllAsync(1, 20));
                break;                              // opening wrote good ones again
            }
        }

        foreach (string copy in new[] { "/data/current/copy0", "/data/current/copy1" })
        {
            _files.Flip(copy, 16);
            _files.Flip(copy, 4096 + 16);
        }

        Assert.Contains("copy", Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_copy_whose_body_does_not_fit_its_header_is_damage()
    {
        await FillAsync(60, clean: false);
        string copy = new[] { "/data/current/copy0", "/data/current/copy1" }
            .MaxBy(path => BitConverter.ToInt64(_files.Content(path), 16)) ?? "";
        _files.Flip(copy, 8192 + 8192 + 77);

        Assert.Equal(copy, Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File);
    }

    [Fact]
    public async Task Damage_marked_at_run_time_is_found_at_the_next_start()
    {
        await FillAsync(5);
        DamageMark.Write(_files, "/data/current", new CorruptStorageException("/data/current/raft.db", 16384, "a page", "remedy"));

        var damage = Assert.Throws<CorruptStorageException>(() => Open("/data", Settings));

        Assert.Equal("/data/current/raft.db", damage.File);
        Assert.Equal(16384, damage.Offset);
    }

    [Fact]
    public async Task A_page_that_goes_bad_under_a_running_node_ends_it_and_is_remembered()
    {
        var failures = new List<StorageFailedException>();
        NodeStore store = Open("/data", Settings with { OnFailure = failures.Add });
        IRaftStorage group = store.Group(Default);
        await group.PersistAsync(Append(Commands(1, 2000, 1, 500)));
        string data = DataFile();
        await UntilAsync(() => store.CoveredSequence == store.DurableSequence);
        await using (store)
        {
            // Every page is bad from now on; sooner or later one of them is needed.
            for (int page = 0; page < _files.Content(data).Length / CheckpointStream.PageBytes; page++)
                _files.Flip(data, page * CheckpointStream.PageBytes + 100);
            await Assert.ThrowsAsync<StorageFailedException>(async () =>
            {
                for (int i = 0; i < 1000; i++)
                {
                    await group.ReadAllAsync(1, 2000);
                    await group.PersistAsync(new PersistRequest(Vote(i + 2), new LogIndex(1000), Commands(1000, 1001 + i, i + 2, 500)));
                }
            });
            await Assert.ThrowsAsync<StorageFailedException>(() => store.Failed);
        }

        Assert.Single(failures);
        _files.Restart();
        var damage = Assert.Throws<CorruptStorageException>(() => Open("/data", Settings));
        Assert.Equal(data, damage.File);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 3000 && !condition(); i++)
            await Task.Delay(10);
        Assert.True(condition(), "The condition was not met within its bound.");
    }

    private string DataFile() => _files.Paths.Single(path => path.EndsWith(".db", StringComparison.Ordinal));

    private async Task<Entry[]> FillAsync(int count, bool clean = true)
    {
        Entry[] entries = Commands(1, count, 1, 500);
        NodeStore store = Open("/data", Settings);
        for (int i = 0; i < count; i++)
            await store.Group(Default).PersistAsync(Append(entries[i]));
        if (!clean)
        {
            await UntilAsync(() => store.CoveredSequence == store.DurableSequence);     // the database thread rests
            _files.Restart();
        }

        await store.DisposeAsync();
        return entries;
    }

    private async Task KillWithRecordsInTheLogAsync(int records)
    {
        NodeStore store = Open("/data", LazySettings);
        foreach (Entry entry in Commands(1, records, 1))
            await store.Group(Default).PersistAsync(Append(entry));
        _files.Restart();
        await store.DisposeAsync();
    }
}

using Microsoft.Extensions.Logging.Abstractions;
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

    [Theory]
    [InlineData(0)]
    [InlineData(512)]
    [InlineData(5 * 512)]
    public async Task A_last_record_of_which_a_sector_never_came_is_a_torn_tail_and_no_damage(int sector)
    {
        await KillWithRecordsInTheLogAsync(records: 5, bytes: 3000);
        for (int at = 0; at < 512; at++)
            _files.Flip("/data/current/wal-0", 5 * 4096 + sector + at, _files.Content("/data/current/wal-0")[5 * 4096 + sector + at]);

        await using NodeStore store = Open("/data", Settings);

        PersistedState state = await store.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
        Assert.Equal(new LogIndex(4), state.LastIndex);
    }

    [Fact]
    public async Task A_flipped_bit_in_the_last_record_is_damage_and_no_torn_tail()
    {
        await KillWithRecordsInTheLogAsync(records: 5, bytes: 3000);
        for (int at = 5 * 4096; at < 5 * 4096 + 3000; at += 97)
        {
            if (at % 512 >= 504)
                continue;                           // the sector's own check: the record is whole without it
            _files.Flip("/data/current/wal-0", at);

            var damage = Assert.Throws<CorruptStorageException>(() => Open("/data", Settings));

            Assert.Equal("/data/current/wal-0", damage.File);
            Assert.Equal(at / 512 * 512, damage.Offset);
            _files.Flip("/data/current/wal-0", at);
        }

        await using NodeStore store = Open("/data", Settings);
        Assert.Equal(new LogIndex(5), (await store.Group(Default).LoadAsync(1 << 20, CancellationToken.None)).LastIndex);
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
    public async Task A_directory_that_was_found_old_stays_out_at_the_next_start_too()
    {
        await FillAsync(5);
        NodeStore store = Open("/data", Settings);
        var reason = new CorruptStorageException("/data", 0, "n2 has seen a newer one", "Put the newest one back.");
        using (store.CloseAsDamaged(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, reason))
        {
            // The process ends: whoever knew better may be down at the next start.
        }

        var damage = Assert.Throws<CorruptStorageException>(() => Open("/data", Settings));
        Assert.Contains("n2 has seen a newer one", damage.Message, StringComparison.Ordinal);
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
        foreach (long at in new long[] { 0, SecondHeaderAt })
        {
            foreach (string copy in new[] { "/data/current/copy0", "/data/current/copy1" })
                _files.Flip(copy, at + 16);

            // Opening writes good ones again.
            await using NodeStore store = Open("/data", Settings);
            AssertSame(Commands(1, 20, 1, 500), await store.Group(Default).ReadAllAsync(1, 20));
        }

        foreach (string copy in new[] { "/data/current/copy0", "/data/current/copy1" })
        {
            _files.Flip(copy, 16);
            _files.Flip(copy, SecondHeaderAt + 16);
        }

        Assert.Contains("copy", Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_copy_whose_body_does_not_fit_is_damage_only_when_the_data_file_needs_it()
    {
        await FillAsync(60, clean: false);
        string copy = NewestCopy();
        _files.Flip(copy, BodyAt + 8192 + 77);
        await using (NodeStore store = Open("/data", Settings))
            AssertSame(Commands(1, 60, 1, 500), await store.Group(Default).ReadAllAsync(1, 60));

        await using (NodeStore store = Open("/data", Settings))
        {
            await store.Group(Default).PersistAsync(Append(Commands(61, 120, 1, 500)));
            await UntilAsync(() => store.CoveredSequence == store.DurableSequence);
            _files.Restart();
        }

        copy = NewestCopy();
        int page = BitConverter.ToInt32(_files.Content(copy), BodyAt);       // the first that it would repeat
        _files.Flip(DataFile(), page * CheckpointStream.PageBytes + 99);
        _files.Flip(copy, BodyAt + 8192 + 77);
        Assert.Equal(copy, Assert.Throws<CorruptStorageException>(() => Open("/data", Settings)).File);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_older_checkpoint_is_never_written_over_a_newer_data_file(bool clean)
    {
        await FillAsync(60, clean: false);
        await FillMoreAsync(61, 120, clean);
        byte[] before = _files.Content(DataFile());
        string copy = NewestCopy();
        foreach (int at in new[] { 0, SecondHeaderAt })
        {
            for (int i = 0; i < 4096; i++)
                _files.Flip(copy, at + i, _files.Content(copy)[at + i]);
        }

        try
        {
            await using NodeStore store = Open("/data", Settings);
            AssertSame(Commands(1, 120, 1, 500), await store.Group(Default).ReadAllAsync(1, 120));      // the one before was of the same pages
        }
        catch (CorruptStorageException)
        {
            Assert.Equal(before, _files.Content(DataFile()));
        }
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

    [Fact]
    public void A_whole_page_of_an_earlier_checkpoint_is_damage_under_a_running_node_too()
    {
        using IStorageFile file = _files.Open("/raft.db", create: true);
        using var stream = CheckpointStream.Aside(file, 64 << 10, (_, _) => { });
        byte[] page = new byte[CheckpointStream.PageBytes];
        page.AsSpan(14, 4).Fill(0xFF);              // as LiteDB leaves it
        WriteNumber(1);
        byte[] earlier = _files.Content("/raft.db");
        WriteNumber(2);
        stream.Position = 0;
        Assert.Equal(page.Length, stream.Read(new byte[page.Length], 0, page.Length));

        file.Write(0, earlier);
        stream.Position = 0;
        var damage = Assert.Throws<CorruptStorageException>(() => stream.Read(new byte[page.Length], 0, page.Length));

        Assert.Equal(("/raft.db", 0), (damage.File, damage.Offset));

        void WriteNumber(byte number)
        {
            page[100] = number;
            stream.Position = 0;
            stream.Write(page, 0, page.Length);
            stream.Flush();
            stream.WriteCollected();
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 3000 && !condition(); i++)
            await Task.Delay(10);
        Assert.True(condition(), "The condition was not met within its bound.");
    }

    private const int SecondHeaderAt = 64 << 10, BodyAt = 128 << 10;

    private string NewestCopy() => new[] { "/data/current/copy0", "/data/current/copy1" }.MaxBy(path => BitConverter.ToInt64(_files.Content(path), 16)) ?? "";

    private async Task FillMoreAsync(int from, int to, bool clean)
    {
        NodeStore store = Open("/data", Settings);
        await store.Group(Default).PersistAsync(Append(Commands(from, to, 1, 500)));
        await UntilAsync(() => store.CoveredSequence == store.DurableSequence);
        if (!clean)
            _files.Restart();
        await store.DisposeAsync();
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

    private async Task KillWithRecordsInTheLogAsync(int records, int bytes = 10)
    {
        NodeStore store = Open("/data", LazySettings);
        foreach (Entry entry in Commands(1, records, 1, bytes))
            await store.Group(Default).PersistAsync(Append(entry));
        _files.Restart();
        await store.DisposeAsync();
    }
}

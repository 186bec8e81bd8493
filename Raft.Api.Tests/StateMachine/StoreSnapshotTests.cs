using System.Text;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Api.Tests.StateMachine;

public sealed class StoreSnapshotTests
{
    /// <summary>Sections of a few items and slices of a few keys, and commands between any two of them.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task A_picture_equals_a_plain_copy_however_commands_fall_between_its_slices(int seed)
    {
        var random = new Random(seed);
        var driver = new Driver();
        var copy = new Driver();        // is not applied to while a picture is written: the plain copy
        List<(byte[] Command, long TimeMs)> behind = [];
        for (int round = 0; round < 10; round++)
        {
            Apply(random.Next(300));
            foreach ((byte[] command, long timeMs) in behind)
            {
                copy.TimeMs = timeMs;
                copy.Apply(command);
            }

            behind.Clear();
            Assert.Equal(copy.Store.Status, driver.Store.Status);

            var target = new BetweenWrites(() => Apply(random.Next(40)));
            using (IStateSnapshot picture = driver.Store.TakeSnapshot(sectionBytes: random.Next(1, 400), sliceKeys: random.Next(1, 5)))
            {
                Apply(random.Next(100));
                await picture.WriteAsync(target, CancellationToken.None);
            }

            Store loaded = await LoadAsync(target.ToArray());
            Assert.Equal(copy.Store.Status, loaded.Status);
            Assert.Equal(Dump(copy.Store), Dump(loaded));
            Assert.Equal(loaded.RecomputeHash(), loaded.StateHash);
            Assert.Equal(driver.Store.RecomputeHash(), driver.Store.StateHash);
        }

        void Apply(int count)
        {
            while (count-- > 0)
            {
                byte[] command = StoreContractTests.Random(random);
                driver.TimeMs += random.Next(100) == 0 ? 60_000 : random.Next(3);
                driver.Apply(command);
                behind.Add((command, driver.TimeMs));
            }
        }
    }

    [Fact]
    public async Task Outcomes_and_their_age_survive_so_that_nothing_is_done_twice()
    {
        var driver = new Driver();
        StoreResult first = driver.Apply(Append("a"));
        driver.TimeMs += 5_000;
        StoreResult second = driver.Apply(Append("b"));
        Driver loaded = await driver.CopyAsync();

        Assert.Equal(new Replayed(first), loaded.Apply(Append("a")));
        Assert.Equal(new Replayed(second), loaded.Apply(Append("b")));
        Assert.Equal(second, loaded.Store.FindSettled("anonymous", "b")?.Outcome);
        loaded.TimeMs += 4_999;
        Assert.Equal(new TableFull(2, 1), loaded.Apply(Append("c")));
        loaded.TimeMs += 1;
        Assert.IsType<Appended>(loaded.Apply(Append("c")));       // "a" was the oldest
        Assert.IsType<Replayed>(loaded.Apply(Append("b")));
        Assert.Null(loaded.Store.FindSettled("anonymous", "a"));

        static byte[] Append(string key) => Commands.Of(CommandKind.Append, key, idempotencyKey: key, maxKeys: 2, minAgeSeconds: 10);
    }

    [Fact]
    public async Task A_key_that_was_forgotten_stays_too_old_after_loading_also_for_a_longer_window()
    {
        var driver = new Driver();
        string forgotten = Guid.CreateVersion7(DateTimeOffset.FromUnixTimeMilliseconds(driver.TimeMs)).ToString();
        driver.Apply(Append(forgotten, minAgeSeconds: 10));
        driver.TimeMs += 20_000;
        driver.Apply(Append("other", minAgeSeconds: 10));
        Assert.Null(driver.Store.FindSettled("anonymous", forgotten));

        Assert.IsType<KeyTooOld>(driver.Apply(Append(forgotten, minAgeSeconds: 3_600)));
        Driver loaded = await driver.CopyAsync();
        Assert.IsType<KeyTooOld>(loaded.Apply(Append(forgotten, minAgeSeconds: 3_600)));
        Assert.Equal(2, loaded.Store.Status.JournalLastIndex);

        static byte[] Append(string key, int minAgeSeconds) => Commands.Of(CommandKind.Append, "x", idempotencyKey: key, maxKeys: 1, minAgeSeconds: minAgeSeconds);
    }

    [Fact]
    public async Task A_command_that_a_snapshot_covers_is_never_applied_again()
    {
        var driver = new Driver();
        for (int n = 0; n < 10; n++)
            driver.Apply(Commands.Of(CommandKind.Append, $"{n}"));
        Store loaded = (await driver.CopyAsync()).Store;
        var again = new CommittedCommand(new LogIndex(10), new Term(2), driver.TimeMs, Commands.Of(CommandKind.Append, "again"));
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await loaded.ApplyAsync([again], CancellationToken.None));
        Assert.Equal(10, loaded.Status.JournalLastIndex);
    }

    [Fact]
    public async Task Large_items_and_empty_ones_survive()
    {
        var driver = new Driver();
        driver.Apply(Commands.Of(CommandKind.Append, new string('x', 3_000_000), contentType: new string('t', 255)));
        driver.Apply(Commands.Of(CommandKind.Append));
        driver.Apply(Commands.Of(CommandKind.Put, new string('y', 2_000_000), new string('k', StoreCommands.KeyBytesMax)));
        driver.Apply(Commands.Of(CommandKind.Put, "", "empty"));
        Driver loaded = await driver.CopyAsync();
        Assert.Equal(Dump(driver.Store), Dump(loaded.Store));
        Assert.Equal(driver.Store.Status, loaded.Store.Status);
    }

    [Fact]
    public async Task A_picture_that_is_being_written_survives_a_load()
    {
        var driver = new Driver();
        for (int n = 0; n < 300; n++)
            driver.Apply(Commands.Of(CommandKind.Put, $"{n}", $"key {n}"));
        StoreStatus before = driver.Store.Status;
        byte[] empty = await new Driver().PictureAsync();

        bool isLoaded = false;
        var target = new BetweenWrites(() =>
        {
            if (!isLoaded)
                driver.Store.LoadSnapshotAsync(new MemoryStream(empty), CancellationToken.None).AsTask().GetAwaiter().GetResult();
            isLoaded = true;
        });
        using (IStateSnapshot picture = driver.Store.TakeSnapshot(sectionBytes: 100, sliceKeys: 10))
        {
            await picture.WriteAsync(target, CancellationToken.None);
            Assert.Throws<InvalidOperationException>(() => driver.Store.TakeSnapshot());
        }

        Assert.Equal(0, driver.Store.Status.Keys);
        Assert.Equal(before, (await LoadAsync(target.ToArray())).Status);
        driver.Store.TakeSnapshot().Dispose();
    }

    /// <summary>The bytes are verified against their hash before; a fault of a program is found all the same.</summary>
    [Fact]
    public async Task No_damage_passes_and_none_takes_more_memory_than_there_are_bytes()
    {
        var random = new Random(5);
        var driver = new Driver();
        for (int n = 0; n < 100; n++)
            driver.Apply(StoreContractTests.Random(random));
        byte[] picture = await driver.PictureAsync();
        for (int at = 0; at < picture.Length; at++)
        {
            byte[] damaged = [.. picture];
            damaged[at] ^= (byte)(1 << random.Next(8));
            try
            {
                // Some bits say nothing (a Boolean takes a number's place); the applied index is not part of the state hash.
                Store loaded = await LoadAsync(damaged);
                Assert.Equal(driver.Store.Status with { AppliedIndex = loaded.Status.AppliedIndex }, loaded.Status);
                Assert.Equal(Dump(driver.Store), Dump(loaded));
            }
            catch (InvalidDataException error)
            {
                Assert.NotEmpty(error.Message);
            }
        }

        byte[] bomb = [.. "rhstore\u0001"u8, 1, 0xFF, 0xFF, 0xFF, 0x03];
        long before = GC.GetAllocatedBytesForCurrentThread();
        await Assert.ThrowsAsync<InvalidDataException>(() => LoadAsync(bomb));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
    }

    [Fact]
    public async Task A_snapshot_of_another_version_says_so()
    {
        byte[] picture = await new Driver().PictureAsync();
        picture[7] = 9;
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => LoadAsync(picture));
        Assert.Contains("version 9", error.Message, StringComparison.Ordinal);
    }

    private static async Task<Store> LoadAsync(byte[] content)
    {
        var store = new Store();
        await store.LoadSnapshotAsync(new MemoryStream(content, writable: false), CancellationToken.None);
        return store;
    }

    private static string Dump(Store store)
    {
        var text = new StringBuilder();
        foreach (KeyValue item in store.Range([], [], int.MaxValue, long.MaxValue).Items)
            text.AppendLine($"{Convert.ToHexString(item.Key)} {Convert.ToHexString(item.Value)} {item.ContentType} {item.Revision}");
        JournalPage page = store.ReadJournal(null, int.MaxValue, long.MaxValue);
        for (int i = 0; i < page.Entries.Length; i++)
            text.AppendLine($"{page.From + i} {page.Entries[i].Term} {page.Entries[i].TimeMs} {page.Entries[i].ContentType} {Convert.ToHexString(page.Entries[i].Payload.Span)}");
        return text.ToString();
    }

    /// <summary>Something happens before each write.</summary>
    private sealed class BetweenWrites(Action between) : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            between();
            Write(buffer.Span);
            return ValueTask.CompletedTask;
        }
    }
}

using System.Diagnostics;
using System.Runtime.InteropServices;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>Whose directory it is, how often it was started, and what happens when the disk fails.</summary>
public sealed partial class NodeStoreTests
{
    [Fact]
    public async Task The_start_count_grows_and_the_storage_id_stays()
    {
        var files = new SimulatedFiles();
        var ids = new HashSet<StorageId>();
        var nonces = new HashSet<ulong>();
        long sequence = 0;
        for (int start = 1; start <= 6; start++)
        {
            NodeStore store = Open("/data", Small with { Files = files });
            Assert.Equal(start, store.StartCount);
            Assert.True(store.OpeningSequence > sequence);
            sequence = store.OpeningSequence;
            ids.Add(store.StorageId);
            nonces.Add(store.StartNonce);
            if (start % 2 == 0)
                files.Restart();                    // killed
            await store.DisposeAsync();
        }

        Assert.Single(ids);
        Assert.Equal(6, nonces.Count);
    }

    [Fact]
    public async Task A_directory_in_use_is_refused_and_free_afterwards()
    {
        using var temp = new TempDirectory();
        await using (NodeStore store = Open(temp.Data))
        {
            var refused = Assert.Throws<DataDirectoryException>(() => Open(temp.Data));
            Assert.Contains(temp.Data, refused.Message, StringComparison.Ordinal);
            Assert.Contains("in use", refused.Message, StringComparison.Ordinal);
        }

        await using NodeStore again = Open(temp.Data);
    }

    [SkippableFact]
    public async Task A_directory_locked_by_another_process_is_refused()
    {
        Skip.IfNot(File.Exists("/usr/bin/flock"), "flock(1) is not there");
        using var temp = new TempDirectory();
        await Open(temp.Data).DisposeAsync();
        using Process other = Process.Start(new ProcessStartInfo("/usr/bin/flock", [Path.Combine(temp.Data, "lock"), "sh", "-c", "echo locked; read x"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;                                        // UseShellExecute is off: a process was started
        Assert.Equal("locked", await other.StandardOutput.ReadLineAsync());

        Assert.Throws<DataDirectoryException>(() => Open(temp.Data));

        await other.StandardInput.WriteLineAsync();
        await other.WaitForExitAsync();
        await Open(temp.Data).DisposeAsync();
    }

    [Fact]
    public async Task A_closed_directory_is_free_although_a_forked_process_still_has_the_locks_descriptor()
    {
        // As any process that is started meanwhile, between fork and exec.
        using var temp = new TempDirectory();
        NodeStore store = Open(temp.Data);
        string path = Path.Combine(temp.Data, "lock");
        string descriptor = Directory.EnumerateFileSystemEntries("/proc/self/fd").Single(entry => new FileInfo(entry).LinkTarget == path);
        int copy = Duplicate(int.Parse(Path.GetFileName(descriptor), System.Globalization.CultureInfo.InvariantCulture));
        Assert.True(copy >= 0);

        await store.DisposeAsync();
        await Open(temp.Data).DisposeAsync();

        Assert.Equal(0, Close(copy));
    }

    [LibraryImport("libc", EntryPoint = "dup")]
    private static partial int Duplicate(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [Fact]
    public async Task A_directory_of_another_node_is_refused()
    {
        var files = new SimulatedFiles();
        await Open("/data", Small with { Files = files }, "n1").DisposeAsync();

        var refused = Assert.Throws<DataDirectoryException>(() => Open("/data", Small with { Files = files }, "n2"));

        Assert.Contains("'n1'", refused.Message, StringComparison.Ordinal);
        await Open("/data", Small with { Files = files }, "n1").DisposeAsync();
    }

    [Fact]
    public void A_path_that_cannot_be_a_directory_is_refused_with_its_name()
    {
        using var temp = new TempDirectory();
        File.WriteAllText(temp.Data, "");

        var refused = Assert.Throws<DataDirectoryException>(() => Open(temp.Data));

        Assert.Contains(temp.Data, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_directory_that_was_never_finished_is_made_anew()
    {
        var files = new SimulatedFiles();
        for (int calls = 1; calls < 120; calls++)
        {
            files.CutAfter(calls);
            try
            {
                await Open("/data", Small with { Files = files }).DisposeAsync();
            }
            catch (DataDirectoryException)
            {
                // The power went.
            }

            files.CutAfter(0);
            files.PowerOn(new Random(calls));
        }

        await using NodeStore store = Open("/data", Small with { Files = files });
    }

    [Fact]
    public async Task Every_acknowledged_request_was_preceded_by_a_sync_of_its_record()
    {
        var files = new SimulatedFiles();
        await using NodeStore store = Open("/data", Small with { Files = files });
        IRaftStorage group = store.Group(Default);
        for (int i = 1; i <= 200; i++)
        {
            int before = files.SyncsOf("wal-");
            await group.PersistAsync(Append(Commands(i, i, 1)));

            Assert.True(files.SyncsOf("wal-") > before);
            Assert.False(files.HasUnsynced("wal-"));
        }
    }

    [Fact]
    public async Task Requests_that_wait_together_share_one_sync()
    {
        var files = new SimulatedFiles();
        await using NodeStore store = Open("/data", Small with { Files = files });
        files.HoldSyncs();
        var tasks = new List<Task>();
        for (int g = 0; g < 20; g++)
        {
            IRaftStorage group = store.Group(new GroupId($"g{g}"));
            for (int i = 1; i <= 10; i++)
                tasks.Add(group.PersistAsync(Append(Commands(i, i, 1))));
        }

        int before = files.SyncsOf("wal-");
        Assert.DoesNotContain(tasks, task => task.IsCompleted);
        files.ReleaseSyncs();
        await Task.WhenAll(tasks);

        Assert.InRange(files.SyncsOf("wal-") - before, 1, 4);
    }

    [Theory]
    [InlineData("wal-", true)]
    [InlineData("wal-", false)]
    [InlineData("copy", true)]
    [InlineData("copy", false)]
    [InlineData("raft-", true)]
    [InlineData("raft-", false)]
    public async Task After_a_failed_write_or_sync_nothing_is_acknowledged(string file, bool isSync)
    {
        var files = new SimulatedFiles();
        var failures = new List<StorageFailedException>();
        bool isAcknowledged = false;
        await using NodeStore store = Open("/data", Small with
        {
            Files = files,
            OnFailure = failure =>
        {
            Assert.False(isAcknowledged);
            failures.Add(failure);
        }
        });
        IRaftStorage group = store.Group(Default);
        await group.PersistAsync(Append(Commands(1, 1, 1)));
        bool Fails(string path) => System.IO.Path.GetFileName(path).StartsWith(file, StringComparison.Ordinal);
        if (isSync)
            files.FailsSync = Fails;
        else
            files.FailsWrite = Fails;

        var error = await Assert.ThrowsAsync<StorageFailedException>(async () =>
        {
            for (int i = 2; i < 100_000; i++)
            {
                await group.PersistAsync(Append(Commands(i, i, 1, 1000)));
                isAcknowledged = file == "wal-";
            }
        });

        Assert.Contains(file, error.File, StringComparison.Ordinal);
        Assert.Equal(5, error.Errno);
        Assert.Single(failures);
        await Assert.ThrowsAsync<StorageFailedException>(() => store.Failed);
        await Assert.ThrowsAsync<StorageFailedException>(() => group.PersistAsync(null));
    }

    [Fact]
    public async Task Deletion_marks_and_descriptors_survive_and_deleted_entries_are_gone()
    {
        var files = new SimulatedFiles();
        SnapshotDescriptor? descriptor = null;
        Entry[] entries = Commands(1, 500, 1, 400);
        for (int opened = 0; opened < 3; opened++)
        {
            NodeStore store = Open("/data", Small with { Files = files });
            IRaftStorage group = store.Group(Default);
            if (opened == 0)
            {
                await group.PersistAsync(Append(entries));
                descriptor = await group.WriteSnapshotAsync(index: 300, term: 1, new byte[77]);
                await group.PersistAsync(InForce(descriptor, deleteThrough: 300));
            }
            else
            {
                PersistedState state = await group.LoadAsync(1 << 20, CancellationToken.None);
                Assert.Equal(descriptor! with { Configuration = state.Snapshot!.Configuration }, state.Snapshot);
                Assert.Equal(new LogIndex(301), state.FirstIndex);
                Assert.Equal([new TermRun(new LogIndex(301), new Term(1))], state.TermRuns);
                AssertSame(entries[300..], state.RecentEntries);
                Assert.Empty(await group.ReadEntriesAsync(new LogIndex(300), new LogIndex(400), 1000, CancellationToken.None));
                await group.PersistAsync(Append(Commands(500 + opened, 500 + opened, 1)));
                entries = [.. entries, .. Commands(500 + opened, 500 + opened, 1)];
            }

            if (opened == 1)
                files.Restart();
            await store.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_further_group_is_made_once_and_whole()
    {
        var files = new SimulatedFiles();
        var group = new GroupId("further");
        Configuration first = Configuration.Of([new Member(new NodeId("n1"), new StorageId(1), MemberKind.Voter, "http://a", "http://b")]);
        Configuration other = Configuration.Of([new Member(new NodeId("n2"), new StorageId(2), MemberKind.Voter, "http://c", "http://d")]);
        for (int opened = 0; opened < 3; opened++)
        {
            await using NodeStore store = Open("/data", Small with { Files = files });
            await Task.WhenAll(store.CreateGroupAsync(group, opened == 0 ? first : other), store.CreateGroupAsync(group, other));

            PersistedState state = await store.Group(group).LoadAsync(1 << 20, CancellationToken.None);
            Assert.Equal(Vote(1), state.TermAndVote);
            Assert.Equal(first.Encode(), Assert.Single(state.RecentEntries).Payload.ToArray());
            Assert.Equal(group, Assert.Single(store.GroupIds));
        }
    }

    [Fact]
    public async Task A_group_with_no_more_than_a_term_is_not_made_again()
    {
        await using NodeStore store = Open("/data", Small with { Files = new SimulatedFiles() });
        _ = store.Group(new GroupId("only looked at"));
        await store.Group(Default).PersistAsync(new PersistRequest(Vote(5, "n2"), null, []));

        await store.CreateGroupAsync(Default, Configuration.Empty);

        PersistedState state = await store.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
        Assert.Equal((Vote(5, "n2"), LogIndex.Zero), (state.TermAndVote, state.LastIndex));
        Assert.Equal([Default], store.GroupIds);
    }

    [Fact]
    public async Task A_node_that_adopted_a_cluster_has_empty_groups_and_takes_a_snapshot_into_one()
    {
        var files = new SimulatedFiles();
        SnapshotDescriptor? received = null;
        for (int opened = 0; opened < 3; opened++)
        {
            await using NodeStore store = Open("/data", Small with { Files = files });
            IRaftStorage group = store.Group(Default), appended = store.Group(new GroupId("appended"));
            PersistedState state = await group.LoadAsync(1 << 20, CancellationToken.None);
            if (opened == 0)
            {
                await store.AdoptAsync(new Host.ClusterUid(9));
                Assert.Equal(PersistedState.Empty, await appended.LoadAsync(1 << 20, CancellationToken.None));
                Assert.Equal(PersistedState.Empty, state);
                await appended.PersistAsync(new PersistRequest(Vote(3), null, Commands(1, 2, 2)));
                byte[] content = new byte[9_000];
                var foreign = new SnapshotDescriptor("foreign", new LogIndex(70), new Term(2), Configuration.Empty, new LogIndex(1), content.Length, System.IO.Hashing.XxHash128.HashToUInt128(content));
                await using ISnapshotReceiver receiver = await group.ReceiveSnapshotAsync(foreign, CancellationToken.None);
                await receiver.WriteAsync(content, CancellationToken.None);
                received = foreign with { SnapshotId = (await receiver.CompleteAsync(CancellationToken.None)).SnapshotId };
                await group.PersistAsync(InForce(received, 70, truncateFrom: 1));
                await group.PersistAsync(new PersistRequest(Vote(3), null, Commands(71, 75, 3)));
                continue;
            }

            Assert.Equal((71, 75), (state.FirstIndex.Value, state.LastIndex.Value));
            Assert.Equal(received!.SnapshotId, state.Snapshot!.SnapshotId);
            AssertSame(Commands(71, 75, 3), state.RecentEntries);
            AssertSame(Commands(1, 2, 2), (await appended.LoadAsync(1 << 20, CancellationToken.None)).RecentEntries);
        }
    }

    [Fact]
    public async Task One_groups_flood_holds_the_others_back_by_no_more_than_a_record()
    {
        var files = new SimulatedFiles();
        await using NodeStore store = Open("/data", Small with { Files = files });
        files.HoldSyncs();
        Task first = store.Group(new GroupId("first")).PersistAsync(Append(Commands(1, 1, 1)));     // its sync is under way
        IRaftStorage flood = store.Group(new GroupId("flood"));
        var flooded = new List<Task> { flood.PersistAsync(Append(Commands(1, 300, 1, 1_000))) };    // a batch of twenty records
        for (int i = 0; i < 100; i++)
            flooded.Add(flood.PersistAsync(Append(Commands(301 + i * 3, 303 + i * 3, 1, 1_000))));
        Task[] others = [.. Enumerable.Range(0, 50).Select(n => store.Group(new GroupId($"other-{n}")).PersistAsync(Append(Commands(1, 1, 1, 200))))];

        // The first, one of the flood, theirs; and then the disk stalls again.
        int before = files.SyncsOf("wal-"), left = 3;
        files.FailsSync = path =>
        {
            if (path.Contains("wal-", StringComparison.Ordinal) && --left == 0)
                files.HoldSyncs();
            return false;
        };
        files.ReleaseSyncs();
        await Task.WhenAll([first, .. others]).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Contains(flooded, task => !task.IsCompleted);

        files.ReleaseSyncs();
        await Task.WhenAll(flooded);
        Assert.True(files.SyncsOf("wal-") - before > 30, "The flood was none.");
        Assert.Equal(600, (await flood.LoadAsync(1, CancellationToken.None)).LastIndex.Value);
    }

    [Fact]
    public async Task What_is_below_the_mark_makes_room_for_what_comes()
    {
        var files = new SimulatedFiles();
        StorageSettings settings = Small with { Files = files, CopyDelayMs = 1, IdleCheckpointMs = 20 };
        await using NodeStore store = Open("/data", settings);
        IRaftStorage group = store.Group(Default);
        long last = 0;
        var sizes = new List<int>();
        for (int round = 0; round < 8; round++)
        {
            for (int i = 0; i < 10; i++, last += 20)
                await group.PersistAsync(Append(Commands(last + 1, last + 20, 1, 1_000)));
            await group.PersistAsync(InForce(await group.WriteSnapshotAsync(last, 1, new byte[100]), last - 10));
            await UntilAsync(() => store.CoveredSequence == store.DurableSequence && !store.HasDeletions);
            sizes.Add(files.Content(files.Paths.Single(path => path.EndsWith(".db", StringComparison.Ordinal))).Length);
        }

        Assert.True(sizes[^1] <= sizes[2] + sizes[0] / 2, $"The data file grew without end: {string.Join(", ", sizes)}.");
    }

    [Fact]
    public async Task Opening_three_hundred_groups_takes_a_few_calls_for_each()
    {
        // Bytes and calls grow with what is stored, and not with its square; what that means in seconds is the benchmark's.
        var files = new SimulatedFiles();
        StorageSettings settings = Small with { Files = files, SegmentBytes = 1 << 20, DatabaseLogBytes = 4 << 20, ChunkBytes = 64 << 10 };
        await using (NodeStore store = Open("/data", settings))
        {
            for (int g = 0; g < 300; g++)
            {
                IRaftStorage group = store.Group(new GroupId($"group-{g}"));
                _ = group.PersistAsync(new PersistRequest(Vote(1), null, Commands(1, 200, 1, 100)));
                await group.PersistAsync(InForce(await group.WriteSnapshotAsync(100, 1, new byte[20_000]), 90));
            }
        }

        int calls = 0;
        files.Cost = (_, _) =>
        {
            calls++;                                // one at a time
            return TimeSpan.Zero;
        };
        await using NodeStore again = Open("/data", settings);
        await Task.WhenAll(again.GroupIds.Select(id => again.Group(id).LoadAsync(1 << 20, CancellationToken.None).AsTask()));

        Assert.Equal(300, again.GroupIds.Count);
        Assert.InRange(calls, 300, 20 * 300);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 3000 && !condition(); i++)
            await Task.Delay(10);
        Assert.True(condition(), "The condition was not met within its bound.");
    }
}

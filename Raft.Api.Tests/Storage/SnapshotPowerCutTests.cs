using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>Power goes at every call of taking, receiving, installing and compacting: the state is one that was asked for, at
/// least the last acknowledged one, with its snapshot whole, and nothing is called damage. Rule 6.</summary>
public sealed class SnapshotPowerCutTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Power_goes_at_every_call_of_a_snapshots_life(int seed)
    {
        int cuts = 0;
        for (int calls = 1; ; calls++, cuts++)
        {
            var world = new World(seed * 10_000 + calls);
            await world.PrepareAsync();
            if (!await world.CutDuringAsync(calls))
                break;
            await world.CheckAsync();
        }

        Assert.True(cuts > 60, $"Only {cuts} calls were cut: the story is too short.");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Nothing_acknowledged_is_lost_in_many_double_power_cuts(int seed)
    {
        var world = new World(seed);
        await world.PrepareAsync();
        for (int round = 0; round < 30; round++)
        {
            await world.CutDuringAsync(1 + world.Random.Next(150));
            await world.CutDuringAsync(1 + world.Random.Next(60));          // while it opens, or soon after
            await world.CheckAsync();
        }
    }

    [Theory]
    [InlineData("file")]
    [InlineData("directory")]
    public async Task An_omitted_sync_is_found(string what)
    {
        // Otherwise the tests above would prove nothing.
        for (int calls = 1; calls < 300; calls++)
        {
            var world = new World(calls);
            await world.PrepareAsync();
            world.Files.OmitsSync = path => what == "directory" ? path.EndsWith("/snapshots", StringComparison.Ordinal) : path.Contains("/snapshots/", StringComparison.Ordinal);
            try
            {
                await world.CutDuringAsync(calls);
                await world.CheckAsync();
            }
            catch (Exception error) when (error is CorruptStorageException or LostException)
            {
                return;
            }
        }

        Assert.Fail($"No run noticed that the {what} is not synced.");
    }

    [Fact]
    public async Task A_late_snapshot_over_an_acknowledged_suffix_takes_nothing_back()
    {
        // Fault 35: the log matches at the snapshot's index, so all above it stays, wherever the power goes.
        for (int calls = 1; ; calls++)
        {
            var files = new SimulatedFiles();
            Entry[] entries = Commands(1, 40, 1, 300);
            NodeStore store = Open("/data", Small with { Files = files });
            await store.Group(Default).PersistAsync(new PersistRequest(Vote(1), null, entries));
            files.CutAfter(calls);
            try
            {
                SnapshotDescriptor snapshot = await store.Group(Default).WriteSnapshotAsync(index: 20, term: 1, new byte[5_000]);
                await store.Group(Default).PersistAsync(InForce(snapshot, deleteThrough: 20));
            }
            catch (Exception error) when (error is StorageFailedException or ObjectDisposedException)
            {
                // The power went.
            }

            bool isThrough = !files.IsOff;
            await store.DisposeAsync();
            files.CutAfter(0);
            files.PowerOn(new Random(calls));
            await using NodeStore again = Open("/data", Small with { Files = files });
            PersistedState found = await again.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
            Assert.Equal(new LogIndex(40), found.LastIndex);
            AssertSame(entries[20..], await again.Group(Default).ReadAllAsync(21, 40));
            if (isThrough)
                break;
        }
    }

    [Fact]
    public async Task A_batch_longer_than_a_record_brings_its_snapshot_with_its_last_part()
    {
        int prefixes = 0;
        for (int calls = 1; ; calls++)
        {
            var files = new SimulatedFiles();
            NodeStore store = Open("/data", Small with { Files = files });
            IRaftStorage group = store.Group(Default);
            SnapshotDescriptor snapshot = await group.WriteSnapshotAsync(80, 1, new byte[5_000]);
            files.CutAfter(calls);
            bool isThrough = false;
            try
            {
                await group.PersistAsync(new PersistRequest(Vote(1), null, Commands(1, 100, 1, 1_000)) { Snapshot = snapshot, DeleteThrough = new LogIndex(70) });
                isThrough = !files.IsOff;
            }
            catch (Exception error) when (error is StorageFailedException or ObjectDisposedException)
            {
                // The power went.
            }

            await store.DisposeAsync();
            files.CutAfter(0);
            files.PowerOn(new Random(calls));
            await using NodeStore again = Open("/data", Small with { Files = files });
            PersistedState found = await again.Group(Default).LoadAsync(1 << 20, CancellationToken.None);
            bool isWhole = found.Snapshot is not null;
            Assert.Equal(isWhole ? (71, 100) : (1, found.RecentEntries.Count), (found.FirstIndex.Value, found.LastIndex.Value));
            Assert.True(isWhole || found.LastIndex.Value < 100);
            AssertSame(Commands(found.FirstIndex.Value, found.LastIndex.Value, 1, 1_000), found.RecentEntries);
            prefixes += !isWhole && found.RecentEntries.Count > 0 ? 1 : 0;
            if (isThrough)
                break;
        }

        Assert.True(prefixes > 2, $"Only {prefixes} cuts came between the parts.");
    }

    [Fact]
    public async Task Power_that_goes_in_the_first_record_of_a_used_segment_is_no_damage()
    {
        // Fault 34: the segment still holds records that are covered; the torn one over them was never acknowledged.
        int lost = 0, kept = 0;
        for (int seed = 1; seed <= 40; seed++)
        {
            var files = new SimulatedFiles();
            NodeStore store = Open("/data", Small with { Files = files });
            IRaftStorage group = store.Group(Default);
            var used = new HashSet<string>();
            string segment = "";
            files.FailsWrite = path =>
            {
                if (System.IO.Path.GetFileName(path).StartsWith("wal-", StringComparison.Ordinal) && path != segment)
                {
                    segment = path;
                    if (!used.Add(path))
                        files.CutAfter(1);          // the power goes in this write: perhaps torn, and not synced
                }

                return false;
            };

            long acknowledged = 0;
            try
            {
                for (; ; acknowledged++)
                    await group.PersistAsync(Append(Commands(acknowledged + 1, acknowledged + 1, 1, 10_000)));
            }
            catch (StorageFailedException)
            {
                // There it went.
            }

            files.FailsWrite = _ => false;
            await store.DisposeAsync();
            files.PowerOn(new Random(seed));
            await using NodeStore again = Open("/data", Small with { Files = files });
            PersistedState found = await again.Group(Default).LoadAsync(1, CancellationToken.None);
            Assert.InRange(found.LastIndex.Value, acknowledged, acknowledged + 1);
            _ = found.LastIndex.Value > acknowledged ? kept++ : lost++;
        }

        Assert.True(lost > 5 && kept > 5, $"The record was lost {lost} times and kept {kept} times.");
    }

    private sealed class LostException(string what) : Exception(what);

    /// <param name="Vote">Term and vote.</param>
    /// <param name="First">First index of the log.</param>
    /// <param name="Log">Its entries.</param>
    /// <param name="Snapshot">In force.</param>
    /// <param name="Content">Of the snapshot.</param>
    private sealed record State(TermAndVote Vote, long First, Entry[] Log, SnapshotDescriptor? Snapshot, byte[] Content)
    {
        public long Last => First + Log.Length - 1;
    }

    private sealed class World(int seed)
    {
        private static readonly StorageSettings s_settings = Small with { DatabaseLogBytes = 128 << 10, CopyDelayMs = 1, IdleCheckpointMs = 3 };
        private readonly List<State> _states = [new State(default, 1, [], null, [])];
        private int _acknowledged;

        public Random Random { get; } = new(seed);

        public SimulatedFiles Files { get; } = new();

        public async Task PrepareAsync()
        {
            await using NodeStore store = Open("/data", s_settings with { Files = Files });
            await AppendAsync(store.Group(Default), 40);
        }

        /// <summary>The story, until the power goes; false when it was over before.</summary>
        public async Task<bool> CutDuringAsync(int calls)
        {
            Files.CutAfter(calls);
            bool isThrough = false;
            NodeStore? store = null;
            try
            {
                store = Open("/data", s_settings with { Files = Files });
                await CheckAsync(store);
                await TellAsync(store.Group(Default));
                isThrough = !Files.IsOff;
            }
            catch (Exception error) when (error is StorageFailedException or ObjectDisposedException or DataDirectoryException)
            {
                // The power went.
            }
            finally
            {
                if (store is not null)
                    await store.DisposeAsync();
                Files.CutAfter(0);
                Files.PowerOn(Random);
            }

            return !isThrough;
        }

        public async Task CheckAsync()
        {
            await using NodeStore store = Open("/data", s_settings with { Files = Files });
            await CheckAsync(store);
        }

        /// <summary>Takes one with trailing entries; receives one in two parts and is reset by it; takes another.</summary>
        private async Task TellAsync(IRaftStorage group)
        {
            State now = _states[^1];
            byte[] content = Content(now.Last);
            SnapshotDescriptor taken = await group.WriteSnapshotAsync(now.Last, TermAt(now), content);
            long mark = Math.Max(now.First - 1, now.Last - 5);
            await AskAsync(group, InForce(taken, mark), now with { First = mark + 1, Log = now.Log[(int)(mark + 1 - now.First)..], Snapshot = taken, Content = content });
            await AppendAsync(group, 3);

            now = _states[^1];
            long index = now.Last + 7;
            content = Content(index);
            var foreign = new SnapshotDescriptor("foreign", new LogIndex(index), new Term(1), Configuration.Empty, new LogIndex(1), content.Length, System.IO.Hashing.XxHash128.HashToUInt128(content));
            await (await group.ReceiveSnapshotAsync(foreign, CancellationToken.None)).WriteAsync(content.AsMemory(0, 1_000), CancellationToken.None);
            await using ISnapshotReceiver receiver = await group.ReceiveSnapshotAsync(foreign, CancellationToken.None);
            await receiver.WriteAsync(content.AsMemory((int)receiver.NextOffset), CancellationToken.None);
            SnapshotDescriptor received = foreign with { SnapshotId = (await receiver.CompleteAsync(CancellationToken.None)).SnapshotId };
            await AskAsync(group, InForce(received, index, truncateFrom: now.First), now with { First = index + 1, Log = [], Snapshot = received, Content = content });
            await AppendAsync(group, 12);
        }

        private static long TermAt(State state) => state.Log.Length > 0 ? state.Log[^1].Term.Value : 1;

        private static byte[] Content(long index)
        {
            byte[] content = new byte[2_000 + index * 331 % 140_000];
            new Random((int)index).NextBytes(content);
            return content;
        }

        private Task AppendAsync(IRaftStorage group, int count)
        {
            State now = _states[^1];
            Entry[] more = Commands(now.Last + 1, now.Last + count, 1, 700);
            return AskAsync(group, new PersistRequest(Vote(1), null, more), now with { Vote = Vote(1), Log = [.. now.Log, .. more] });
        }

        private async Task AskAsync(IRaftStorage group, PersistRequest request, State then)
        {
            _states.Add(then);
            int number = _states.Count - 1;
            await group.PersistAsync(request);
            _acknowledged = number;
        }

        private async Task CheckAsync(NodeStore store)
        {
            IRaftStorage group = store.Group(Default);
            PersistedState found = await group.LoadAsync(long.MaxValue, CancellationToken.None);
            int number = _states.Count - 1;
            while (number >= _acknowledged && !IsSame(_states[number], found))
                number--;
            if (number < _acknowledged)
                throw new LostException($"seed {seed}: found [{found.FirstIndex}, {found.LastIndex}] and snapshot {found.Snapshot?.Index}; acknowledged is [{_states[_acknowledged].First}, {_states[_acknowledged].Last}]");

            State kept = _states[number];
            _states.Clear();
            _states.Add(kept);
            _acknowledged = 0;
            if (kept.Snapshot is { } snapshot)
                Assert.Equal(kept.Content, await group.ReadSnapshotAsync(snapshot));
            AssertSame(kept.Log, await group.ReadAllAsync(kept.First, kept.Last));
            string[] files = [.. Files.Paths.Where(path => path.Contains("/snapshots/", StringComparison.Ordinal)).Select(path => System.IO.Path.GetFileName(path))];
            Assert.Equal(kept.Snapshot is { } named ? [named.SnapshotId + ".snap"] : [], files);
        }

        private static bool IsSame(State state, PersistedState found) =>
            state.Vote == found.TermAndVote && state.First == found.FirstIndex.Value && state.Last == found.LastIndex.Value
            && state.Snapshot?.SnapshotId == found.Snapshot?.SnapshotId && state.Snapshot?.Index == found.Snapshot?.Index
            && state.Log.Select(entry => entry.Id).SequenceEqual(found.RecentEntries.Select(entry => entry.Id));
    }
}

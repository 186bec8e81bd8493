using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using Raft.Simulator;
using static Raft.Api.Tests.Storage.TestStore;

namespace Raft.Api.Tests.Storage;

/// <summary>Power goes at any call, and again during or soon after the next opening: what was acknowledged is there, each
/// request is there whole or not at all, and nothing is called damage.</summary>
public sealed class PowerCutTests
{
    private static readonly string[] s_groups = ["one", "two", "three"];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Nothing_acknowledged_is_lost_in_fifty_double_power_cuts(int seed)
    {
        var world = new World(seed);
        for (int round = 0; round < 50; round++)
            await world.DoubleCutAsync();

        Assert.True(world.Acknowledged > 150, $"Only {world.Acknowledged} requests were acknowledged: the test shows little.");
    }

    [Theory]
    [InlineData("wal-")]
    [InlineData("copy")]
    [InlineData("raft-")]
    public async Task An_omitted_sync_is_found(string file)
    {
        // Otherwise the test above would prove nothing.
        for (int seed = 1; seed <= 20; seed++)
        {
            var world = new World(seed);
            world.Files.OmitsSync = path => System.IO.Path.GetFileName(path).StartsWith(file, StringComparison.Ordinal);
            try
            {
                for (int round = 0; round < 50; round++)
                    await world.DoubleCutAsync();
            }
            catch (Exception error) when (error is CorruptStorageException or LostWriteException)
            {
                return;
            }
        }

        Assert.Fail($"No run noticed that {file} is not synced.");
    }

    [Theory]
    [InlineData("wal-")]
    [InlineData("copy")]
    [InlineData("raft-")]
    public async Task After_a_failed_sync_nothing_rests_on_what_only_the_page_cache_shows(string file)
    {
        var world = new World(7);
        for (int round = 0; round < 25; round++)
            await world.FailedSyncThenCutAsync(file);

        Assert.True(world.Acknowledged > 25);
    }

    private sealed class LostWriteException(string what) : Exception(what);

    /// <summary>What one group must hold: a state after each request, and how many of those were acknowledged.</summary>
    private sealed class GroupModel
    {
        public List<(TermAndVote Vote, Entry[] Log)> States { get; } = [(default, [])];
        public int Acknowledged;

        public (TermAndVote Vote, Entry[] Log) Newest => States[^1];
    }

    private sealed class World(int seed)
    {
        private static readonly StorageSettings s_settings = Small with { DatabaseLogBytes = 128 << 10, CopyDelayMs = 1, IdleCheckpointMs = 3 };
        private readonly Random _random = new(seed);
        private readonly GroupModel[] _models = [.. s_groups.Select(_ => new GroupModel())];
        private long _startCount;

        public SimulatedFiles Files { get; } = new();

        public int Acknowledged { get; private set; }

        public async Task DoubleCutAsync()
        {
            await RunAsync(cutAfter: 1 + _random.Next(_random.Next(3) == 0 ? 400 : 60));
            Files.CutAfter(0);                      // if it has not come yet
            Files.PowerOn(_random);

            // Again while it opens, or soon after.
            await RunAsync(cutAfter: 1 + _random.Next(60));
            Files.CutAfter(0);
            Files.PowerOn(_random);
            await CheckAsync();
        }

        public async Task FailedSyncThenCutAsync(string file)
        {
            int syncs = _random.Next(1, 12);
            Files.FailsSync = path => System.IO.Path.GetFileName(path).StartsWith(file, StringComparison.Ordinal) && --syncs == 0;
            await RunAsync(int.MaxValue);
            Files.FailsSync = _ => false;
            Files.Restart();                        // the page cache shows what the disk does not have
            await CheckAsync();

            await RunAsync(cutAfter: 1 + _random.Next(60));
            Files.CutAfter(0);
            Files.PowerOn(_random);
            await CheckAsync();
        }

        /// <summary>Opens, checks, and writes until the power goes or enough was written.</summary>
        private async Task RunAsync(int cutAfter)
        {
            Files.CutAfter(cutAfter);
            NodeStore store;
            try
            {
                store = Open("/data", s_settings with { Files = Files });
            }
            catch (DataDirectoryException)
            {
                return;
            }

            try
            {
                await CheckAsync(store);
                var last = new List<Task>();
                for (int i = 0; i < 60 && !Files.IsOff && !store.Failed.IsCompleted; i++)
                {
                    int group = _random.Next(s_groups.Length);
                    last.Add(WriteAsync(store, group));
                    if (_random.Next(3) == 0)
                        await Task.WhenAll(last);
                }

                await Task.WhenAll(last);
            }
            catch (Exception error) when (error is StorageFailedException or ObjectDisposedException)
            {
                // The power went.
            }
            finally
            {
                await store.DisposeAsync();
            }
        }

        private async Task WriteAsync(NodeStore store, int group)
        {
            GroupModel model = _models[group];
            (TermAndVote vote, Entry[] log) = model.Newest;
            long term = Math.Max(1, vote.Term.Value);
            PersistRequest request;
            switch (_random.Next(6))
            {
                case 0:
                    vote = Vote(term + 1, "n" + _random.Next(3));
                    request = new PersistRequest(vote, null, []);
                    break;
                case 1 when log.Length > 0:
                    int keep = Math.Max(0, log.Length - _random.Next(1, _random.Next(4) == 0 ? 60 : 8));
                    vote = Vote(term + 1);
                    Entry[] fresh = Commands(keep + 1, keep + _random.Next(0, 4), term + 1, _random.Next(10, 600));
                    log = [.. log[..keep], .. fresh];
                    request = new PersistRequest(vote, new LogIndex(keep + 1), fresh);
                    break;
                default:
                    Entry[] more = Commands(log.Length + 1, log.Length + _random.Next(1, 6), term, _random.Next(10, 1200));
                    vote = vote.Term.Value == 0 ? Vote(1) : vote;
                    log = [.. log, .. more];
                    request = new PersistRequest(vote, null, more);
                    break;
            }

            model.States.Add((vote, log));
            int state = model.States.Count - 1;
            await store.Group(new GroupId(s_groups[group])).PersistAsync(request);
            lock (model)
                model.Acknowledged = Math.Max(model.Acknowledged, state);
            Acknowledged++;
        }

        private async Task CheckAsync()
        {
            await using NodeStore store = Open("/data", s_settings with { Files = Files });
            await CheckAsync(store);
        }

        private async Task CheckAsync(NodeStore store)
        {
            if (store.StartCount <= _startCount)
                throw new LostWriteException($"start {store.StartCount} after {_startCount}");
            _startCount = store.StartCount;

            for (int i = 0; i < s_groups.Length; i++)
            {
                GroupModel model = _models[i];
                PersistedState found = await store.Group(new GroupId(s_groups[i])).LoadAsync(long.MaxValue, CancellationToken.None);
                int state = model.States.Count - 1;
                while (state >= model.Acknowledged && !IsSame(model.States[state], found))
                    state--;
                if (state < model.Acknowledged)
                    throw new LostWriteException($"seed {seed}, group {s_groups[i]}: found {found.TermAndVote} with {found.LastIndex} entries; acknowledged is {model.States[model.Acknowledged].Vote} with {model.States[model.Acknowledged].Log.Length}");

                // What is there now stays: it was found at a start, and others may have been told.
                var kept = model.States[state];
                model.States.Clear();
                model.States.Add(kept);
                model.Acknowledged = 0;
            }
        }

        private static bool IsSame((TermAndVote Vote, Entry[] Log) state, PersistedState found)
        {
            if (state.Vote != found.TermAndVote || state.Log.Length != found.LastIndex.Value || found.RecentEntries.Count != state.Log.Length)
                return false;
            for (int i = 0; i < state.Log.Length; i++)
            {
                if (state.Log[i].Id != found.RecentEntries[i].Id || !state.Log[i].Payload.Span.SequenceEqual(found.RecentEntries[i].Payload.Span))
                    return false;
            }

            return true;
        }
    }
}

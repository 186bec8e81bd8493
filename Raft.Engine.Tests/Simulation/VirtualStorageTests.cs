using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Engine.Tests.Simulation;

/// <summary>The real store on virtual threads and a simulated disk.</summary>
public sealed class VirtualStorageTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void What_was_acknowledged_survives_kills_and_power_cuts(int seed) => World.Run(seed, async world =>
    {
        var node = new Node(world);
        for (int life = 0; life < 6; life++)
        {
            if (!node.TryOpen())
                continue;
            await node.CheckAsync();
            node.BeginToWrite();
            node.CrashSoon();
            await world.UntilAsync(() => node.IsDead, "the crash");
            await node.CleanUpAsync();
        }

        await node.OpenAsync();
        await node.CheckAsync();
        await node.CloseAsync();
        await node.OpenAsync();
        await node.CheckAsync();
        await node.CloseAsync();
        Assert.True(node.Acknowledged > 50, $"Only {node.Acknowledged} requests were acknowledged: this shows little.");
    });

    [Fact]
    public void The_same_seed_gives_the_same_calls_at_the_same_times()
    {
        List<string> first = CallsOf(seed: 7), second = CallsOf(seed: 7);
        Assert.True(first.Count > 500);
        Assert.Equal(first, second);
        Assert.NotEqual(first, CallsOf(seed: 8));

        static List<string> CallsOf(int seed)
        {
            List<string> calls = [];
            World.Run(seed, async world =>
            {
                var node = new Node(world, calls);
                for (int life = 0; life < 3; life++)
                {
                    if (!node.TryOpen())
                        continue;
                    node.BeginToWrite();
                    node.CrashSoon();
                    await world.UntilAsync(() => node.IsDead, "the crash");
                    await node.CleanUpAsync();
                }

                await node.OpenAsync();
                await node.CheckAsync();
                await node.CloseAsync();
            });
            return calls;
        }
    }

    [Fact]
    public void A_failed_sync_ends_the_process_and_acknowledges_nothing() => World.Run(seed: 9, async world =>
    {
        var node = new Node(world);
        await node.OpenAsync();
        node.BeginToWrite();
        await world.UntilAsync(() => node.Acknowledged > 20, "some writes");

        int acknowledged = node.Acknowledged;
        node.Files.FailsSync = path => path.Contains("wal-", StringComparison.Ordinal);
        await world.UntilAsync(() => node.IsDead, "the end");
        Assert.Equal(acknowledged, node.Acknowledged);

        node.Files.FailsSync = _ => false;
        node.Files.Restart();
        await node.CleanUpAsync();
        await node.OpenAsync();
        await node.CheckAsync();
        await node.CloseAsync();
    });

    [Fact]
    public void A_sync_delays_what_it_makes_durable() => World.Run(seed: 10, async world =>
    {
        var files = new SimulatedFiles();
        NodeStore store = NodeStore.Open(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, new VirtualStorageThreads(world, files).Settings());
        files.Cost = (operation, _) => operation == "fdatasync" ? TimeSpan.FromMilliseconds(20) : TimeSpan.Zero;

        TimeSpan before = world.Time.Now;
        await store.AdoptAsync(new Host.ClusterUid(5));
        Assert.Equal(TimeSpan.FromMilliseconds(20), world.Time.Now - before);
        await store.DisposeAsync();
    });

    /// <summary>A process that comes back after each crash, and its disk.</summary>
    private sealed class Node
    {
        private readonly World _world;
        private readonly StoredGroup[] _groups;
        private VirtualStorageThreads? _threads;
        private NodeStore? _store;

        public Node(World world, List<string>? calls = null)
        {
            _world = world;
            _groups = [.. new[] { "one", "two", "three" }.Select(name => new StoredGroup(world, new GroupId(name)))];
            Files.Cost = (operation, path) =>
            {
                calls?.Add($"{world.Time.Ticks} {operation} {path}");
                return operation == "fdatasync" ? TimeSpan.FromMicroseconds(world.Random.Next(50, 3000)) : TimeSpan.FromMicroseconds(world.Random.Next(20));
            };
        }

        public SimulatedFiles Files { get; } = new();

        public int Acknowledged => _groups.Sum(group => group.Acknowledged);

        public bool IsDead => _threads!.IsDead;         // made by every opening

        /// <summary>False when the power went meanwhile; then it is on again.</summary>
        public bool TryOpen()
        {
            if (_world.Random.Next(3) == 0)
                Files.CutAfter(_world.Random.Next(1, 150));
            try
            {
                Open();
                Files.CutAfter(int.MaxValue);
                return true;
            }
            catch (Exception error) when (Files.IsOff && error is DataDirectoryException or StorageFailedException)
            {
                Files.PowerOn(_world.Random);
                return false;
            }
        }

        public Task OpenAsync()
        {
            Open();
            return Task.CompletedTask;
        }

        public async Task CheckAsync()
        {
            foreach (StoredGroup group in _groups)
                await group.CheckAsync(_store!);        // Open has made it
        }

        public void BeginToWrite()
        {
            foreach (StoredGroup group in _groups)
                _ = group.RunAsync(_store!);            // Open has made it
        }

        public void CrashSoon()
        {
            switch (_world.Random.Next(3))
            {
                case 0:
                    Files.CutAfter(_world.Random.Next(1, 300));
                    break;
                case 1:
                    _world.Schedule(TimeSpan.FromMicroseconds(_world.Random.Next(500_000)), Files.Cut);
                    break;
                default:
                    _world.Schedule(TimeSpan.FromMicroseconds(_world.Random.Next(500_000)), _threads!.Kill);
                    break;
            }
        }

        public async Task CleanUpAsync()
        {
            if (Files.IsOff)
                Files.PowerOn(_world.Random);
            else
                Files.Restart();
            await CloseAsync();
        }

        public async Task CloseAsync() => await _store!.DisposeAsync();

        private void Open()
        {
            _threads = new VirtualStorageThreads(_world, Files);
            _store = NodeStore.Open(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, _threads.Settings());
        }
    }
}

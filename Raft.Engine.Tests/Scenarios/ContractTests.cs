using System.Text;
using Raft.Engine.Contracts;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Scenarios;

/// <summary>The scenarios prove something only if their disk behaves as a real one must. Syncs run inline here.</summary>
public sealed class SimulatedDiskContractTests : StorageContract
{
    protected override ValueTask<StorageDisk> CreateDiskAsync() => new(new Disks());

    /// <summary>A disk for each group.</summary>
    private sealed class Disks : StorageDisk
    {
        private readonly Dictionary<GroupId, SimulatedDisk> _disks = [];
        private readonly Dictionary<GroupId, IRaftStorage> _open = [];

        public override ValueTask OpenAsync()
        {
            _open.Clear();
            return ValueTask.CompletedTask;
        }

        public override IRaftStorage Group(GroupId group)
        {
            if (!_disks.TryGetValue(group, out SimulatedDisk? disk))
                _disks.Add(group, disk = new SimulatedDisk((_, work) => work()));
            if (!_open.TryGetValue(group, out IRaftStorage? storage))
                _open.Add(group, storage = disk.Open());
            return storage;
        }

        public override ValueTask CloseAsync() => CrashAsync();

        public override ValueTask CrashAsync()
        {
            foreach (SimulatedDisk disk in _disks.Values)
                disk.Crash();
            return ValueTask.CompletedTask;
        }

        public override bool FailWrites()
        {
            foreach (SimulatedDisk disk in _disks.Values)
                disk.Fail();
            return true;
        }

        public override IDisposable HoldWrites()
        {
            foreach (SimulatedDisk disk in _disks.Values)
                disk.Hold();
            return new Release(_disks.Values);
        }

        public override ValueTask DisposeAsync() => CrashAsync();

        private sealed class Release(IEnumerable<SimulatedDisk> disks) : IDisposable
        {
            public void Dispose()
            {
                foreach (SimulatedDisk disk in disks)
                    disk.Release();
            }
        }
    }
}

/// <summary>Its network, too. Here on real time, because the suite is a program of many threads.</summary>
public sealed class SimulatedNetworkContractTests : RpcContract
{
    protected override ValueTask<RpcNetwork> CreateNetworkAsync(int servers) => new(new Networks(servers));

    /// <summary>A network for each group, all in one world.</summary>
    private sealed class Networks : RpcNetwork
    {
        private readonly PacedWorld _world = new();
        private readonly Random _random = new(7);
        private readonly Dictionary<GroupId, SimulatedNetwork> _networks = [];
        private readonly Dictionary<(int, GroupId), Endpoint> _endpoints = [];
        private readonly HashSet<int> _dead = [];

        public Networks(int servers) => Members = [.. Enumerable.Range(0, servers).Select(
            n => new Engine.Protocol.Member(new NodeId($"n{n}"), new StorageId((UInt128)(100 + n)), MemberKind.Voter, $"http://n{n}:1", ""))];

        public override IReadOnlyList<Engine.Protocol.Member> Members { get; }

        public override IRaftRpc Rpc(int server, GroupId group)
        {
            if (!_endpoints.TryGetValue((server, group), out Endpoint? endpoint))
            {
                if (!_networks.TryGetValue(group, out SimulatedNetwork? network))
                    _networks.Add(group, network = new SimulatedNetwork(_world.Schedule, () => _world.Now, _random) { CallTimeout = TimeSpan.FromMinutes(10) });
                SimulatedNetwork.Endpoint inner = null!;     // set in the world, which Run waits for
                _world.Run(() => inner = network.Connect(Members[server].Id, StartCountOf(server)));
                _endpoints.Add((server, group), endpoint = new Endpoint(_world, inner));
            }

            return endpoint;
        }

        public override long StartCountOf(int server) => 3 + server;

        public override ValueTask KillAsync(int server)
        {
            if (_dead.Add(server))
            {
                foreach (SimulatedNetwork network in _networks.Values)
                    _world.Run(() => network.Disconnect(Members[server].Id));
            }

            return ValueTask.CompletedTask;
        }

        public override ValueTask DisposeAsync()
        {
            _world.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>An endpoint as seen from outside of its world.</summary>
    private sealed class Endpoint(PacedWorld world, SimulatedNetwork.Endpoint inner) : IRaftRpc
    {
        public void Start(IRaftRpcHandler handler) => world.Run(() => inner.Start(handler));

        public void Send(IReadOnlyList<Message> messages) => world.Schedule(TimeSpan.Zero, () => inner.Send(messages));

        public Task<LeaderReply> CallAsync(ServerId to, LeaderCall call, CancellationToken cancellation) =>
            world.RunAsync(() => inner.CallAsync(to, call, cancellation));

        public Task<SnapshotReply> SendSnapshotAsync(ServerId to, SnapshotChunk chunk, CancellationToken cancellation) =>
            world.RunAsync(() => inner.SendSnapshotAsync(to, chunk, cancellation));

        public void ConfigurationChanged(Configuration configuration) => world.Run(() => inner.ConfigurationChanged(configuration));

        public void Stop() => world.Run(inner.Stop);
    }
}

public sealed class RecordingMachineContractTests : StateMachineContract
{
    protected override IStateMachine Create() => new RecordingMachine();

    protected override ReadOnlyMemory<byte> NextCommand(Random random) => Encoding.UTF8.GetBytes($"command {random.Next(1000)}");

    protected override string Describe(IStateMachine machine) => string.Join('\n', ((RecordingMachine)machine).Applied);
}

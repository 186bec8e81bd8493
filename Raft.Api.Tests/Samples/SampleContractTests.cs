using System.Text;
using Counter;
using Embedded;
using Raft.Engine.Contracts;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Api.Tests.Samples;

// What docs/embedding.md tells strangers to do with their own implementations, done with those of the samples.

public sealed class CounterMachineContractTests : StateMachineContract
{
    protected override IStateMachine Create() => new CounterMachine();

    protected override ReadOnlyMemory<byte> NextCommand(Random random) => Encoding.UTF8.GetBytes(
        random.Next(20) == 0 ? "what?" : $"counter-{random.Next(50)} {random.Next(-9, 10)}");

    protected override string Describe(IStateMachine machine) => ((CounterMachine)machine).StateHash.ToString();
}

public sealed class WordsMachineContractTests : StateMachineContract
{
    protected override IStateMachine Create() => new WordsMachine();

    protected override ReadOnlyMemory<byte> NextCommand(Random random) => Encoding.UTF8.GetBytes($"word {random.Next(1000)}");

    protected override string Describe(IStateMachine machine) => string.Join(' ', ((WordsMachine)machine).Words);
}

public sealed class MemoryDiskContractTests : StorageContract
{
    protected override ValueTask<StorageDisk> CreateDiskAsync() => new(new Disks());

    /// <summary>A disk for each group. What it holds survives what the contract calls a crash, because this process does.</summary>
    private sealed class Disks : StorageDisk
    {
        private readonly Dictionary<GroupId, MemoryDisk> _disks = [];

        public override ValueTask OpenAsync() => ValueTask.CompletedTask;

        public override IRaftStorage Group(GroupId group)
        {
            if (!_disks.TryGetValue(group, out MemoryDisk? disk))
                _disks.Add(group, disk = new MemoryDisk());
            return disk;
        }

        public override ValueTask CloseAsync() => ValueTask.CompletedTask;

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

public sealed class InProcessNetworkContractTests : RpcContract
{
    protected override ValueTask<RpcNetwork> CreateNetworkAsync(int servers) => new(new Networks(servers));

    /// <summary>A network for each group.</summary>
    private sealed class Networks(int servers) : RpcNetwork
    {
        private readonly Dictionary<GroupId, InProcessNetwork> _networks = [];
        private readonly Dictionary<(int, GroupId), InProcessNetwork.Endpoint> _endpoints = [];

        public override IReadOnlyList<Member> Members { get; } = [.. Enumerable.Range(0, servers).Select(
            n => new Member(new NodeId($"n{n}"), new StorageId((UInt128)(100 + n)), MemberKind.Voter, "", ""))];

        public override IRaftRpc Rpc(int server, GroupId group)
        {
            if (!_networks.TryGetValue(group, out InProcessNetwork? network))
                _networks.Add(group, network = new InProcessNetwork());
            if (!_endpoints.TryGetValue((server, group), out InProcessNetwork.Endpoint? endpoint))
                _endpoints.Add((server, group), endpoint = network.Connect(Members[server].Id, StartCountOf(server)));
            return endpoint;
        }

        public override long StartCountOf(int server) => 3 + server;

        public override ValueTask KillAsync(int server)
        {
            foreach (InProcessNetwork network in _networks.Values)
                network.Disconnect(Members[server].Id);
            return ValueTask.CompletedTask;
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

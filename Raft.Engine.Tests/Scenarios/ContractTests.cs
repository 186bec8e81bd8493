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

public sealed class RecordingMachineContractTests : StateMachineContract
{
    protected override IStateMachine Create() => new RecordingMachine();

    protected override ReadOnlyMemory<byte> NextCommand(Random random) => Encoding.UTF8.GetBytes($"command {random.Next(1000)}");

    protected override string Describe(IStateMachine machine) => string.Join('\n', ((RecordingMachine)machine).Applied);
}

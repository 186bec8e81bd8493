using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Simulator;

/// <summary>A node's disk as a model of the store below <see cref="IRaftStorage"/>: it keeps the contract and is fast.</summary>
internal sealed class ModelStorage : ISimulatedStorage
{
    private readonly World _world;
    private readonly Dictionary<GroupId, SimulatedDisk> _disks = [];
    private long _starts;
    private bool _isHung;
    private int _cut;

    public ModelStorage(World world, StorageId id) => (_world, Id) = (world, id);

    public StorageId Id { get; }
    public IReadOnlyList<GroupId> Groups => [.. _disks.Keys];
    public TimeSpan SyncTimeMax { get; set; } = TimeSpan.FromMilliseconds(1);
    public TimeSpan SyncTimeMin { get; set; }
    public bool IsFailing { get; private set; }
    public bool IsDamaged { get; private set; }
    public long Sequence { get; private set; }

    public bool IsHung
    {
        get => _isHung;
        set
        {
            _isHung = value;
            foreach (SimulatedDisk disk in _disks.Values)
                Hold(disk);
        }
    }

    /// <summary>There is nothing behind it.</summary>
    public bool IsLagging { get; set; }

    public Task<long> OpenAsync()
    {
        IsFailing = false;
        foreach (SimulatedDisk disk in _disks.Values)
            disk.Repair();
        Sequence++;     // the record of the start
        return Task.FromResult(++_starts);
    }

    public IRaftStorage Group(GroupId group) => DiskOf(group).Open();

    public Task CreateGroupAsync(GroupId group, Configuration first)
    {
        if (!_disks.ContainsKey(group))
        {
            DiskOf(group).Store(new PersistRequest(
                new TermAndVote(new Term(1), null), null,
                [new Entry(new LogIndex(1), new Term(1), EntryKind.Configuration, 0, first.Encode())]));
        }

        return Task.CompletedTask;
    }

    public void Crash(Random random)
    {
        _cut++;
        foreach (SimulatedDisk disk in _disks.Values)
        {
            disk.KeepsPartAfterCrash = random.Next(2) == 0;
            disk.Crash(surviving: random.Next(disk.UnderWay + 1));
        }
    }

    /// <summary>Its writes are whole or not there: the power goes between two of them.</summary>
    public void CutPowerAfter(int calls)
    {
        int life = ++_cut;
        if (calls == int.MaxValue)
            return;
        _world.Schedule(TimeSpan.FromMilliseconds(0.1 * calls), () =>
        {
            if (life == _cut)
                HasEnded?.Invoke("power cut");
        });
    }

    public Action? Ending { get; set; }
    public Action<string>? HasEnded { get; set; }

    public Task<StoreState> RunAsideAsync(Func<Task<StoreState>> work, CancellationToken cancellation) => work();

    public void Fail()
    {
        IsFailing = true;
        foreach (SimulatedDisk disk in _disks.Values)
            disk.Fail();
    }

    public void Damage(Random random)
    {
        IsDamaged = true;
        SimulatedDisk[] disks = [.. _disks.Values];
        SimulatedDisk hit = disks[random.Next(disks.Length)];
        if (hit.Snapshot is { SizeBytes: > 0 } snapshot && random.Next(2) == 0)
            hit.DamageSnapshot(snapshot.SnapshotId, random.Next((int)snapshot.SizeBytes));
        else
            hit.IsDamaged = true;
    }

    public ISimulatedStorage? Copy()
    {
        var copy = new ModelStorage(_world, Id) { _starts = _starts, SyncTimeMax = SyncTimeMax, Sequence = Sequence, IsDamaged = IsDamaged };
        foreach ((GroupId group, SimulatedDisk disk) in _disks)
            copy.Adopt(group, disk.Copy());
        return copy;
    }

    private SimulatedDisk DiskOf(GroupId group)
    {
        if (!_disks.TryGetValue(group, out SimulatedDisk? disk))
            Adopt(group, disk = new SimulatedDisk(_world.Schedule));
        return disk;
    }

    private void Adopt(GroupId group, SimulatedDisk disk)
    {
        disk.SyncTime = () => ISimulatedStorage.SyncTime(this, _world.Random);
        disk.SnapshotTime = () => 3 * SyncTimeMax * _world.Random.NextDouble();
        disk.Synced += _ => Sequence++;
        _disks[group] = disk;
        Hold(disk);
    }

    private void Hold(SimulatedDisk disk)
    {
        if (IsHung)
            disk.Hold();
        else
            disk.Release();
    }
}

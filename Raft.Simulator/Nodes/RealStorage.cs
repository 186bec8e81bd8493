using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.StateMachine;
using Raft.Host.Storage;

namespace Raft.Simulator;

/// <summary>A node's disk as the real store writes it: write-ahead log, LiteDB and snapshots, on simulated files and virtual threads.</summary>
internal sealed class RealStorage : ISimulatedStorage
{
    private static readonly ClusterUid Uid = new(1);

    private readonly World _world;
    private readonly SimulatedFiles _files = new();
    private readonly NodeStoreSettings _settings;
    private VirtualStorageThreads? _threads;
    private NodeStore? _store;
    private long _sequence;

    public RealStorage(World world, NodeId node, bool remembersOverwritten = false)
    {
        _files.RemembersOverwritten = remembersOverwritten;
        _world = world;
        _settings = new NodeStoreSettings("/data", node);
        _files.Cost = CostOf;
        _files.Changing = (_, _) =>
        {
            // The other threads of the store go on between the calls of this one.
            if (world.Random.Next(4) == 0)
                _threads?.RunAnother();
        };
        Open();
        Id = OpenStore.StorageId;
        Close();
    }

    public StorageId Id { get; }
    public IReadOnlyList<GroupId> Groups { get; private set; } = [];
    public TimeSpan SyncTimeMax { get; set; } = TimeSpan.FromMilliseconds(1);
    public TimeSpan SyncTimeMin { get; set; }
    public bool IsHung { get; set; }

    public bool IsLagging
    {
        get;
        set
        {
            field = value;
            if (_threads is { } threads)
                threads.Starved = value ? DatabaseThread.Name : null;
        }
    }

    public bool IsFailing { get; private set; }
    public bool IsDamaged { get; private set; }
    public Action? Ending { get; set; }
    public Action<string>? HasEnded { get; set; }
    public long Sequence => _store?.DurableSequence ?? _sequence;

    private NodeStore OpenStore => _store ?? throw new InvalidOperationException("The disk is not open.");

    public async Task<long> OpenAsync()
    {
        Open();
        NodeStore store = OpenStore;
        if (store.ClusterUid is null)
            await store.AdoptAsync(Uid);
        return store.StartCount;
    }

    public IRaftStorage Group(GroupId group) => OpenStore.Group(group);

    public async Task CreateGroupAsync(GroupId group, Configuration first)
    {
        bool wasOpen = _store is not null;
        if (!wasOpen)
            Open();
        if (OpenStore.ClusterUid is null)
            await OpenStore.FormAsync(Uid, group, first);
        else
            await OpenStore.CreateGroupAsync(group, first);
        Groups = [.. OpenStore.GroupIds];
        if (!wasOpen)
            Close();
    }

    public void Crash(Random random)
    {
        if (_store is not { } store)
            return;

        Groups = [.. store.GroupIds];
        _sequence = store.DurableSequence;
        _threads!.Kill();       // made with the store
        if (!_files.IsOff && random.Next(3) > 0)
            _files.Cut();
        if (_files.IsOff)
            _files.PowerOn(random);
        else
            _files.Restart();   // only the process was killed
        Repair();
        Close();
    }

    public void CutPowerAfter(int calls) => _files.CutAfter(calls);

    public void Fail()
    {
        IsFailing = true;
        _files.FailsSync = _ => true;
        _files.FailsWrite = _ => true;
    }

    public void Damage(Random random)
    {
        // Not in the log: of its last record nobody can tell damage from a write that was cut off. Rule 13
        IsDamaged = true;
        string[] paths = [.. _files.Paths.Where(path => _files.FileExists(path) && !path.Contains("wal", StringComparison.Ordinal) && _files.Content(path).Length > 0)];
        if (paths.Length == 0)
            return;
        string hit = paths[random.Next(paths.Length)];
        _files.Flip(hit, random.Next(_files.Content(hit).Length));
    }

    public string? InjectFault(Random random)
    {
        if (_store is not null)
            return null;

        // Kinds with old content need what was overwritten.
        DiskFault[] kinds = _files.RemembersOverwritten ? Enum.GetValues<DiskFault>() : [DiskFault.LostPage];
        Func<string, bool>? among = random.Next(3) switch
        {
            0 => static path => path.Contains("copy", StringComparison.Ordinal),        // where checkpoints say which is the newest
            1 => static path => path.EndsWith(".db", StringComparison.Ordinal),
            _ => null,
        };
        string? fault = _files.InjectFault(kinds[random.Next(kinds.Length)], random, among);
        IsDamaged |= fault is not null;
        return fault;
    }

    public void FoundIntact() => IsDamaged = false;

    public ISimulatedStorage? Copy() => null;

    public Task<StoreState> RunAsideAsync(Func<Task<StoreState>> work, CancellationToken cancellation) =>
        _threads!.RunAsideAsync(work, cancellation);    // a state machine lives no longer than the store

    private void Open()
    {
        _threads = new VirtualStorageThreads(_world, _files) { WakeTime = WakeTime };
        Action kill = _files.PowerGone ?? throw new InvalidOperationException("The threads do not hear of power cuts.");
        VirtualStorageThreads mine = _threads;
        _files.PowerGone = () =>
        {
            kill();
            End(mine, "the power went in the middle of a file call");
        };
        try
        {
            _store = NodeStore.Open(_settings, NullLoggerFactory.Instance, mine.Settings(failure => End(mine, failure.Message)) with
            {
                SegmentBytes = 16 << 10,    // a handful of records: soon it comes round
                RecordBytes = 6 << 10,
            });
        }
        catch (Exception error) when (_files.IsOff && error is DataDirectoryException or StorageFailedException)
        {
            _files.PowerOn(_world.Random);
            throw new IOException("The power went while the disk was opened.", error);
        }
        catch (StorageFailedException error)
        {
            _files.Restart();
            Repair();
            throw new IOException("The disk failed while it was opened.", error);
        }

        Groups = [.. _store.GroupIds];
    }

    private void End(VirtualStorageThreads threads, string what)
    {
        if (_threads != threads || _store is null)
            return;

        Ending?.Invoke();
        _world.Schedule(TimeSpan.Zero, () =>        // the call during which it happens is still on the stack
        {
            if (_threads == threads && _store is not null)
                HasEnded?.Invoke(what);
        });
    }

    private void Close()
    {
        NodeStore store = OpenStore;
        _store = null;
        ValueTask closed = store.DisposeAsync();
        if (!closed.IsCompletedSuccessfully)
            throw new InvalidOperationException("Closing the disk did not end at once.");
    }

    private void Repair()
    {
        IsFailing = false;
        _files.FailsSync = static _ => false;
        _files.FailsWrite = static _ => false;
    }

    /// <summary>Now and then a thread comes late.</summary>
    private TimeSpan WakeTime() => TimeSpan.FromMilliseconds(_world.Random.Next(16) == 0 ? _world.Random.Next(100) : 0);

    private TimeSpan CostOf(string operation, string path)
    {
        if (operation is not ("fdatasync" or "fsync"))
            return TimeSpan.FromMicroseconds(_world.Random.Next(20));
        return IsHung ? TimeSpan.FromSeconds(2) : ISimulatedStorage.SyncTime(this, _world.Random);
    }
}

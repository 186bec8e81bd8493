using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.StateMachine;
using Raft.Host.Storage;

namespace Raft.Simulator;

/// <summary>One node: its disk, and the life of its processes.</summary>
internal sealed partial class SimulatedNode
{
    private readonly List<SimulatedServer> _servers = [];
    private readonly HashSet<NodeCall> _calls = [];
    private VirtualShard[] _shards = [];
    private MemoryBudget _budget;
    private int _life;

    public SimulatedNode(SimulatedCluster cluster, int number)
    {
        Cluster = cluster;
        Number = number;
        Id = new NodeId($"n{number}");
        Storage = cluster.NewStorage(Id);
        Clock = new VirtualClock(cluster.World.Time) { Changing = cluster.ClocksChange };
        _budget = new MemoryBudget(cluster.Plan.MaxTotalBytes);
    }

    public SimulatedCluster Cluster { get; }
    public int Number { get; }
    public NodeId Id { get; }
    public ISimulatedStorage Storage { get; private set; }
    public VirtualClock Clock { get; }
    public ServerId Server => new(Id, Storage.Id);

    /// <summary>A process runs, paused or not.</summary>
    public bool IsUp { get; private set; }

    public bool IsPaused { get; private set; }

    /// <summary>Its disk is damaged, or an old one, and was found out: it takes no part until it is wiped.</summary>
    public bool IsQuarantined { get; private set; }

    public IReadOnlyList<SimulatedServer> Servers => _servers;

    /// <summary>What this process remembers of the other disks.</summary>
    public HandshakeMemory Memory { get; private set; } = new();

    public long StartCount { get; private set; }

    /// <summary>Of this process alone: a copy of a disk counts its starts as the disk does.</summary>
    public ulong StartNonce { get; private set; }

    /// <summary>Of this start: the disk's sequence when it was opened.</summary>
    public long OpeningSequence { get; private set; }

    private World World => Cluster.World;

    public Member AsMember(MemberKind kind) => new(Id, Storage.Id, kind, $"http://{Id}:1", $"http://{Id}:2");

    /// <summary>The server of a group, when it runs and has started.</summary>
    public SimulatedServer? Find(SimulatedGroup group) => _servers.Find(server => server.Group == group && server.Server.IsAlive);

    public void Start()
    {
        if (!IsUp && !IsQuarantined)
            Watch(StartAsync());
    }

    /// <summary>As SIGKILL, and a power cut for its disk.</summary>
    public void Crash(string why)
    {
        if (!IsUp)
            return;

        World.Trace($"{Id} goes down: {why}");
        World.Hash.Add(Number, _life);
        foreach (SimulatedServer server in _servers)
            server.Look();      // what it still told somebody it must have known
        _life++;
        IsUp = IsPaused = false;
        KillShards();
        (Storage.Ending, Storage.HasEnded) = (null, null);
        Storage.Crash(World.Random);
        foreach (SimulatedServer server in _servers)
        {
            server.Group.Stopped(server);
            server.Group.Network.Disconnect(server.Id);
        }

        _servers.Clear();
        NodeCall[] calls = [.. _calls];
        _calls.Clear();
        foreach (NodeCall call in calls)
            call.Fail(new NodeDownException(Id));
    }

    /// <summary>As SIGKILL after a few more pieces of its work: between any two awaits.</summary>
    /// <param name="pieces">Of its shard's work, or calls to its files.</param>
    /// <param name="isInFileCall">The power goes in the middle of a file call.</param>
    public void CrashSoon(int pieces, bool isInFileCall)
    {
        int life = _life;
        if (isInFileCall && IsUp)
        {
            Storage.CutPowerAfter(pieces + 1);
            return;
        }

        if (_shards.Length > 0)
        {
            _shards[0].KillAfter(pieces, () =>
            {
                if (life == _life)
                    Crash("in the middle of its work");
            });
        }
    }

    /// <summary>All that was to go wrong with it goes wrong now, or never.</summary>
    public void Heal()
    {
        foreach (VirtualShard shard in _shards)
            shard.KillAfter(-1, static () => { });
        Storage.CutPowerAfter(int.MaxValue);
        Pause(false);
        Clock.Rate = 1;
        Storage.IsHung = Storage.IsLagging = false;
        (Storage.SyncTimeMin, Storage.SyncTimeMax) = (TimeSpan.Zero, TimeSpan.FromMilliseconds(1));
        if (Storage.IsFailing)
            Crash("its disk was repaired");
        if (IsQuarantined || Storage.IsDamaged)
            Wipe();
        Start();
    }

    /// <summary>As SIGSTOP.</summary>
    public void Pause(bool isPaused)
    {
        if (!IsUp || IsPaused == isPaused)
            return;

        World.Trace($"{Id} {(isPaused ? "stands still" : "goes on")}");
        IsPaused = isPaused;
        foreach (VirtualShard shard in _shards)
            shard.IsPaused = isPaused;
        foreach (SimulatedServer server in _servers)
            server.Endpoint.IsPaused = isPaused;
    }

    /// <summary>An operator gives it an empty disk: from now on it is another server.</summary>
    public void Wipe()
    {
        Crash("its disk is taken away");
        Cluster.DiskLostAt = World.Time.Now;
        Storage = Cluster.NewStorage(Id);
        IsQuarantined = false;
        World.Trace($"{Id} is wiped, and is {Server} now");
    }

    /// <summary>Found out: its disk is not to be trusted.</summary>
    public void Quarantine(string why)
    {
        Crash($"quarantine: {why}");
        Cluster.DiskLostAt = World.Time.Now;
        IsQuarantined = true;
    }

    /// <summary>Somebody puts a copy of its disk back.</summary>
    public void PutBack(ISimulatedStorage copy)
    {
        Crash("an old disk is put back");
        Storage = copy;
        foreach (SimulatedGroup group in Cluster.Groups)
            group.Ledger.ShadowOf(Server).IsSuspect = true;
    }

    private void KillShards()
    {
        foreach (VirtualShard shard in _shards)
            shard.Kill();
    }

    private async Task StartAsync()
    {
        int life = ++_life;
        IsUp = true;
        Storage.Ending = () =>
        {
            if (life == _life)
                KillShards();
        };
        Storage.HasEnded = what =>
        {
            if (life == _life)
                Crash(what);
        };
        long start;
        try
        {
            start = await Storage.OpenAsync();
        }
        catch (CorruptStorageException error) when (Storage.IsDamaged)
        {
            Quarantine(error.Message);
            return;
        }
        catch (CorruptStorageException error)
        {
            World.Violate($"PowerCutsAreNoDamage: {Server} is told that its disk is damaged, which nobody did: {error.Message}");
            return;
        }
        catch (IOException error)
        {
            Crash(error.Message);
            World.Schedule(TimeSpan.FromMilliseconds(50), Start);
            return;
        }

        if (life != _life)
            return;

        (StartCount, StartNonce, OpeningSequence) = (start, (ulong)life, Storage.Sequence);
        Memory = new HandshakeMemory();
        _budget = new MemoryBudget(Cluster.Plan.MaxTotalBytes);
        World.Trace($"{Server} starts for the {start}. time");
        _shards = [.. Enumerable.Range(0, Cluster.Plan.Shards).Select(_ => NewShard())];
        foreach (SimulatedGroup group in Cluster.Groups.ToArray())
        {
            if (group == Cluster.First || Storage.Groups.Contains(group.Id))
                await StartAsync(group, start, life);
        }
    }

    private async Task StartAsync(SimulatedGroup group, long start, int life)
    {
        if (life != _life || _servers.Exists(server => server.Group == group))
            return;

        var server = new SimulatedServer(this, group, _shards[Cluster.Groups.IndexOf(group) % _shards.Length], start, _budget);
        _servers.Add(server);
        group.Started(server);
        server.Endpoint.IsPaused = IsPaused;
        server.Machine.GroupCreated += created => World.Schedule(TimeSpan.Zero, () => Watch(StartCreatedAsync(created, start, life)));
        server.Machine.HashAlarmRaised += alarm => group.Violate("EqualStates", $"{server}: the leader's state hash at {alarm.Index} is another one");
        Watch(WatchAsync(server, life));
        try
        {
            await server.Server.StartAsync(CancellationToken.None);
        }
        catch (Exception)
        {
            // The server has stopped by that, which is watched.
        }
    }

    private async Task StartCreatedAsync(CreatedGroup created, long start, int life)
    {
        if (life != _life)
            return;

        SimulatedGroup group = Cluster.GroupOf(created);
        if (!Storage.Groups.Contains(group.Id) && group.First.Contains(Server))
            await Storage.CreateGroupAsync(group.Id, group.First);
        await StartAsync(group, start, life);
    }

    private async Task WatchAsync(SimulatedServer server, int life)
    {
        try
        {
            await server.Server.Stopped;
        }
        catch (CorruptStorageException error) when (Storage.IsDamaged)
        {
            if (life == _life)
                Quarantine(error.Message);
        }
        catch (Exception error) when (Storage.IsFailing && error is IOException or StorageFailedException)
        {
            if (life == _life)
                Crash(error.Message);
        }
        catch (Exception error)
        {
            if (life == _life)
                server.Group.Violate("ServersKeepRunning", $"{server} stopped by itself: {error}");
        }
    }

    private VirtualShard NewShard()
    {
        VirtualShard shard = World.NewShard();
        shard.Clock = Clock;
        shard.TurnEnded = () =>
        {
            for (int i = 0; i < _servers.Count; i++)
            {
                if (_servers[i].Shard == shard)
                    _servers[i].Look();
            }
        };
        return shard;
    }

    /// <summary>What nobody awaits must not fail unseen.</summary>
    private void Watch(Task task) => _ = WatchFailureAsync(task);

    private async Task WatchFailureAsync(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception error)
        {
            World.Violate($"Simulator: {Id}: {error}");
        }
    }
}

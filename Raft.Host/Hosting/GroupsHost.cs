using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Shards;
using Raft.Host.Memory;
using Raft.Host.Peers;
using Raft.Host.Settings;
using Raft.Host.StateMachine;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>Runs the groups of this node: on shared shards, one memory budget, one store.</summary>
/// <remarks>The first group is there from formation. Every other one is there when its first configuration is on this disk, or
/// when the first group's log names it: then its configuration is written here, if it names this server. One that does not
/// starts empty, and waits to be made a member.</remarks>
internal sealed class GroupsHost(
    NodeSettings settings, GroupRegistry groups, PeerTransport peers, StateMachineFactory factory, MemoryBudget inFlight, StateBudget states,
    DiskWatermark disk, LogBudget logBudget, IServiceProvider services, ILoggerFactory logs) : IAsyncDisposable
{
    // Opening is disk reads on one thread; a few at a time keep it busy.
    private const int OpenAtOnce = 8;

    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HashSet<string> _running = new(StringComparer.Ordinal);
    private NodeStore? _store;
    private ShardSet? _shards;
    private ServerId _self;

    /// <summary>Faults when a server stopped by itself.</summary>
    public Task Failed => _failed.Task;

    /// <summary>Starts what this disk holds; the peers run already.</summary>
    /// <param name="store">Open, and in a cluster.</param>
    /// <param name="first">The first group's state, as it was loaded.</param>
    public async Task StartAsync(NodeStore store, PersistedState first, CancellationToken cancellation)
    {
        _store = store;
        disk.Attach(store);
        logBudget.Attach(store);
        _self = new ServerId(new NodeId(settings.Raft.NodeId), store.StorageId);
        _shards = new ShardSet(settings.Raft.Shards == 0 ? Environment.ProcessorCount : settings.Raft.Shards, TimeProvider.System);
        await StartAsync(groups.FirstId, first, cancellation);

        GroupId[] others = [.. store.GroupIds.Where(group => group != groups.FirstId)];
        await Parallel.ForEachAsync(others, Limited(cancellation), async (group, token) => await StartAsync(group, state: null, token));
    }

    /// <summary>Starts what the first group's log has created since. One caller at a time.</summary>
    public async Task StartCreatedAsync(CancellationToken cancellation)
    {
        if (_store is not { } store || groups.First is not { } first || first.Machine.CreatedGroups.Count < _running.Count)
            return;

        CreatedGroup[] created = [.. first.Machine.CreatedGroups.Where(group => !IsRunning(group.Id))];
        if (created.Length == 0)
            return;

        HashSet<GroupId> stored = [.. store.GroupIds];
        await Parallel.ForEachAsync(created, Limited(cancellation), async (group, token) =>
        {
            if (!stored.Contains(group.Id) && group.First.Contains(_self))
                await store.CreateGroupAsync(group.Id, group.First);
            await StartAsync(group.Id, state: null, token);
        });
    }

    /// <summary>All servers stop at once; what waits in them ends.</summary>
    public async Task StopAsync(string reason, Func<string, Func<Task>, Task> step)
    {
        foreach (HostedGroup group in groups.All)
            await step($"group {group.Id}", () => group.Server.AbortAsync(reason));
    }

    /// <summary>After the peers have stopped too.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (HostedGroup group in groups.All)
            await group.Server.DisposeAsync();
        if (Interlocked.Exchange(ref _shards, null) is { } shards)
            await shards.DisposeAsync();
    }

    private static ParallelOptions Limited(CancellationToken cancellation) => new() { MaxDegreeOfParallelism = OpenAtOnce, CancellationToken = cancellation };

    private bool IsRunning(GroupId group)
    {
        lock (_running)
            return _running.Contains(group.Value);
    }

    private async Task StartAsync(GroupId group, PersistedState? state, CancellationToken cancellation)
    {
        lock (_running)
        {
            if (!_running.Add(group.Value))
                return;
        }

        NodeStore store = _store!;      // both set before the first start
        ShardSet shards = _shards!;
        IRaftStorage storage = store.Group(group);
        if (state is not null)
            storage = new PreloadedStorage(storage, state);
        var machine = new GroupStateMachine(group, factory.Make(services, group), logs.CreateLogger<GroupStateMachine>()) { Budget = states };
        StateGate? gate = machine.Inner is IMeasuredState measured ? new StateGate(states, measured, _self.Node.Value, settings.Raft.Limits.MaxCommandBytes) : null;
        var server = new RaftServer(
            new RaftServerParts(
                group,
                shards.Of(group),
                peers.Group(group),
                storage,
                machine,
                peers.FailureDetector,
                logs.CreateLogger<RaftServer>())
            {
                Budget = inFlight,
                Gate = gate,
                MetricsLabel = groups.LabelOf(group),
            },
            ServerSettings.Of(settings.Raft, _self, store.StartCount, logBudget.TrailingBytesMax));

        await server.StartAsync(cancellation);
        groups.Add(new HostedGroup(group, server, machine) { Gate = gate });
        _ = WatchAsync(server);
    }

    private async Task WatchAsync(RaftServer server)
    {
        try
        {
            await server.Stopped;
        }
        catch (Exception error)
        {
            _failed.TrySetException(error);
            _ = _failed.Task.Exception;     // seen: who does not look at Failed must not crash for it
        }
    }
}

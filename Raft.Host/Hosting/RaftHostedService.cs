using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Shards;
using Raft.Host.Peers;
using Raft.Host.Settings;
using Raft.Host.StateMachine;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>The order of start and stop.</summary>
/// <remarks>
/// Start: 1. open storage, while Kestrel begins to listen. 2. Form or adopt a cluster, if the directory has none.
/// 3. Load each group, and check whose it is. 4. Peers. 5. Shards and servers. 6. The registry: from now on requests are served.
/// Stop: requests finish, servers, peers, shards, storage; before Kestrel waits for its connections, or the peers' streams
/// would hold it up.
/// </remarks>
public sealed class RaftHostedService : IHostedLifecycleService, IAsyncDisposable
{
    private static readonly TimeSpan DrainPatience = TimeSpan.FromSeconds(2);

    private readonly NodeSettings _settings;
    private readonly NodeState _state;
    private readonly GroupRegistry _groups;
    private readonly FormationDesk _desk;
    private readonly PeerTransport _peers;
    private readonly RequestsInFlight _requests;
    private readonly IServiceProvider _services;
    private readonly ILoggerFactory _logs;
    private readonly ILogger<RaftHostedService> _log;
    private readonly CancellationTokenSource _stopping = new();

    private Task<NodeStore>? _opening;
    private Task _running = Task.CompletedTask;
    private NodeStore? _store;
    private ShardSet? _shards;

    public RaftHostedService(
        NodeSettings settings,
        NodeState state,
        GroupRegistry groups,
        FormationDesk desk,
        PeerTransport peers,
        RequestsInFlight requests,
        IServiceProvider services,
        ILoggerFactory logs)
    {
        _settings = settings;
        _state = state;
        _groups = groups;
        _desk = desk;
        _peers = peers;
        _requests = requests;
        _services = services;
        _logs = logs;
        _log = logs.CreateLogger<RaftHostedService>();
    }

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        var store = new NodeStoreSettings(_settings.DataDirectory, new NodeId(_settings.Raft.NodeId));
        _opening = Task.Run(() => NodeStore.Open(store, _logs), CancellationToken.None);
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Kestrel listens: peers may ask us, and we them.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _running = Task.Run(() => RunAsync(_stopping.Token), CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        _state.Enter(NodePhase.Stopping, "The node is stopping.");
        await TryAsync("waiting for requests", () => _requests.DrainAsync(DrainPatience, cancellationToken));
        await _stopping.CancelAsync();
        await TryAsync("the start", () => _running);
        foreach (HostedGroup group in _groups.All)
            await TryAsync($"group {group.Id}", () => group.Server.AbortAsync("the node is stopping"));

        await TryAsync("the peers", () => _peers.DisposeAsync().AsTask());
        foreach (HostedGroup group in _groups.All)
            await TryAsync($"group {group.Id}", () => group.Server.DisposeAsync().AsTask());
        if (_shards is { } shards)
            await TryAsync("the shards", () => shards.DisposeAsync().AsTask());
        await CloseStorageAsync();
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>A start that failed, at a port in use for one, leaves a directory that is whole and free.</summary>
    public async ValueTask DisposeAsync()
    {
        await CloseStorageAsync();
        _stopping.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            _store = await _opening!; // StartingAsync comes before StartedAsync
            FormedCluster? formed = _store.ClusterUid is null ? await FormAsync(_store, cancellation) : null;
            await StartGroupAsync(_store, GroupRegistry.DefaultGroup, formed, cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return;
        }
        catch (CorruptStorageException damage)
        {
            EnterQuarantine(damage.Message);
            return;
        }
        catch (ForeignDirectoryException foreign)
        {
            EnterQuarantine(foreign.Message);
            return;
        }
        catch (DataDirectoryException unusable)
        {
            FatalExit.Now(_log, error: null, unusable.Message);
        }
        catch (Exception error)
        {
            FatalExit.Now(_log, error, _opening is { IsFaulted: true }
                ? $"The data directory {_settings.DataDirectory} could not be opened: {error.Message}"
                : $"The start failed: {error.Message}");
        }
    }

    private async Task<FormedCluster> FormAsync(NodeStore store, CancellationToken cancellation)
    {
        using var formation = new Formation(_settings, _desk, _state, _logs.CreateLogger<Formation>());
        return await formation.RunAsync(new FormationDirectory(store), cancellation);
    }

    private async Task StartGroupAsync(NodeStore store, GroupId group, FormedCluster? formed, CancellationToken cancellation)
    {
        RaftOptions options = _settings.Raft;
        IRaftStorage storage = store.Group(group);
        PersistedState persisted = await storage.LoadAsync(options.Limits.MaxCacheBytes, cancellation);
        ClusterUid uid = store.ClusterUid ?? formed?.Uid ?? throw new InvalidOperationException("Formation left no uid.");
        Configuration first = FirstOf(persisted, uid, store);
        _desk.BecomeMember(store.StorageId, uid, first);
        WarnWhenMembersDiffer(persisted);

        var self = new ServerId(new NodeId(options.NodeId), store.StorageId);
        _peers.Start(
            new NodeIdentity(uid, self.Node, self.Storage, store.StartCount, store.StartNonce, store.OpeningSequence),
            () => store.DurableSequence);

        _shards = new ShardSet(options.Shards == 0 ? Environment.ProcessorCount : options.Shards, TimeProvider.System);
        var stateMachine = new GroupStateMachine(group, ActivatorUtilities.CreateInstance<Store>(_services), _logs.CreateLogger<GroupStateMachine>());
        var server = new RaftServer(
            new RaftServerParts(
                group,
                _shards.Of(group),
                _peers.Group(group),
                new PreloadedStorage(storage, persisted),
                stateMachine,
                _peers.FailureDetector,
                _logs.CreateLogger<RaftServer>())
            {
                Budget = new MemoryBudget(options.Limits.MaxTotalBytes),
            },
            ServerSettings.Of(options, self, store.StartCount));

        await server.StartAsync(cancellation);
        _groups.Add(new HostedGroup(group, server, stateMachine));
        _log.TakesPart(options.NodeId, self.Storage.ToString(), store.StartCount, uid);
        _state.Enter(NodePhase.Running, "The node takes part.");
        _ = WatchAsync(store.Failed, server.Stopped);
    }

    /// <summary>The uid is the hash of cluster id and first configuration, so a directory of another cluster cannot pass.</summary>
    private Configuration FirstOf(PersistedState persisted, ClusterUid uid, NodeStore store)
    {
        if (persisted.ConfigurationEntries is not [{ Index.Value: 1 } entry, ..])
            throw new ForeignDirectoryException($"{_settings.DataDirectory} is of cluster {uid}, but holds no first configuration. Restore the directory or empty it.");

        Configuration first = Configuration.Decode(entry.Payload.Span);
        if (FirstConfiguration.UidOf(_settings.Raft.ClusterId, first) != uid)
        {
            throw new ForeignDirectoryException($"{_settings.DataDirectory} belongs to another cluster: its uid {uid} is not that of a cluster named " +
                $"'{_settings.Raft.ClusterId}'. Correct Raft:ClusterId, or point Raft:DataDirectory to this node's own directory.");
        }

        return first.Contains(new ServerId(new NodeId(_settings.Raft.NodeId), store.StorageId))
            ? first
            : throw new ForeignDirectoryException($"{_settings.DataDirectory} belongs to cluster {uid}, whose first configuration does not name " +
                $"'{_settings.Raft.NodeId}' with storage {store.StorageId}. Correct Raft:NodeId or Raft:DataDirectory.");
    }

    private void WarnWhenMembersDiffer(PersistedState persisted)
    {
        if (_settings.Raft.Members.Count == 0)
            return;

        Configuration now = Configuration.Decode(persisted.ConfigurationEntries[^1].Payload.Span);
        string listed = string.Join(", ", _settings.Raft.Members.OrderBy(member => member.Id, StringComparer.Ordinal).Select(member => $"{member.Id}={new Uri(member.PeerUrl).Authority}"));
        string known = string.Join(", ", now.Current.Select(member => $"{member.Node}={new Uri(member.PeerUrl).Authority}"));
        if (listed != known)
            _log.MembersDiffer($"listed {listed}; in force {known}");
    }

    private void EnterQuarantine(string reason)
    {
        _desk.Refuse($"'{_settings.Raft.NodeId}' is in quarantine: {reason}");
        _state.Enter(NodePhase.Quarantine, reason);
        _log.Quarantined(reason);
    }

    /// <summary>A failed disk or a server that stopped by itself ends the process: nobody may believe that it still serves.</summary>
    private async Task WatchAsync(Task storageFailed, Task serverStopped)
    {
        Task first = await Task.WhenAny(storageFailed, serverStopped);
        if (!_stopping.IsCancellationRequested && first.IsFaulted)
        {
            Exception error = (storageFailed.Exception ?? first.Exception).GetBaseException();
            FatalExit.Now(_log, error, error.Message);
        }
    }

    private async Task CloseStorageAsync()
    {
        if (_opening is { IsFaulted: false } opening)
            await TryAsync("storage", async () => await (await opening).DisposeAsync());
    }

    /// <summary>One failing step must not keep the others from stopping.</summary>
    private async Task TryAsync(string what, Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (Exception error)
        {
            _log.StopStepFailed(error, what);
        }
    }
}

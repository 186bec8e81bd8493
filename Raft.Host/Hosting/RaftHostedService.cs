using Raft.Engine.Protocol;
using Raft.Host.Peers;
using Raft.Host.Settings;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>The order of start and stop.</summary>
/// <remarks>
/// Start: 1. open storage, while Kestrel begins to listen. 2. Find a place in a cluster. 3. Peers. 4. Shards and servers, and with
/// them the registry: from now on requests are served. 5. The caretaker.
/// Stop: leadership goes to others; requests finish; servers, peers, shards, storage; before Kestrel waits for its connections,
/// or the peers' streams would hold it up.
/// </remarks>
public sealed class RaftHostedService : IHostedLifecycleService, IAsyncDisposable
{
    private static readonly TimeSpan HandOverPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan RequestPatience = TimeSpan.FromSeconds(2);

    private readonly NodeSettings _settings;
    private readonly NodeState _state;
    private readonly GroupRegistry _groups;
    private readonly FormationDesk _desk;
    private readonly NodeAddresses _addresses;
    private readonly PeerTransport _peers;
    private readonly RequestsInFlight _requests;
    private readonly NodeDrain _drain;
    private readonly Enrollment _enrollment;
    private readonly Quarantine _quarantine;
    private readonly GroupsHost _host;
    private readonly Caretaker _caretaker;
    private readonly NodeRestart _restart;
    private readonly ILogger<RaftHostedService> _log;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _takingPart = new();

    private Task _running = Task.CompletedTask;
    private Task _caring = Task.CompletedTask;

    public RaftHostedService(IServiceProvider services)
    {
        _settings = services.GetRequiredService<NodeSettings>();
        _state = services.GetRequiredService<NodeState>();
        _groups = services.GetRequiredService<GroupRegistry>();
        _desk = services.GetRequiredService<FormationDesk>();
        _addresses = services.GetRequiredService<NodeAddresses>();
        _peers = services.GetRequiredService<PeerTransport>();
        _requests = services.GetRequiredService<RequestsInFlight>();
        _drain = services.GetRequiredService<NodeDrain>();
        _enrollment = services.GetRequiredService<Enrollment>();
        _quarantine = services.GetRequiredService<Quarantine>();
        _host = services.GetRequiredService<GroupsHost>();
        _caretaker = services.GetRequiredService<Caretaker>();
        _restart = services.GetRequiredService<NodeRestart>();
        _log = services.GetRequiredService<ILogger<RaftHostedService>>();
    }

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        foreach (string warning in _settings.Warnings)
            _log.SettingsWarning(warning);
        RaftOptions raft = _settings.Raft;
        _log.LimitsOfThisStart(
            _settings.MemoryBytes, raft.Limits.MaxStateBytes, raft.Limits.MaxTotalBytes, raft.Limits.MaxCacheBytes, raft.Journal.MaxBytes,
            _settings.Connections.Clients, _settings.Connections.Peers);
        _enrollment.BeginOpening();
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
        await TryAsync("handing leadership over", () => HandOverAsync(cancellationToken));
        await TryAsync("waiting for requests", () => _requests.DrainAsync(RequestPatience, cancellationToken));
        await _stopping.CancelAsync();
        await TryAsync("the start", () => _running);
        await EndRaftAsync("the node is stopping");
        await TryAsync("storage", _enrollment.CloseAsync);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await TryAsync("storage", _enrollment.CloseAsync);
        _stopping.Dispose();
        _takingPart.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            Enrolled enrolled = await _enrollment.RunAsync(cancellation);
            NodeStore store = enrolled.Store;
            Configuration known = Enrollment.ConfigurationOf(enrolled.First);
            _desk.BecomeMember(store.StorageId, enrolled.Uid, Enrollment.FirstOf(enrolled.First), () => _groups.First?.Server.Configuration ?? known);
            WarnWhenMembersDiffer(known);
            if (enrolled.HasFormed)
                _groups.Expected = [.. _settings.Raft.Groups.Select(group => group.Id)];

            var self = new ServerId(new NodeId(_settings.Raft.NodeId), store.StorageId);
            _peers.Start(
                new NodeIdentity(enrolled.Uid, self.Node, self.Storage, store.StartCount, store.StartNonce, store.OpeningSequence),
                () => store.DurableSequence,
                FirstConfiguration.Normal(_addresses.PeerUrl),
                isConfigured: _addresses.ConfiguredPeerUrl is not null);
            await _host.StartAsync(store, enrolled.First, cancellation);
            _log.TakesPart(self.Node.Value, self.Storage.ToString(), store.StartCount, enrolled.Uid);
            _state.Enter(NodePhase.Running, "The node takes part.");
            _caring = Task.Run(() => CareAsync(_takingPart.Token), CancellationToken.None);
            _ = WatchAsync(store.Failed, _host.Failed);
            _ = WatchReturnAsync(cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return;
        }
        catch (DataDirectoryException unusable)
        {
            FatalExit.Now(_log, error: null, unusable.Message);
        }
        catch (Exception error)
        {
            FatalExit.Now(_log, error, _enrollment.HasFailedToOpen
                ? $"The data directory {_settings.DataDirectory} could not be opened: {error.Message}"
                : $"The start failed: {error.Message}");
        }
    }

    private async Task CareAsync(CancellationToken cancellation)
    {
        try
        {
            await _caretaker.RunAsync(cancellation);
        }
        catch (Exception error) when (!cancellation.IsCancellationRequested)
        {
            FatalExit.Now(_log, error, $"The groups could not be cared for: {error.Message}");
        }
    }

    private void WarnWhenMembersDiffer(Configuration known)
    {
        if (_settings.Raft.Members.Count == 0 || !known.All.Any())
            return;

        string listed = string.Join(", ", _settings.Raft.Members.OrderBy(member => member.Id, StringComparer.Ordinal).Select(member => $"{member.Id}={new Uri(member.PeerUrl).Authority}"));
        string inForce = string.Join(", ", known.Current.Select(member => $"{member.Node}={new Uri(member.PeerUrl).Authority}"));
        if (listed != inForce)
            _log.MembersDiffer($"listed {listed}; in force {inForce}");
    }

    private async Task HandOverAsync(CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(HandOverPatience);
        try
        {
            await _drain.DrainAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            // An election follows then, as after a crash.
        }
    }

    /// <summary>A failed disk or a server that stopped by itself ends the process: nobody may believe that it still serves.</summary>
    private async Task WatchAsync(Task storageFailed, Task serverFailed)
    {
        Task first = await Task.WhenAny(storageFailed, serverFailed);
        if (!_stopping.IsCancellationRequested && first.IsFaulted)
        {
            Exception error = first.Exception.GetBaseException();
            FatalExit.Now(_log, error, error.Message);
        }
    }

    /// <summary>A peer that could not be asked before the start has seen a newer directory of this node: no part any more, until
    /// the cluster takes the node in on an empty one.</summary>
    private async Task WatchReturnAsync(CancellationToken cancellation)
    {
        try
        {
            string refusal = await _peers.OwnDirectoryRefused.WaitAsync(cancellation);
            _quarantine.Enter($"The data directory {_settings.DataDirectory} is not the newest of this node: {refusal}");
            await EndRaftAsync("it runs on an old directory");
            _groups.Clear();
            await _enrollment.GiveUpAsync(refusal, cancellation);
            if (!_restart.TryBegin())
                _quarantine.Enter($"{refusal} The old directory was moved aside, and the cluster takes this node in anew: restart it.");
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
        catch (Exception error)
        {
            FatalExit.Now(_log, error, $"The data directory {_settings.DataDirectory} is an old one, and could not be replaced: {error.Message}");
        }
    }

    private async Task EndRaftAsync(string reason)
    {
        await _takingPart.CancelAsync();
        await TryAsync("the caretaker", () => _caring);
        await _host.StopAsync(reason, TryAsync);
        await TryAsync("the peers", () => _peers.DisposeAsync().AsTask());
        await TryAsync("the groups", () => _host.DisposeAsync().AsTask());
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

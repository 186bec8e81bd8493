using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>All of a node's connections to its peers, for all groups.</summary>
public sealed class PeerTransport : IAsyncDisposable
{
    private readonly PeerContext _context;
    private readonly Events _events;
    private readonly InboundStreams _inbound = new();
    private readonly LivenessExchange _liveness;
    private readonly PeerDirectory _directory;
    private readonly PeerEndpoint _endpoint;
    private readonly ConcurrentDictionary<string, PeerRpc> _groups = new(StringComparer.Ordinal);
    private Task _speaking = Task.CompletedTask;
    private int _isDisposed;

    public PeerTransport(PeerSettings settings, TimeProvider time, ILoggerFactory logs)
    {
        var metrics = new PeerMetrics(MeasureQueues);
        _context = new PeerContext(settings, time, logs.CreateLogger<PeerTransport>(), metrics);
        _events = new Events(this);
        _liveness = new LivenessExchange(_context, NotifyLiveness);
        _directory = new PeerDirectory(_context, _inbound, _events);
        _endpoint = new PeerEndpoint(_context, _inbound, _liveness, _directory, _events);
    }

    /// <summary>What Kestrel must not do to streams that live for days, mostly in silence. For the whole server; what
    /// belongs to a single request (body size, data rate) the peer endpoint sets on its own.</summary>
    public static void ConfigureKestrel(KestrelServerOptions kestrel)
    {
        Http2Limits http2 = kestrel.Limits.Http2;
        // One full queue's worth may be under way; what is read is copied out at once, so that this is no memory.
        http2.InitialConnectionWindowSize = 2 << 20;
        http2.InitialStreamWindowSize = 2 << 20;
        // A peer that vanished without a word is noticed, and its streams end.
        http2.KeepAlivePingDelay = TimeSpan.FromSeconds(10);
        http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(10);
    }

    /// <summary>The peer listener speaks HTTP/2 with prior knowledge and nothing else.</summary>
    public static void ConfigureListener(ListenOptions listener) => listener.Protocols = HttpProtocols.Http2;

    /// <summary>Begins: dials the members of every group's configuration and accepts their streams. Before, streams are refused.</summary>
    /// <param name="identity">Ours.</param>
    /// <param name="durableSequence">The highest durable WAL sequence, written with every flush of the control stream.</param>
    /// <param name="advertisedUrl">Where this node is reached, as its handshakes say; null: <see cref="PeerSettings.AdvertisedUrl"/>,
    /// or what a configuration names.</param>
    /// <param name="isConfigured">An operator wrote that address; false: it is merely where the node listens.</param>
    public void Start(NodeIdentity identity, Func<long> durableSequence, string? advertisedUrl = null, bool isConfigured = true)
    {
        if (_context.Identity is not null)
            throw new InvalidOperationException("The transport has started already.");

        _context.DurableSequence = durableSequence;
        _context.Identity = identity;
        _directory.Start(advertisedUrl, isConfigured);
        _speaking = Task.Run(() => _liveness.RunAsync(() => _directory.Peers));
    }

    /// <summary>The network of one group.</summary>
    public IRaftRpc Group(GroupId group) =>
        _groups.GetOrAdd(group.Value, static (name, self) => self.NewGroup(name), this);

    public IFailureDetector FailureDetector => _liveness;

    /// <summary>Completes with a peer's words when it has seen a newer directory of this node, or another process on this one. Design 4.5.</summary>
    public Task<string> OwnDirectoryRefused => _context.OwnDirectoryRefused.Task;

    /// <summary>What the handshake would say of a server that is about to come back; null: nothing against it.</summary>
    public string? JudgeReturn(NodeIdentity returning)
    {
        (Refusal reason, string text) = _context.Seen.Judge(returning);
        if (reason == Refusal.None)
            return null;

        _context.Metrics.Refused(PeerMetrics.LabelOf(reason));
        if (_context.Repeats.IsNew($"refused-{reason}", returning.Node.Value))
            _context.Logger.RefusedPeer("its start", returning.Node.Value, text);
        return text;
    }

    /// <summary>The inbound half: routes of the peer endpoint.</summary>
    /// <summary>What the frames say of our own disk: nearly full, so that others should lead.</summary>
    public bool LacksSpace
    {
        get => _context.LacksSpace;
        set => _context.LacksSpace = value;
    }

    /// <summary>What the frames say of our own memory: the states here take more than its budget.</summary>
    public bool LacksMemory
    {
        get => _context.LacksMemory;
        set => _context.LacksMemory = value;
    }

    public void Map(IEndpointRouteBuilder routes)
    {
        Map(routes, StreamKind.Control);
        Map(routes, StreamKind.Bulk);
        Map(routes, StreamKind.Snapshot);
    }

    public IReadOnlyList<PeerStatus> Peers =>
        [.. _directory.Peers.Values.Select(StatusOf).OrderBy(peer => peer.Node.Value, StringComparer.Ordinal)];

    /// <summary>Where a server is connected, or is dialled next; null: it is not known here.</summary>
    public string? UrlOf(ServerId server) => _directory.Find(server) is { Url: { Length: > 0 } url } ? url : null;

    /// <summary>An operator says where a node is reached: tried before all other addresses until this process ends.
    /// False: no configuration names the node.</summary>
    public bool TryReachAt(NodeId node, string url)
    {
        Peer[] named = [.. _directory.Peers.Values.Where(peer => peer.Server.Node == node)];
        foreach (Peer peer in named)
            peer.ReachAt(AddressSource.Operator, url, keepsConnections: true);
        return named.Length > 0;
    }

    /// <summary>Where this node is connected to members: addresses that a handshake has confirmed.</summary>
    public IReadOnlyList<(ServerId Server, string Url)> ConfirmedAddresses =>
    [
        .. _directory.Peers.Values.Where(peer => !peer.IsLearned && peer.Control.IsConnected && peer.Addresses.Proven is not null).Select(peer => (peer.Server, peer.Addresses.Proven!)), // not null: filtered
    ];

    /// <summary>Another member reaches this one there. It is tried after all other addresses, and only of members that are known here.</summary>
    public void HearOf(ServerId server, string url) => _directory.Find(server)?.ReachAt(AddressSource.OtherMember, url, keepsConnections: true);

    /// <summary>The groups that the server leads as its last frames say; of this one, what its own shards say. None: it is
    /// not alive.</summary>
    public IReadOnlyList<GroupId> LedBy(ServerId server) => [.. _liveness.StatusesOf(server).Where(group => group.Value.IsLeader).Select(group => group.Key)];

    /// <summary>How many groups it leads: see <see cref="LedBy"/>.</summary>
    public int LeadsCount(ServerId server) => _liveness.StatusesOf(server).Count(group => group.Value.IsLeader);

    /// <summary>How many groups it follows a leader in.</summary>
    public int FollowsCount(ServerId server) => _liveness.StatusesOf(server).Count(group => group.Value.Follows is not null);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 1)
            return;

        await _context.Stopping.CancelAsync();
        await _directory.StopAsync();
        _inbound.AbortAll();
        await _speaking;
        _context.Metrics.Dispose();
    }

    private void Map(IEndpointRouteBuilder routes, StreamKind stream) =>
        routes.MapPost($"/peer/v1/{PeerMetrics.LabelOf(stream)}", (RequestDelegate)(http => _endpoint.ServeAsync(http, stream)))
            .ExcludeFromDescription()
            .DisableRequestTimeout();

    private PeerRpc NewGroup(string name) => new(new GroupId(name), _context, _directory, _inbound, _liveness);

    private void NotifyLiveness(GroupId? group)
    {
        if (group is { } one)
        {
            if (_groups.TryGetValue(one.Value, out PeerRpc? rpc))
                rpc.NotifyLiveness();
            return;
        }

        foreach (PeerRpc rpc in _groups.Values)
            rpc.NotifyLiveness();
    }

    private void NotifyUnreachable(ServerId server)
    {
        foreach (PeerRpc rpc in _groups.Values)
            rpc.NotifyUnreachable(server);
    }

    /// <summary>The connection ended and the next one is refused: the process is gone. Rule 4.</summary>
    private void CheckGone(Peer peer)
    {
        if (peer.Control.IsRefused && !_inbound.IsOpen(peer.Server, StreamKind.Control))
            _liveness.Gone(peer.Server);
    }

    private PeerStatus StatusOf(Peer peer)
    {
        PeerSign? sign = _liveness.SignOf(peer.Server);
        bool isAlive = sign is { Now.IsGone: false } && _liveness.IsFresh(sign);
        return new PeerStatus(
            peer.Server.Node, peer.Server.Storage, peer.Url, peer.IsConnected, isAlive, sign?.RoundTrip,
            QueuedBytes: peer.Control.Queue.Bytes + peer.Bulk.Queue.Bytes,
            StartCount: _context.Seen.Find(peer.Server.Storage)?.StartCount,
            LastError: peer.Control.LastError ?? peer.Bulk.LastError)
        {
            LeadsCount = LeadsCount(peer.Server),
            FollowsCount = FollowsCount(peer.Server),
            LacksSpace = sign?.LacksSpace ?? false,
            IsMember = !peer.IsLearned,
            Addresses = peer.Addresses.Describe(),
            LacksMemory = sign?.LacksMemory ?? false,
        };
    }

    private IEnumerable<Measurement<long>> MeasureQueues()
    {
        // By node: while a node is replaced, two disks go by its name, and a series may be there only once.
        foreach (IGrouping<NodeId, Peer> peers in _directory.Peers.Values.GroupBy(peer => peer.Server.Node))
        {
            yield return new Measurement<long>(peers.Sum(peer => peer.Control.Queue.Bytes), PeerMetrics.Tags(peers.Key.Value, StreamKind.Control));
            yield return new Measurement<long>(peers.Sum(peer => peer.Bulk.Queue.Bytes), PeerMetrics.Tags(peers.Key.Value, StreamKind.Bulk));
        }
    }

    /// <summary>What links and inbound streams report, and who must hear of it.</summary>
    private sealed class Events(PeerTransport transport) : IPeerEvents, IInboundEvents
    {
        private readonly ConcurrentDictionary<string, PeerRpc>.AlternateLookup<ReadOnlySpan<char>> _byName =
            transport._groups.GetAlternateLookup<ReadOnlySpan<char>>();

        public void LinkUp(Peer peer, StreamKind stream)
        {
            if (stream == StreamKind.Control)
                transport._liveness.SpeakNow();
        }

        public void LinkDown(Peer peer, StreamKind stream, string reason)
        {
            if (stream == StreamKind.Bulk)
                peer.Calls.FailAll(isQueueLost: true, reason);
            transport.NotifyUnreachable(peer.Server);
        }

        public void ConnectRefused(Peer peer, StreamKind stream)
        {
            if (stream == StreamKind.Control)
                transport.CheckGone(peer);
        }

        public PeerRpc? FindGroup(ReadOnlySpan<byte> name)
        {
            // Any byte becomes at most one character; what is no UTF-8 names no group of ours.
            Span<char> chars = stackalloc char[byte.MaxValue];
            int count = Encoding.UTF8.GetChars(name, chars);
            return _byName.TryGetValue(chars[..count], out PeerRpc? group) ? group : null;
        }

        public void Accepted(InboundStream stream, string url, bool isReplacement)
        {
            ServerId server = stream.Caller.Server;
            if (isReplacement)
                Lost(stream, "it was replaced");
            transport._liveness.Heard(server, stream.Caller.StartCount);
            // It is there: we call it now and not at the end of a pause.
            transport._directory.Learn(server, url)?.ConnectNow();
        }

        public void Ended(InboundStream stream, string reason)
        {
            ServerId server = stream.Caller.Server;
            Lost(stream, reason);
            // A snapshot stream comes and goes with its transfers.
            if (stream.Stream != StreamKind.Snapshot && transport._directory.Find(server) is { } peer)
            {
                peer.ConnectNow();
                if (stream.Stream == StreamKind.Control)
                    transport.CheckGone(peer);
            }

            transport._directory.Forget(server);
        }

        /// <summary>What the peer had answered may be lost: whoever waits must ask again.</summary>
        private void Lost(InboundStream stream, string reason)
        {
            if (stream.Stream == StreamKind.Snapshot)
                return; // its answers go the other way
            if (stream.Stream == StreamKind.Bulk)
                transport._directory.Find(stream.Caller.Server)?.Calls.FailAll(isQueueLost: false, reason);
            transport.NotifyUnreachable(stream.Caller.Server);
        }

        public void Answerable(ServerId server, string url)
        {
            if ((transport._directory.Find(server) ?? transport._directory.Learn(server, url)) is { } peer)
                peer.HeardAt = transport._context.Time.GetTimestamp();
        }
    }
}

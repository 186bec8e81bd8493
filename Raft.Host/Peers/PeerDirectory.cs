using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Server -> address and streams: the union of what the groups' configurations name, and who calls us. Rules 8, 12.</summary>
internal sealed class PeerDirectory(PeerContext context, InboundStreams inbound, IPeerEvents events)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<GroupId, Configuration> _configurations = [];
    private readonly Dictionary<ServerId, string> _urls = []; // what the last change said
    private volatile Dictionary<ServerId, Peer> _peers = [];
    private volatile string _ownUrl = context.Settings.AdvertisedUrl ?? "";
    private string? _advertisedUrl = context.Settings.AdvertisedUrl;
    private bool _isAdvertisedConfigured = true;
    private bool _isStarted;
    private ITimer? _sweep;

    /// <summary>Replaced, never changed: reading needs no lock.</summary>
    public Dictionary<ServerId, Peer> Peers => _peers;

    /// <summary>Where others reach us, as far as we know.</summary>
    public string OwnUrl => _ownUrl;

    public Peer? Find(ServerId server) => _peers.GetValueOrDefault(server);

    /// <param name="advertisedUrl">Where this node says that it is reached; null: as the settings of the transport say.</param>
    /// <param name="isConfigured">An operator wrote it; false: it is merely where the node listens.</param>
    public void Start(string? advertisedUrl = null, bool isConfigured = true)
    {
        lock (_gate)
        {
            if (advertisedUrl is not null)
                (_advertisedUrl, _isAdvertisedConfigured) = (advertisedUrl, isConfigured);
            _ownUrl = OwnUrlOf(configured: null);
            _isStarted = true;
            TimeSpan half = context.Settings.LearnedQuiet / 2;
            _sweep = context.Time.CreateTimer(static self => ((PeerDirectory)self!).Sweep(), this, half, half); // not null: this
            Follow();
        }
    }

    public void Set(GroupId group, Configuration configuration)
    {
        lock (_gate)
        {
            // Groups are changed one after the other: where they differ, the last change is right. A truncation is one, too.
            Configuration before = _configurations.GetValueOrDefault(group, Configuration.Empty);
            foreach (Member member in configuration.All)
            {
                if (before.All.FirstOrDefault(old => old.Id == member.Id)?.PeerUrl != member.PeerUrl)
                    _urls[member.Id] = member.PeerUrl;
            }

            _configurations[group] = configuration;
            Follow();
        }
    }

    public void Remove(GroupId group)
    {
        lock (_gate)
        {
            if (_configurations.Remove(group))
                Follow();
        }
    }

    /// <summary>A server called us: it gets its answers, whether a configuration names it yet or not. Rule 12.</summary>
    public Peer? Learn(ServerId server, string url)
    {
        lock (_gate)
        {
            if (_peers.TryGetValue(server, out Peer? known))
            {
                // Also of a member: where the log says that it is, it may not be any more.
                if (url.Length > 0)
                    known.ReachAt(AddressSource.Peer, url, keepsConnections: true);
                return known;
            }

            // Without a stream nobody would forget it again.
            if (!_isStarted || context.Stopping.IsCancellationRequested || !inbound.IsOpen(server))
                return null;

            Peer peer = StartPeer(server, url, isLearned: true);
            _peers = new Dictionary<ServerId, Peer>(_peers) { [server] = peer };
            return peer;
        }
    }

    /// <summary>A stream of it has ended. With the last one it has gone; unless a configuration names it, so do our streams to it.</summary>
    public void Forget(ServerId server)
    {
        lock (_gate)
        {
            if (_peers.TryGetValue(server, out Peer? peer) && peer.IsLearned && !inbound.IsOpen(server))
                Keep(_peers.Where(other => other.Key != server));
        }
    }

    public async Task StopAsync()
    {
        if (_sweep is not null)
            await _sweep.DisposeAsync();
        await Task.WhenAll(_peers.Values.Select(peer => peer.StopAsync()));
    }

    /// <summary>Two servers that no longer name each other would keep their streams to each other for ever, each because of
    /// the other's. Whoever has been quiet is let go; its next word makes it known again.</summary>
    private void Sweep()
    {
        lock (_gate)
        {
            if (_peers.Values.Any(IsQuiet))
                Keep(_peers.Where(peer => !IsQuiet(peer.Value)));
        }

        bool IsQuiet(Peer peer) => peer.IsLearned && context.Time.GetElapsedTime(peer.HeardAt) > context.Settings.LearnedQuiet;
    }

    private void Follow()
    {
        if (!_isStarted || context.Identity is not { } self)
            return;

        Dictionary<ServerId, string> members = Members();

        members.Remove(self.Server, out string? own);
        _ownUrl = OwnUrlOf(own);

        // While this node takes the place of its former self, on a lost disk, both are named: we would call ourselves.
        foreach (ServerId former in members.Keys.Where(server => server.Node == self.Node).ToList())
            members.Remove(former);

        var peers = new Dictionary<ServerId, Peer>();
        foreach ((ServerId server, Peer peer) in _peers)
        {
            if (members.Remove(server, out string? url))
            {
                peer.ReachAt(AddressSource.Configuration, url, keepsConnections: peer.IsLearned);
                peer.IsLearned = false;
                peers.Add(server, peer);
            }
            else if (inbound.IsOpen(server))
            {
                // No configuration names it (any more). While it calls us, it gets its answers, and is told of its removal.
                if (!peer.IsLearned)
                    peer.HeardAt = context.Time.GetTimestamp();
                peer.IsLearned = true;
                peers.Add(server, peer);
            }
        }

        foreach ((ServerId server, string url) in members)
            peers.Add(server, StartPeer(server, url, isLearned: false));

        Keep(peers);
    }

    /// <summary>What an operator wrote; else where the node listens, unless that is loopback and the log names more than that.</summary>
    private string OwnUrlOf(string? configured)
    {
        if (_advertisedUrl is not { } advertised)
            return configured ?? "";
        bool isBetter = _isAdvertisedConfigured || configured is null || !IsLoopback(advertised) || IsLoopback(configured);
        return isBetter ? advertised : configured!; // not null: else it would be better
    }

    private static bool IsLoopback(string url) => Uri.TryCreate(url, UriKind.Absolute, out Uri? address) && address.IsLoopback;

    private Dictionary<ServerId, string> Members()
    {
        var members = new Dictionary<ServerId, string>();
        foreach (Configuration configuration in _configurations.Values)
        {
            foreach (Member member in configuration.All)
            {
                if (!members.TryAdd(member.Id, member.PeerUrl) && _urls.GetValueOrDefault(member.Id) == member.PeerUrl)
                    members[member.Id] = member.PeerUrl;
            }
        }

        foreach (ServerId forgotten in _urls.Keys.Where(server => !members.ContainsKey(server)).ToList())
            _urls.Remove(forgotten);
        return members;
    }

    private void Keep(IEnumerable<KeyValuePair<ServerId, Peer>> peers)
    {
        Dictionary<ServerId, Peer> before = _peers;
        _peers = new Dictionary<ServerId, Peer>(peers);
        foreach ((ServerId server, Peer peer) in before)
        {
            if (!_peers.ContainsKey(server))
                _ = peer.StopAsync(); // its loops end on their own and report nothing more
        }
    }

    private Peer StartPeer(ServerId server, string url, bool isLearned)
    {
        var peer = new Peer(server, url, isLearned, context, events);
        peer.Start(context.Identity!, () => _ownUrl); // not null: only after the start
        return peer;
    }
}

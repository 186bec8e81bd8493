using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One other server: our streams to it, and the calls that wait for its replies.</summary>
internal sealed class Peer
{
    private volatile bool _isStopped;
    private long _heardAt;

    public Peer(ServerId server, string url, bool isLearned, PeerContext context, IPeerEvents events)
    {
        Server = server;
        IsLearned = isLearned;
        Addresses.Set(AddressSource.Members, context.HintOf(server.Node));
        Addresses.Set(isLearned ? AddressSource.Peer : AddressSource.Configuration, url);
        HeardAt = context.Time.GetTimestamp();
        Calls = new PendingCalls(server);
        Control = new PeerLink(this, StreamKind.Control, context, events);
        Bulk = new PeerLink(this, StreamKind.Bulk, context, events);
        Snapshot = new SnapshotLink(this, context);
    }

    public ServerId Server { get; }

    /// <summary>In no configuration: known because it calls us.</summary>
    public bool IsLearned { get; set; }

    /// <summary>When it last said something to a group; liveness does not count.</summary>
    public long HeardAt
    {
        get => Volatile.Read(ref _heardAt);
        set => Volatile.Write(ref _heardAt, value);
    }

    public PendingCalls Calls { get; }
    public PeerLink Control { get; }
    public PeerLink Bulk { get; }
    public SnapshotLink Snapshot { get; }

    /// <summary>What liveness has said there last; only its loop knows.</summary>
    public int SaidGeneration { get; set; }
    public long SaidVersion { get; set; }

    public bool IsStopped => _isStopped;
    public bool IsConnected => Control.IsConnected && Bulk.IsConnected;

    /// <summary>Every address at which it may be reached.</summary>
    public PeerAddresses Addresses { get; } = new();

    /// <summary>Where it is connected, or where the next attempt goes; empty: unknown.</summary>
    public string Url => Addresses.Current;

    /// <summary>A source says where it is reached from now on.</summary>
    /// <param name="source">Who says so.</param>
    /// <param name="url">Where.</param>
    /// <param name="keepsConnections">What is connected stays so: the handshake has proven that it is the right server.</param>
    public void ReachAt(AddressSource source, string url, bool keepsConnections)
    {
        if (!Addresses.Set(source, url))
            return;

        if (keepsConnections || Addresses.Proven == url)
            ReconnectUnconnected();
        else
            Reconnect();
    }

    /// <summary>A stream to this address is up. Streams that still try others go there now.</summary>
    public void ReachedAt(string url)
    {
        if (Addresses.Succeeded(url))
            ReconnectUnconnected();
    }

    public void Start(NodeIdentity self, Func<string> ownUrl)
    {
        Control.Start(self, ownUrl);
        Bulk.Start(self, ownUrl);
        Snapshot.Start(self, ownUrl);
    }

    /// <summary>It seems to be there: no more waiting between attempts.</summary>
    public void ConnectNow()
    {
        Control.ConnectNow();
        Bulk.ConnectNow();
        Snapshot.ConnectNow();
    }

    private void ReconnectUnconnected()
    {
        if (!Control.IsConnected)
            Control.Reconnect();
        if (!Bulk.IsConnected)
            Bulk.Reconnect();
        Snapshot.ConnectNow();
    }

    private void Reconnect()
    {
        Control.Reconnect();
        Bulk.Reconnect();
        Snapshot.Reconnect();
    }

    public async Task StopAsync()
    {
        _isStopped = true;
        await Task.WhenAll(Control.StopAsync(), Bulk.StopAsync(), Snapshot.StopAsync());
    }
}

using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One other server: our streams to it, and the calls that wait for its replies.</summary>
internal sealed class Peer
{
    private volatile string _url;
    private volatile bool _isStopped;
    private long _heardAt;

    public Peer(ServerId server, string url, bool isLearned, PeerContext context, IPeerEvents events)
    {
        Server = server;
        _url = url;
        IsLearned = isLearned;
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

    /// <summary>Where the next attempt goes; empty: unknown.</summary>
    public string Url => _url;

    /// <summary>It is reached elsewhere from now on.</summary>
    /// <param name="url">Where.</param>
    /// <param name="keepsConnections">What is connected stays so: the handshake has proven that it is the right server.</param>
    public void MoveTo(string url, bool keepsConnections)
    {
        if (_url == url)
            return;

        _url = url;
        if (keepsConnections)
        {
            ConnectNow();
            return;
        }

        Control.Reconnect();
        Bulk.Reconnect();
        Snapshot.Reconnect();
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

    public async Task StopAsync()
    {
        _isStopped = true;
        await Task.WhenAll(Control.StopAsync(), Bulk.StopAsync(), Snapshot.StopAsync());
    }
}

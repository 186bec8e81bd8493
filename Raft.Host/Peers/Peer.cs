using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One other server: our two streams to it, and the calls that wait for its replies.</summary>
internal sealed class Peer
{
    private volatile string _url;
    private volatile bool _isStopped;

    public Peer(ServerId server, string url, bool isLearned, PeerContext context, IPeerEvents events)
    {
        Server = server;
        _url = url;
        IsLearned = isLearned;
        Calls = new PendingCalls(server);
        Control = new PeerLink(this, StreamKind.Control, context, events);
        Bulk = new PeerLink(this, StreamKind.Bulk, context, events);
    }

    public ServerId Server { get; }

    /// <summary>In no configuration: known because it called us.</summary>
    public bool IsLearned { get; set; }

    public PendingCalls Calls { get; }
    public PeerLink Control { get; }
    public PeerLink Bulk { get; }

    /// <summary>What liveness has said there last; only its loop knows.</summary>
    public int SaidGeneration { get; set; }
    public long SaidVersion { get; set; }

    public bool IsStopped => _isStopped;
    public bool IsConnected => Control.IsConnected && Bulk.IsConnected;

    /// <summary>Where the next attempt goes; empty: unknown.</summary>
    public string Url
    {
        get => _url;
        set
        {
            if (_url == value)
                return;

            _url = value;
            ConnectNow();
        }
    }

    public void Start(NodeIdentity self, Func<string> ownUrl)
    {
        Control.Start(self, ownUrl);
        Bulk.Start(self, ownUrl);
    }

    /// <summary>It seems to be there: no more waiting between attempts.</summary>
    public void ConnectNow()
    {
        Control.ConnectNow();
        Bulk.ConnectNow();
    }

    public async Task StopAsync()
    {
        _isStopped = true;
        await Task.WhenAll(Control.StopAsync(), Bulk.StopAsync());
    }
}

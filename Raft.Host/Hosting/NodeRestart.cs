namespace Raft.Host.Hosting;

/// <summary>A new start of the node within its process, where whoever runs it offers that: everything is stopped in order, and made anew. Thread-safe.</summary>
public sealed class NodeRestart(IHostApplicationLifetime lifetime)
{
    private volatile bool _isOffered;
    private volatile bool _isWanted;

    /// <summary>Once the application has ended: it is to be started again.</summary>
    public bool IsWanted => _isWanted;

    /// <summary>The caller will start the application again when it has ended and <see cref="IsWanted"/>.</summary>
    public void Offer() => _isOffered = true;

    /// <summary>Ends the application, to be started again; false: nobody would.</summary>
    internal bool TryBegin()
    {
        if (!_isOffered)
            return false;

        _isWanted = true;
        lifetime.StopApplication();
        return true;
    }
}

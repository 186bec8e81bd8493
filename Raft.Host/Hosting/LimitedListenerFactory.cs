using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Listens as Kestrel does, with a limit of connections for each endpoint.</summary>
internal sealed class LimitedListenerFactory(
    IOptions<SocketTransportOptions> options, ILoggerFactory logs, NodeSettings settings, BoundEndpoints bound, ConnectionCounts counts) : IConnectionListenerFactory
{
    private readonly SocketTransportFactory _sockets = new(options, logs);
    private readonly ILogger _log = logs.CreateLogger<LimitedListenerFactory>();

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        bool isPeer = IsPeer(endpoint);
        IConnectionListener listener = await _sockets.BindAsync(endpoint, cancellationToken);
        return new LimitedListener(
            listener, isPeer ? counts.Peers : counts.Clients, isPeer ? settings.Connections.Peers : settings.Connections.Clients,
            isPeer ? EndpointOptions.PeerName : EndpointOptions.ApiName, _log);
    }

    /// <summary>By the object: with port 0 the address does not tell. A name is bound as several addresses, all with its port.</summary>
    private bool IsPeer(EndPoint endpoint)
    {
        if (ReferenceEquals(endpoint, bound.Peer?.EndPoint))
            return true;
        return !ReferenceEquals(endpoint, bound.Api?.EndPoint)
            && endpoint is IPEndPoint { Port: > 0 } address && address.Port == settings.Endpoints.Peer.Port;
    }
}

/// <summary>Closes a connection that is over the limit before it accepts the next one: so a flood takes one descriptor more than is allowed,
/// and not as many as wait in the kernel's queue.</summary>
internal sealed class LimitedListener(IConnectionListener listener, ConnectionCount count, int max, string endpointName, ILogger log) : IConnectionListener
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(1);
    private long _lastWarning;

    public EndPoint EndPoint => listener.EndPoint;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await listener.AcceptAsync(cancellationToken) is { } connection)
        {
            if (count.TryOpen(max))
            {
                connection.ConnectionClosed.UnsafeRegister(static state => ((ConnectionCount)state!).Close(), count);
                return connection;
            }

            Warn();
            connection.Abort(new ConnectionAbortedException($"The {endpointName} endpoint has {max} connections."));
            await connection.DisposeAsync();
        }

        return null;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => listener.UnbindAsync(cancellationToken);

    public ValueTask DisposeAsync() => listener.DisposeAsync();

    private void Warn()
    {
        long now = Environment.TickCount64;
        if (_lastWarning != 0 && now - _lastWarning < (long)Quiet.TotalMilliseconds)
            return;

        _lastWarning = now;
        log.RefusesConnections(endpointName, max, count.Refused);
    }
}

/// <summary>Connections of one endpoint. Thread-safe.</summary>
public sealed class ConnectionCount
{
    private int _open;
    private long _refused;

    public int Open => Volatile.Read(ref _open);

    public long Refused => Volatile.Read(ref _refused);

    /// <summary>False, and counted as refused: there are as many as allowed. Called by one thread at a time.</summary>
    public bool TryOpen(int max)
    {
        if (Interlocked.Increment(ref _open) <= max)
            return true;

        Interlocked.Decrement(ref _open);
        Interlocked.Increment(ref _refused);
        return false;
    }

    public void Close() => Interlocked.Decrement(ref _open);
}

/// <summary>Connections of both endpoints.</summary>
public sealed class ConnectionCounts
{
    public ConnectionCount Clients { get; } = new();
    public ConnectionCount Peers { get; } = new();
}

using System.Globalization;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Raft.Host.Hosting;

/// <summary>Where the node really listens: with port 0 the configured address does not tell.</summary>
public sealed class BoundEndpoints
{
    public ListenOptions? Api { get; set; }

    public ListenOptions? Peer { get; set; }

    public static string UrlOf(ListenOptions? bound, Uri configured) =>
        UrlOf(configured, bound?.IPEndPoint is { Port: > 0 } address && configured.Port == 0 ? address.Port : configured.Port);

    /// <summary>Scheme, host and port; with the scope id of an IPv6 address, which <see cref="Uri.GetLeftPart"/> loses.</summary>
    public static string UrlOf(Uri url, int port)
    {
        ArgumentNullException.ThrowIfNull(url);
        string host = url.DnsSafeHost.Contains('%', StringComparison.Ordinal) ? $"[{url.DnsSafeHost}]" : url.Host;
        return url.IsDefaultPort && port == url.Port ? $"{url.Scheme}://{host}" : string.Create(CultureInfo.InvariantCulture, $"{url.Scheme}://{host}:{port}");
    }
}

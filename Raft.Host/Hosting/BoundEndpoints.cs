using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Raft.Host.Hosting;

/// <summary>Where the node really listens: with port 0 the configured address does not tell.</summary>
public sealed class BoundEndpoints
{
    public ListenOptions? Api { get; set; }

    public ListenOptions? Peer { get; set; }

    public static string UrlOf(ListenOptions? bound, Uri configured) =>
        bound?.IPEndPoint is { Port: > 0 } address && configured.Port == 0
            ? new UriBuilder(configured) { Port = address.Port }.Uri.GetLeftPart(UriPartial.Authority)
            : configured.GetLeftPart(UriPartial.Authority);
}

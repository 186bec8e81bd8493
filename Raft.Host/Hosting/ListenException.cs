using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>An endpoint could not be bound; names it, its key and the remedy.</summary>
public sealed class ListenException(string message, Exception inner) : Exception(message, inner)
{
    internal static ListenException Of(Exception error, EndpointOptions endpoints)
    {
        bool isPeer = error.Message.Contains($":{endpoints.Peer.Port}", StringComparison.Ordinal);
        bool isApi = error.Message.Contains($":{endpoints.Api.Port}", StringComparison.Ordinal);
        (Uri url, string key) = isPeer && !isApi ? (endpoints.Peer, EndpointOptions.PeerKey) : (endpoints.Api, EndpointOptions.ApiKey);
        string cause = error.Message.Contains("address already in use", StringComparison.OrdinalIgnoreCase)
            ? "the port is in use by another process"
            : error.Message.TrimEnd('.');
        return new ListenException(
            $"Cannot listen at {url.GetLeftPart(UriPartial.Authority)} ({key}): {cause}. " +
            $"End the other process (ss -ltnp 'sport = :{url.Port}' names it), or choose another port: --{key}={url.Scheme}://{url.Host}:PORT", error);
    }
}

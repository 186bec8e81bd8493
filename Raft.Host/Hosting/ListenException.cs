using System.Net;
using System.Net.Sockets;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>An endpoint could not be bound; names it, its key, the cause and the remedy.</summary>
public sealed class ListenException(string message, Exception inner) : Exception(message, inner)
{
    internal static ListenException Of(Exception error, EndpointOptions endpoints)
    {
        SocketError code = (error.GetBaseException() as SocketException)?.SocketErrorCode
            ?? (error.Message.Contains("address already in use", StringComparison.OrdinalIgnoreCase) ? SocketError.AddressAlreadyInUse : SocketError.SocketError);
        (Uri url, string key) = IsPeer(error, code, endpoints) ? (endpoints.Peer, EndpointOptions.PeerKey) : (endpoints.Api, EndpointOptions.ApiKey);
        (string cause, string remedy) = SystemErrors.ExplainSocket(code, error);
        return new ListenException(
            $"Cannot listen at {url.OriginalString} ({key}): {cause.TrimEnd('.')}. {remedy} Set it with --{key}={url.Scheme}://ADDRESS:PORT", error);
    }

    /// <summary>Kestrel names the address for some causes only; for the others it is tried out.</summary>
    private static bool IsPeer(Exception error, SocketError code, EndpointOptions endpoints)
    {
        bool isPeer = error.Message.Contains($":{endpoints.Peer.Port}", StringComparison.Ordinal);
        bool isApi = error.Message.Contains($":{endpoints.Api.Port}", StringComparison.Ordinal);
        return isPeer != isApi ? isPeer : Fails(endpoints.Peer, code) && !Fails(endpoints.Api, code);
    }

    private static bool Fails(Uri url, SocketError code)
    {
        if (!IPAddress.TryParse(url.DnsSafeHost, out IPAddress? address))
            return false;

        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(address, url.Port));
            return false;
        }
        catch (SocketException error)
        {
            return error.SocketErrorCode == code;
        }
    }
}

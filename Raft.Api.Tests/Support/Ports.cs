using System.Net;
using System.Net.Sockets;

namespace Raft.Api.Tests.Support;

/// <summary>Free loopback ports below those that the system gives to outgoing connections: a node that is started again
/// finds its port free. Somebody else may still take one in between; whoever starts a node then tries others.</summary>
internal static class Ports
{
    private const int First = 18_000, Last = 31_999;
    private static readonly Lock Gate = new();
    private static int _next = First + Random.Shared.Next(Last - First);

    public static int[] Take(int count)
    {
        lock (Gate)
        {
            var ports = new List<int>(count);
            for (int tries = 0; ports.Count < count; tries++)
            {
                if (tries > Last - First)
                    throw new InvalidOperationException("There is no free loopback port.");
                _next = _next >= Last ? First : _next + 1;
                if (IsFree(_next))
                    ports.Add(_next);
            }

            return [.. ports];
        }
    }

    public static int Take() => Take(1)[0];

    /// <summary>The first of that many free ports one after the other.</summary>
    public static int TakeRow(int count)
    {
        while (true)
        {
            int[] ports = Take(count);
            if (ports[^1] - ports[0] == count - 1)
                return ports[0];
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

using System.Collections.Concurrent;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Host.Hosting;

/// <summary>When each server was last seen alive, as far as this start of this node can say. Thread-safe.</summary>
public sealed class PeerSightings(PeerTransport peers, TimeProvider time)
{
    private readonly ConcurrentDictionary<ServerId, long> _lastSeen = new();

    /// <summary>Looks around; the caretaker does, several times a second.</summary>
    public void Look()
    {
        long now = time.GetTimestamp();
        foreach (PeerStatus peer in peers.Peers)
        {
            if (peer.IsAlive)
                _lastSeen[new ServerId(peer.Node, peer.Storage)] = now;
        }
    }

    /// <summary>Zero while it is alive. One that was never seen counts as seen when somebody first asks.</summary>
    public TimeSpan SilentFor(ServerId server)
    {
        Look();
        TimeSpan silence = time.GetElapsedTime(_lastSeen.GetOrAdd(server, time.GetTimestamp()));
        bool isAlive = peers.Peers.Any(peer => peer.Node == server.Node && peer.Storage == server.Storage && peer.IsAlive);
        return isAlive ? TimeSpan.Zero : silence > TimeSpan.Zero ? silence : TimeSpan.FromTicks(1);
    }
}

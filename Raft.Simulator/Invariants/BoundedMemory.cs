using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>What waits is bounded: what is admitted and not applied, and what is under way to each peer. Rule 7.</summary>
internal sealed class BoundedMemory : IInvariant
{
    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        RaftServerSettings settings = server.Server.Settings;
        ProtocolSettings protocol = settings.Protocol;
        long admittedMax = settings.MaxUncommittedBytes + RunPlan.MaxEntryBytes;
        if (now.AdmittedBytes > admittedMax && now.AdmittedBytes > (before?.AdmittedBytes ?? 0) && before is { Role: Role.Leader } && before.Term == now.Term)
            return $"{server} has admitted {now.AdmittedBytes} bytes; the limit is {admittedMax}";

        foreach (PeerProgress peer in now.Peers)
        {
            if (peer.InFlightAppends > protocol.MaxInFlightAppends)
                return $"{server} has {peer.InFlightAppends} append requests under way to {peer.Server}; the limit is {protocol.MaxInFlightAppends}";
            if (peer.InFlightBytes > protocol.MaxInFlightBytes + Math.Max(protocol.MaxAppendBytes, RunPlan.MaxEntryBytes))
                return $"{server} has {peer.InFlightBytes} bytes under way to {peer.Server}; the limit is {protocol.MaxInFlightBytes} and one append";
        }

        return null;
    }
}

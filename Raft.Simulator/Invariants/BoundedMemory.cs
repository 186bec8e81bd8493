using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>What waits is bounded: what is admitted and not applied, calls that are not in the log, calls that wait for an index, writes
/// that wait for the disk, and what is under way to each peer. Rule 7.</summary>
internal sealed class BoundedMemory : IInvariant
{
    /// <summary>Of each of the three queues of waiters.</summary>
    private const int WaitersSlack = 3 * 64;

    /// <summary>Terms, votes, configurations and requests for votes are written at the limit too: a few at each election.</summary>
    private const int BatchesSlack = 16;

    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        RaftServerSettings settings = server.Server.Settings;
        ProtocolSettings protocol = settings.Protocol;
        long admittedMax = settings.MaxUncommittedBytes + RunPlan.MaxEntryBytes;
        if (now.AdmittedBytes > admittedMax && now.AdmittedBytes > (before?.AdmittedBytes ?? 0) && before is { Role: Role.Leader } && before.Term == now.Term)
            return $"{server} has admitted {now.AdmittedBytes} bytes; the limit is {admittedMax}";

        long waitingMax = Math.Max(WaitingBytes.LimitOf(settings.MaxWaitingBytes, isCommand: false), WaitingBytes.CallBytes + RunPlan.MaxClientCommandBytes);
        if (now.WaitingBytes < 0 || now.WaitingBytes > waitingMax)
            return $"{server} lets {now.WaitingBytes} bytes of calls wait; the limit is {waitingMax}";

        // Operators' calls have a reserve, and one more call may come when the limit is just reached.
        int callsMax = settings.MaxPendingCalls + RaftServer.OperatorCallsReserve;
        if (now.PendingCalls > callsMax)
            return $"{server} has {now.PendingCalls} calls under way; the limit is {callsMax}";
        int waitersMax = (2 * callsMax) + WaitersSlack;
        if (now.Waiters > waitersMax)
            return $"{server} keeps {now.Waiters} waiters; the limit is {waitersMax}";

        int batchesMax = settings.MaxQueuedBatches + BatchesSlack;
        if (now.QueuedBatches > batchesMax)
            return $"{server} has {now.QueuedBatches} writes waiting for the disk; the limit is {batchesMax}";

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

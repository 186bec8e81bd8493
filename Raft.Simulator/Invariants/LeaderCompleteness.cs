using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>Whoever comes to lead has every entry that was committed in an earlier term. PhD 3.6.3</summary>
internal sealed class LeaderCompleteness(GroupLedger ledger) : IInvariant
{
    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        if (now.Role != Role.Leader || (before is { Role: Role.Leader } && before.Term == now.Term))
            return null;

        for (LogIndex index = now.FirstIndex; index <= ledger.CommittedThrough; index = index.Next)
        {
            if (ledger.CommittedTerm(index) is { } committed && committed < now.Term && server.TermAt(index) != committed)
                return $"{server} leads term {now.Term} and has term {server.TermAt(index)} at {index}, where term {committed} is committed";
        }

        return null;
    }
}

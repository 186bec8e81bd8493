using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>Whoever comes to lead has every entry that was committed in an earlier term. PhD 3.6.3</summary>
/// <remarks>The entry may be older than the term in which it was committed: a leader of a term between the two, who hears of its
/// votes late, need not have it.</remarks>
internal sealed class LeaderCompleteness(GroupLedger ledger) : IInvariant
{
    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        if (now.Role != Role.Leader || (before is { Role: Role.Leader } && before.Term == now.Term))
            return null;

        for (LogIndex index = now.FirstIndex; index <= ledger.CommittedThrough; index = index.Next)
        {
            if (ledger.CommittedTerm(index) is { } committed && ledger.CommittedIn(index) < now.Term && server.TermAt(index) != committed)
                return $"{server} leads term {now.Term} and has term {server.TermAt(index)} at {index}, where term {committed} is committed";
        }

        return null;
    }
}

using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>A commit index never falls while a process runs, and what was committed once is so for ever and everywhere. PhD 3.6.3</summary>
internal sealed class CommitIsFinal(GroupLedger ledger) : IInvariant
{
    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        LogIndex first = before?.CommitIndex ?? LogIndex.Zero;
        if (now.CommitIndex < first)
            return $"the commit index of {server} fell from {first} to {now.CommitIndex}";

        for (LogIndex index = first.Next; index <= now.CommitIndex; index = index.Next)
        {
            Term? term = server.TermAt(index);
            if (!ledger.Commit(index, term, now.Term))
                return $"{server} has {index} committed in term {term}; it was committed in term {ledger.CommittedTerm(index)}";
        }

        return null;
    }
}

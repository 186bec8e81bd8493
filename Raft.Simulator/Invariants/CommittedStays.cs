using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>A disk that holds a committed entry keeps it, until a snapshot covers it: it may be one of the quorum that committed it. PhD 5.3</summary>
internal sealed class CommittedStays(GroupLedger ledger) : IInvariant
{
    public string? OnPersisting(SimulatedServer server, PersistRequest request)
    {
        if (request.TruncateFrom is not { } from)
            return null;

        DurableShadow disk = ledger.ShadowOf(server.Id);
        LogIndex covered = (request.Snapshot ?? disk.Snapshot)?.Index ?? LogIndex.Zero;
        for (LogIndex index = LogIndex.Max(from, covered.Next); index <= disk.LastIndex && index <= ledger.CommittedThrough; index = index.Next)
        {
            if (ledger.CommittedTerm(index) is { } term && disk.TermAt(index) == term && !request.Entries.Any(entry => entry.Index == index && entry.Term == term))
                return $"{server} takes {index} of term {term} from its disk, which is committed";
        }

        return null;
    }
}

using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>What a client was told of is committed; so, by leader completeness, every later leader has it. PhD 3.6.3</summary>
internal sealed class AcknowledgedIsCommitted(GroupLedger ledger) : IInvariant
{
    public string? OnAcknowledged(SimulatedServer server, EntryId entry) =>
        ledger.CommittedTerm(entry.Index) == entry.Term
            ? null
            : $"{server} acknowledged {entry.Index} of term {entry.Term}; committed there is term {ledger.CommittedTerm(entry.Index)?.ToString() ?? "none"}";
}

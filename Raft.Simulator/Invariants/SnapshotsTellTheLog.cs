using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>A snapshot says of its index what the log has there: the term, and the configuration that was in force. PhD 5.1</summary>
internal sealed class SnapshotsTellTheLog(GroupLedger ledger) : IInvariant
{
    public string? OnPersisting(SimulatedServer server, PersistRequest request)
    {
        if (request.Snapshot is not { } snapshot)
            return null;
        if (ledger.CommittedTerm(snapshot.Index) is { } term && term != snapshot.Term)
            return $"{server} has a snapshot of {snapshot.Index} with term {snapshot.Term}; committed there is one of term {term}";
        if (snapshot.ConfigurationIndex > snapshot.Index)
            return $"{server} has a snapshot of {snapshot.Index} with the configuration of {snapshot.ConfigurationIndex}";

        DurableShadow disk = ledger.ShadowOf(server.Id);
        return snapshot.Index >= disk.FirstIndex && disk.TermAt(snapshot.Index) == snapshot.Term
            && disk.ConfigurationBefore(snapshot.Index.Next) is { } inForce && inForce.Id.Index != snapshot.ConfigurationIndex
            ? $"{server} has a snapshot of {snapshot.Index} with the configuration of {snapshot.ConfigurationIndex}; in force there was that of {inForce.Id.Index}"
            : null;
    }
}

namespace Raft.Simulator;

/// <summary>All that are checked in every run, beside those that need no group: calls end, servers keep running, storage keeps
/// its word, histories are linearizable, and after the faults everything comes to rest.</summary>
internal static class Invariants
{
    /// <param name="ledger">Of the group.</param>
    public static IInvariant[] All(GroupLedger ledger) =>
    [
        // The first one writes down what is committed; the others ask for it.
        new CommitIsFinal(ledger),
        new ElectionSafety(),
        new LeaderAppendOnly(),
        new LogMatching(ledger),
        new LeaderCompleteness(ledger),
        new StateMachineSafety(ledger),
        new TimeNeverFalls(),
        new OneVoteATerm(ledger),
        new ConfigurationSafety(ledger),
        new ConfigurationInForce(ledger),
        new SnapshotsTellTheLog(ledger),
        new CommittedStays(ledger),
        new CommittedByQuorum(ledger),
        new AcknowledgedIsCommitted(ledger),
        new EqualStates(),
        new DurablePromises(ledger),
        new BoundedMemory(),
        new StampsAreConfirmed(ledger),
    ];
}

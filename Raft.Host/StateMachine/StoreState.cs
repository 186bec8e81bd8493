namespace Raft.Host.StateMachine;

/// <summary>All that a store holds; replaced as a whole when a snapshot is loaded. Not thread-safe.</summary>
internal sealed class StoreState
{
    public Journal Journal { get; init; } = new();
    public KeyValueMap Map { get; init; } = new();
    public IdempotencyTable Idempotency { get; init; } = new();

    /// <summary>The last command applied.</summary>
    public long AppliedIndex { get; set; }

    /// <summary>Memory that all of it takes.</summary>
    public long MemoryBytes => Journal.Bytes + Map.MemoryBytes + Idempotency.MemoryBytes;

    public UInt128 Hash => StateHash.Combine(
        Map.HashSum, Journal.HashSum, Journal.FirstIndex, Journal.LastIndex, Idempotency.HashSum, Idempotency.ForgottenThroughMs);

    /// <summary>The hash from the whole state, for tests: must equal the one kept.</summary>
    internal UInt128 RecomputeHash()
    {
        UInt128 journal = 0;
        for (long index = Journal.FirstIndex; index <= Journal.LastIndex; index++)
            journal += StateHash.OfJournalEntry(index, Journal.At(index));
        return StateHash.Combine(
            Map.RecomputeHashSum(), journal, Journal.FirstIndex, Journal.LastIndex, Idempotency.RecomputeHashSum(), Idempotency.ForgottenThroughMs);
    }
}

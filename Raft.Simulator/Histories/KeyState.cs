namespace Raft.Simulator.Histories;

/// <summary>What a key is in the model.</summary>
/// <param name="Revision">0 when it is not there; <see cref="Unbound"/> after a write whose revision nobody was told yet.</param>
/// <param name="Value">Null when it is not there.</param>
/// <param name="Floor">Every later write has a higher revision.</param>
internal readonly record struct KeyState(long Revision, string? Value, long Floor)
{
    public const long Unbound = -1;

    /// <summary>The state after an operation that has this outcome, or after one of unknown outcome that happens; null when it cannot be.</summary>
    public KeyState? After(Request request) => (request.Operation, request.Outcome) switch
    {
        (_, Found found) => BoundTo(found.Revision) is { } bound && Value == found.Value ? bound : null,
        (_, Missing) => Revision == 0 ? this : null,
        (PutKey put, Written written) => MayHold(put.Condition) && written.Created == (Revision == 0) && written.Revision > Floor
            ? new KeyState(written.Revision, put.Value, written.Revision) : null,
        (DeleteKey delete, Removed removed) => MayHold(delete.Condition) && (removed.RaftIndex == 0 || removed.RaftIndex > Floor)
            ? new KeyState(0, null, Math.Max(Floor, removed.RaftIndex)) : null,
        (PutKey put, Refused refused) => AfterRefusal(put.Condition!, refused),
        (DeleteKey delete, Refused refused) => AfterRefusal(delete.Condition!, refused),
        (PutKey put, null) => MayHold(put.Condition) ? new KeyState(Unbound, put.Value, FloorWith(put.Condition)) : null,
        (DeleteKey delete, null) => Revision != 0 && MayHold(delete.Condition) ? new KeyState(0, null, FloorWith(delete.Condition)) : null,
        _ => null,
    };

    /// <summary>Whether everything that may follow the other may follow this one.</summary>
    public bool Allows(KeyState other) => Revision == other.Revision && Value == other.Value && Floor <= other.Floor;

    /// <summary>The revision that an answer tells; null when it tells none.</summary>
    public static long? RevisionOf(Outcome? outcome) => outcome switch
    {
        Found found => found.Revision,
        Written written => written.Revision,
        Removed { RaftIndex: > 0 } removed => removed.RaftIndex,
        Refused { CurrentRevision: > 0 } refused => refused.CurrentRevision,
        Refused { RaftIndex: > 0 } refused => refused.RaftIndex,    // nothing was there: what was before is gone by then
        _ => null,
    };

    private KeyState? AfterRefusal(KeyCondition condition, Refused refused)
    {
        if (condition.Holds(refused.CurrentRevision))
            return null;
        KeyState? bound = refused.CurrentRevision == 0 ? (Revision == 0 ? this : null) : BoundTo(refused.CurrentRevision);
        if (bound is null || refused.RaftIndex == 0)
            return bound;
        return refused.RaftIndex > bound.Value.Floor ? bound.Value with { Floor = refused.RaftIndex } : null;
    }

    private KeyState? BoundTo(long revision)
    {
        if (Revision == revision)
            return this;
        return Revision == Unbound && revision > Floor ? this with { Revision = revision, Floor = revision } : null;
    }

    private bool MayHold(KeyCondition? condition)
    {
        if (condition is null)
            return true;
        if (Revision != Unbound)
            return condition.Holds(Revision);
        return condition.Kind switch
        {
            KeyConditionKind.Absent => false,
            KeyConditionKind.Is => condition.Revision > Floor,
            _ => true,
        };
    }

    /// <summary>The floor when the condition held: the revision it names was the one in force.</summary>
    private long FloorWith(KeyCondition? condition) =>
        condition is { Kind: KeyConditionKind.Is } ? Math.Max(Floor, condition.Revision) : Floor;
}

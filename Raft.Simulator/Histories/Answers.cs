namespace Raft.Simulator.Histories;

/// <summary>Which outcome belongs to which operation.</summary>
internal static class Answers
{
    public static bool Fits(Operation operation, Outcome outcome) => (operation, outcome) switch
    {
        (GetKey, Found or Missing) => true,
        (PutKey, Written) => true,
        (PutKey { Condition: not null }, Refused) => true,
        (DeleteKey, Removed) => true,
        (DeleteKey { Condition: not null }, Refused) => true,
        (ListKeys, Listed) => true,
        (AppendEntry, Appended) => true,
        (ReadEntries, EntriesRead) => true,
        _ => false,
    };

    /// <summary>The Raft index of a write; null when there is none or it was not told.</summary>
    public static long? RaftIndexOf(Outcome? outcome) => outcome switch
    {
        Written written => written.Revision,
        Removed { RaftIndex: > 0 } removed => removed.RaftIndex,
        Refused { RaftIndex: > 0 } refused => refused.RaftIndex,
        Appended { RaftIndex: > 0 } appended => appended.RaftIndex,
        _ => null,
    };
}

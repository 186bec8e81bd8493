namespace Raft.Engine.Protocol;

/// <summary>What an entry is for.</summary>
public enum EntryKind : byte
{
    /// <summary>A command of the state machine.</summary>
    Command = 1,

    /// <summary>A configuration (<see cref="Configuration.Encode"/>); in force from append, not from commit. PhD 4.1</summary>
    Configuration = 2,

    /// <summary>Nothing: a new leader's first entry, which lets it commit those before it. PhD 3.6.2</summary>
    Empty = 3,

    /// <summary>A command of the process around the engine. The state machine is handed it in order like any other, marked as
    /// <c>CommittedCommand.IsSystem</c>, so that a wrapper can keep it from the user's own state machine.</summary>
    System = 4,
}

/// <summary>One entry of the log. Immutable; the payload must not be changed by whoever handed it over.</summary>
public sealed class Entry(LogIndex index, Term term, EntryKind kind, long timeMs, ReadOnlyMemory<byte> payload)
{
    /// <summary>What an entry costs beside its payload when bytes are counted, in memory and in messages.</summary>
    public const int OverheadBytes = 48;

    public LogIndex Index { get; } = index;
    public Term Term { get; } = term;
    public EntryKind Kind { get; } = kind;

    /// <summary>The leader's time stamp, milliseconds since 1970 UTC; never falls from one entry of a group to the next.</summary>
    public long TimeMs { get; } = timeMs;

    public ReadOnlyMemory<byte> Payload { get; } = payload;

    public EntryId Id => new(Index, Term);
    public int CostBytes => Payload.Length + OverheadBytes;

    public override string ToString() => $"{Index}@{Term} {Kind} {Payload.Length} B";
}

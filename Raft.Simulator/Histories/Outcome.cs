using System.Text.Json.Serialization;

namespace Raft.Simulator.Histories;

/// <summary>What a client was answered. A Raft index of 0 is one that the answer did not tell.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Found), "found")]
[JsonDerivedType(typeof(Missing), "missing")]
[JsonDerivedType(typeof(Written), "written")]
[JsonDerivedType(typeof(Removed), "removed")]
[JsonDerivedType(typeof(Refused), "refused")]
[JsonDerivedType(typeof(Listed), "listed")]
[JsonDerivedType(typeof(Appended), "appended")]
[JsonDerivedType(typeof(EntriesRead), "entries")]
public abstract record Outcome;

/// <summary>The key is there.</summary>
public sealed record Found(string Value, long Revision) : Outcome
{
    public override string ToString() => $"{Value} at revision {Revision}";
}

/// <summary>The key is not there.</summary>
public sealed record Missing : Outcome
{
    public override string ToString() => "missing";
}

/// <summary>A value was written; its revision is the Raft index of the write.</summary>
public sealed record Written(long Revision, bool Created) : Outcome
{
    public override string ToString() => $"{(Created ? "created" : "replaced")} at revision {Revision}";
}

/// <summary>The key is not there any more, whether it was or not.</summary>
public sealed record Removed(long RaftIndex) : Outcome
{
    public override string ToString() => RaftIndex == 0 ? "removed" : $"removed at index {RaftIndex}";
}

/// <summary>The condition did not hold of this revision; 0: the key was not there.</summary>
public sealed record Refused(long CurrentRevision, long RaftIndex = 0) : Outcome
{
    public override string ToString() => CurrentRevision == 0 ? "refused, it is missing" : $"refused, it is at revision {CurrentRevision}";
}

/// <summary>Keys in order, the list whole.</summary>
public sealed record Listed(IReadOnlyList<ListedKey> Items) : Outcome
{
    public override string ToString() => $"[{string.Join(", ", Items.Select(item => $"{item.Key} = {item.Value} at revision {item.Revision}"))}]";
}

public sealed record ListedKey(string Key, string Value, long Revision);

/// <summary>The entry's place in the journal, which counts from 1 without holes.</summary>
public sealed record Appended(long Index, long RaftIndex = 0) : Outcome
{
    public override string ToString() => $"entry {Index}";
}

/// <summary>Entries from <paramref name="From"/> on.</summary>
/// <param name="From">The index of the first one.</param>
/// <param name="Values">May be fewer than were asked for, but not none where there are some.</param>
/// <param name="LastIndex">The newest entry that there was, read or not.</param>
public sealed record EntriesRead(long From, IReadOnlyList<string> Values, long LastIndex) : Outcome
{
    public override string ToString() => $"[{string.Join(", ", Values)}] from {From}, the last is {LastIndex}";
}

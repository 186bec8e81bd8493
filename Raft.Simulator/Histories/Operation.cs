using System.Text.Json.Serialization;

namespace Raft.Simulator.Histories;

/// <summary>What a client asks of the store. Values are text: a history is read by people when it fails.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(GetKey), "get")]
[JsonDerivedType(typeof(PutKey), "put")]
[JsonDerivedType(typeof(DeleteKey), "delete")]
[JsonDerivedType(typeof(ListKeys), "list")]
[JsonDerivedType(typeof(AppendEntry), "append")]
[JsonDerivedType(typeof(ReadEntries), "read")]
public abstract record Operation;

/// <summary>A linearizable read of a key. Answers: <see cref="Found"/>, <see cref="Missing"/>.</summary>
public sealed record GetKey(string Key) : Operation
{
    public override string ToString() => $"get {Key}";
}

/// <summary>Writes a key, if the condition holds. Answers: <see cref="Written"/>, <see cref="Refused"/>.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">Best unlike any other value: then a read tells which write it saw.</param>
/// <param name="Condition">Null: in any case.</param>
/// <param name="IdempotencyKey">Attempts with the same one are one request.</param>
public sealed record PutKey(string Key, string Value, KeyCondition? Condition = null, string? IdempotencyKey = null) : Operation
{
    public override string ToString() => $"put {Key} = {Value}{Condition?.Text}{Retry.TextOf(IdempotencyKey)}";
}

/// <summary>Removes a key, if the condition holds. Answers: <see cref="Removed"/>, <see cref="Refused"/>.</summary>
public sealed record DeleteKey(string Key, KeyCondition? Condition = null, string? IdempotencyKey = null) : Operation
{
    public override string ToString() => $"delete {Key}{Condition?.Text}{Retry.TextOf(IdempotencyKey)}";
}

/// <summary>All keys with a prefix, of one moment. Answer: <see cref="Listed"/>.</summary>
public sealed record ListKeys(string Prefix) : Operation
{
    public override string ToString() => $"list {Prefix}*";
}

/// <summary>One journal entry. Answer: <see cref="Appended"/>.</summary>
public sealed record AppendEntry(string Value, string? IdempotencyKey = null) : Operation
{
    public override string ToString() => $"append {Value}{Retry.TextOf(IdempotencyKey)}";
}

/// <summary>A linearizable read of journal entries. Answer: <see cref="EntriesRead"/>.</summary>
public sealed record ReadEntries(long From, int Limit) : Operation
{
    public override string ToString() => $"read entries from {From}, {Limit} at most";
}

/// <summary>What must hold of a key for a write to happen.</summary>
/// <param name="Kind">What is compared.</param>
/// <param name="Revision">With what, where a revision is.</param>
public sealed record KeyCondition(KeyConditionKind Kind, long Revision = 0)
{
    /// <summary><c>If-Match: *</c></summary>
    public static readonly KeyCondition Exists = new(KeyConditionKind.Exists);

    /// <summary><c>If-None-Match: *</c></summary>
    public static readonly KeyCondition Absent = new(KeyConditionKind.Absent);

    /// <summary><c>If-Match: "revision"</c>: compare and set.</summary>
    public static KeyCondition Is(long revision) => new(KeyConditionKind.Is, revision);

    /// <summary><c>If-None-Match: "revision"</c></summary>
    public static KeyCondition IsNot(long revision) => new(KeyConditionKind.IsNot, revision);

    internal string Text => Kind switch
    {
        KeyConditionKind.Exists => " if it exists",
        KeyConditionKind.Absent => " if it is absent",
        KeyConditionKind.Is => $" if at revision {Revision}",
        _ => $" if not at revision {Revision}",
    };

    /// <summary>Whether it holds of a key at this revision; 0 is a key that is not there.</summary>
    internal bool Holds(long revision) => Kind switch
    {
        KeyConditionKind.Exists => revision != 0,
        KeyConditionKind.Absent => revision == 0,
        KeyConditionKind.Is => revision != 0 && revision == Revision,
        _ => revision == 0 || revision != Revision,
    };
}

[JsonConverter(typeof(JsonStringEnumConverter<KeyConditionKind>))]
public enum KeyConditionKind
{
    Exists,
    Absent,
    Is,
    IsNot,
}

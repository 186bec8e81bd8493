using System.Globalization;

namespace Raft.Engine.Protocol;

/// <summary>A term: 0 before the first election, then ever growing. PhD 3.3</summary>
public readonly record struct Term(long Value) : IComparable<Term>
{
    /// <summary>The term of a server that has seen nothing.</summary>
    public static readonly Term Zero;

    /// <summary>The term after this one.</summary>
    public Term Next => new(Value + 1);

    public int CompareTo(Term other) => Value.CompareTo(other.Value);

    public static bool operator <(Term a, Term b) => a.Value < b.Value;
    public static bool operator >(Term a, Term b) => a.Value > b.Value;
    public static bool operator <=(Term a, Term b) => a.Value <= b.Value;
    public static bool operator >=(Term a, Term b) => a.Value >= b.Value;

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A position in the Raft log: the first entry has 1; 0 is before it.</summary>
public readonly record struct LogIndex(long Value) : IComparable<LogIndex>
{
    /// <summary>Before the first entry.</summary>
    public static readonly LogIndex Zero;

    public LogIndex Next => new(Value + 1);
    public LogIndex Previous => new(Value - 1);

    public static LogIndex Min(LogIndex a, LogIndex b) => a.Value <= b.Value ? a : b;
    public static LogIndex Max(LogIndex a, LogIndex b) => a.Value >= b.Value ? a : b;

    public int CompareTo(LogIndex other) => Value.CompareTo(other.Value);

    public static LogIndex operator +(LogIndex a, long count) => new(a.Value + count);
    public static LogIndex operator -(LogIndex a, long count) => new(a.Value - count);
    public static long operator -(LogIndex a, LogIndex b) => a.Value - b.Value;
    public static bool operator <(LogIndex a, LogIndex b) => a.Value < b.Value;
    public static bool operator >(LogIndex a, LogIndex b) => a.Value > b.Value;
    public static bool operator <=(LogIndex a, LogIndex b) => a.Value <= b.Value;
    public static bool operator >=(LogIndex a, LogIndex b) => a.Value >= b.Value;

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What people call a node: 1 to 63 characters.</summary>
public readonly record struct NodeId(string Value)
{
    public override string ToString() => Value ?? "";
}

/// <summary>128 random bits, drawn when a data directory is made: whose disk this is.</summary>
public readonly record struct StorageId(UInt128 Value)
{
    public static StorageId Parse(string hex) => new(UInt128.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture));

    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}

/// <summary>One server: a node on one disk. A node that lost its disk is another server. Rule 12.</summary>
public readonly record struct ServerId(NodeId Node, StorageId Storage)
{
    public override string ToString() => Storage == default ? Node.Value : $"{Node.Value}/{Storage.ToString()[..8]}";
}

/// <summary>The name of a group: one Raft cluster instance among those of a process.</summary>
public readonly record struct GroupId(string Value)
{
    public override string ToString() => Value ?? "";
}

/// <summary>Names one read barrier of one leader; grows.</summary>
public readonly record struct ReadId(long Value) : IComparable<ReadId>
{
    public int CompareTo(ReadId other) => Value.CompareTo(other.Value);
    public static bool operator <(ReadId a, ReadId b) => a.Value < b.Value;
    public static bool operator >(ReadId a, ReadId b) => a.Value > b.Value;
    public static bool operator <=(ReadId a, ReadId b) => a.Value <= b.Value;
    public static bool operator >=(ReadId a, ReadId b) => a.Value >= b.Value;
}

/// <summary>Names one entry for ever: no two entries of a group share index and term. PhD 3.6</summary>
public readonly record struct EntryId(LogIndex Index, Term Term);

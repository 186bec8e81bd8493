namespace Raft.Engine.Protocol;

/// <summary>The durable part of a batch: there whole after a crash, or not at all. In the order of effect.</summary>
/// <param name="TermAndVote">Set when either changed.</param>
/// <param name="TruncateFrom">All entries from this index on are gone, before <paramref name="Entries"/> are added.</param>
/// <param name="Entries">Contiguous; the first follows the last entry that is left.</param>
public sealed record PersistRequest(TermAndVote? TermAndVote, LogIndex? TruncateFrom, IReadOnlyList<Entry> Entries);

/// <summary>Kept together: a vote is worth nothing without its term. PhD 3.8</summary>
public readonly record struct TermAndVote(Term Term, ServerId? Vote);

/// <summary>Names a snapshot and what the log before it amounts to. Taken and installed from part 2 on. PhD 5.1</summary>
/// <param name="SnapshotId">Names the state that the state machine can load.</param>
/// <param name="Index">The last index that the snapshot covers.</param>
/// <param name="Term">The term of the entry at that index, not the current one.</param>
/// <param name="Configuration">The configuration in force at that index.</param>
/// <param name="SizeBytes">The size of the file.</param>
/// <param name="Hash">The XxHash128 of the file.</param>
public sealed record SnapshotDescriptor(
    string SnapshotId, LogIndex Index, Term Term, Configuration Configuration, long SizeBytes, UInt128 Hash);

/// <summary>What a server finds on its disk at start.</summary>
/// <param name="TermAndVote">Zero and none for a new group.</param>
/// <param name="Snapshot">Null when none was taken.</param>
/// <param name="FirstIndex">The first index that the stored log holds; 1 unless compacted.</param>
/// <param name="LastIndex">The last; FirstIndex - 1 when it is empty.</param>
/// <param name="TermRuns">The terms of the stored log, run by run, ascending: all its entries' terms without its entries.</param>
/// <param name="RecentEntries">The last entries, as many as the cache may hold: contiguous up to LastIndex.</param>
/// <param name="ConfigurationEntries">Every configuration entry that the stored log holds, ascending.</param>
public sealed record PersistedState(
    TermAndVote TermAndVote,
    SnapshotDescriptor? Snapshot,
    LogIndex FirstIndex,
    LogIndex LastIndex,
    IReadOnlyList<TermRun> TermRuns,
    IReadOnlyList<Entry> RecentEntries,
    IReadOnlyList<Entry> ConfigurationEntries)
{
    public static readonly PersistedState Empty = new(default, null, new LogIndex(1), LogIndex.Zero, [], [], []);
}

/// <summary>From <paramref name="FirstIndex"/> up to the next run every entry has this term.</summary>
public readonly record struct TermRun(LogIndex FirstIndex, Term Term);

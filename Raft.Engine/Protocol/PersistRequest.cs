namespace Raft.Engine.Protocol;

/// <summary>The durable part of a batch: there whole after a crash, or not at all. In the order of effect.</summary>
/// <param name="TermAndVote">Set when either changed.</param>
/// <param name="TruncateFrom">All entries from this index on are gone, before <paramref name="Entries"/> are added.</param>
/// <param name="Entries">Contiguous; the first follows the last entry that is left.</param>
public sealed record PersistRequest(TermAndVote? TermAndVote, LogIndex? TruncateFrom, IReadOnlyList<Entry> Entries)
{
    /// <summary>In force from now on, after <see cref="Entries"/>; the files of older ones may go once this is durable, unless
    /// somebody reads them. Its own file is complete and synced. Rule 6.</summary>
    public SnapshotDescriptor? Snapshot { get; init; }

    /// <summary>The log is deleted up to here, last of all: at most the snapshot's index. When it is above the last entry, the
    /// log is empty and goes on behind it.</summary>
    public LogIndex? DeleteThrough { get; init; }
}

/// <summary>Kept together: a vote is worth nothing without its term. PhD 3.8</summary>
public readonly record struct TermAndVote(Term Term, ServerId? Vote);

/// <summary>Names a snapshot and what the log before it amounts to. PhD 5.1</summary>
/// <param name="SnapshotId">Names the file; drawn by the storage that wrote or received it, so it differs between servers.</param>
/// <param name="Index">The last index that the snapshot covers.</param>
/// <param name="Term">The term of the entry at that index, not the current one.</param>
/// <param name="Configuration">The configuration in force at that index.</param>
/// <param name="ConfigurationIndex">The index of its entry; at most <paramref name="Index"/>.</param>
/// <param name="SizeBytes">Bytes of the content.</param>
/// <param name="Hash">The XxHash128 of the content.</param>
public sealed record SnapshotDescriptor(
    string SnapshotId, LogIndex Index, Term Term, Configuration Configuration, LogIndex ConfigurationIndex, long SizeBytes, UInt128 Hash)
{
    /// <summary>No entry that it covers has a later time stamp. A log that begins behind it goes on from here: time never falls
    /// from one entry to the next, whoever leads, also where the log before is gone.</summary>
    public long TimeMs { get; init; }
}

/// <summary>What a server finds on its disk at start.</summary>
/// <param name="TermAndVote">Zero and none for a new group.</param>
/// <param name="Snapshot">Null when none was taken.</param>
/// <param name="FirstIndex">The first index that the stored log holds; 1 unless compacted.</param>
/// <param name="LastIndex">The last; FirstIndex - 1 when it is empty.</param>
/// <param name="TermRuns">The terms of the stored log, run by run, ascending: all its entries' terms without its entries.</param>
/// <param name="RecentEntries">The last entries, as many as the cache may hold and at least one if there is one: contiguous up to LastIndex.</param>
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

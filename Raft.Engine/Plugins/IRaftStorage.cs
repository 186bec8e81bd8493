using Raft.Engine.Protocol;

namespace Raft.Engine.Plugins;

/// <summary>The durable half of one group: term, vote, snapshot descriptor and log.</summary>
/// <remarks>
/// The engine relies on this, and <c>StorageContract</c> tests each line.
/// Durable: a completed task means that the data survives power loss.
/// Atomic: after a crash a request is there whole or not at all.
/// Ordered: requests take effect, and complete, in the order of the calls.
/// Final: after one failure every later call fails; a failed sync is never retried.
/// Non-blocking: the caller is a shard's only thread. Completions may come on any thread.
/// Reads see every completed request; what a truncation took away is never returned by a read that starts after it completed.
/// </remarks>
public interface IRaftStorage
{
    /// <summary>Reads what earlier requests left. Called once, first.</summary>
    /// <param name="cacheBytes">About how many bytes of the most recent entries to return; the last entry is returned however few they are.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="Errors.CorruptStorageException">Names file, offset and remedy.</exception>
    ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation);

    /// <summary>Stores term and vote, truncates, appends, puts a snapshot in force, deletes, in this order. Null stores nothing, and still completes after all earlier
    /// requests: an acknowledgement sent with it may lean on them.</summary>
    Task PersistAsync(PersistRequest? request);

    /// <summary>Reads entries [from, to]: contiguous from <paramref name="from"/> on, at least one, and no more once
    /// <paramref name="maxBytes"/> (by <see cref="Entry.CostBytes"/>) are reached. Empty when the log no longer holds
    /// <paramref name="from"/>.</summary>
    ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation);

    /// <summary>Writes a new snapshot file, away from the shard's thread: whole and synced, its name too, when the task
    /// completes. Not in force before a <see cref="PersistRequest.Snapshot"/> names it: a restart deletes what is not.</summary>
    /// <exception cref="Errors.OutOfSpaceException">There is no room for it: nothing is left of it, and nothing else is affected.</exception>
    Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation);

    /// <summary>Begins to receive a snapshot of another server, or goes on with what came of the same content (index, term, size
    /// and hash) before a break. At most one at a time; a begun one of other content is deleted, and one whose index a
    /// snapshot in force has reached may be.</summary>
    /// <exception cref="Errors.OutOfSpaceException">There is no room for it: nothing is left of it, and nothing else is affected. The
    /// receiver's calls may end so too.</exception>
    /// <exception cref="Errors.OverloadedException">As many as the storage allows are being received: ask again later.</exception>
    ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation);

    /// <summary>Opens a snapshot file for reading; it stays readable until disposed, also when a newer one takes its place.</summary>
    /// <exception cref="Errors.CorruptStorageException">It is not there, or not whole.</exception>
    ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation);
}

/// <summary>A snapshot file as the storage that wrote it names it.</summary>
public readonly record struct SnapshotFile(string SnapshotId, long SizeBytes, UInt128 Hash);

/// <summary>A snapshot on its way in. Calls come one after the other.</summary>
public interface ISnapshotReceiver : IAsyncDisposable
{
    /// <summary>Where to go on: so many bytes are there.</summary>
    long NextOffset { get; }

    /// <summary>Adds a chunk at <see cref="NextOffset"/>. The bytes are borrowed until the task completes.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled, or nothing is left to receive: the storage has deleted what came
    /// (<see cref="IRaftStorage.ReceiveSnapshotAsync"/>), or another receiver has taken over.</exception>
    ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellation);

    /// <summary>All bytes are there: size and hash are verified, the file synced and named.</summary>
    /// <exception cref="InvalidDataException">It is not what the descriptor says; what came is deleted.</exception>
    /// <exception cref="OperationCanceledException">As <see cref="WriteAsync"/>.</exception>
    Task<SnapshotFile> CompleteAsync(CancellationToken cancellation);
}

/// <summary>A snapshot file open for reading. Reads may come from any thread.</summary>
public interface ISnapshotReader : IAsyncDisposable
{
    long SizeBytes { get; }

    /// <summary>Reads content from an offset on; as much as the buffer takes, less only at the end.</summary>
    /// <exception cref="Errors.CorruptStorageException">The file is damaged.</exception>
    ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellation);
}

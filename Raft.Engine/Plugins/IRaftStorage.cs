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
    /// <param name="cacheBytes">About how many bytes of the most recent entries to return.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="Errors.CorruptStorageException">Names file, offset and remedy.</exception>
    ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation);

    /// <summary>Stores term and vote, truncates, appends. Null stores nothing, and still completes after all earlier
    /// requests: an acknowledgement sent with it may lean on them.</summary>
    Task PersistAsync(PersistRequest? request);

    /// <summary>Reads entries [from, to]: contiguous from <paramref name="from"/> on, at least one, and no more once
    /// <paramref name="maxBytes"/> (by <see cref="Entry.CostBytes"/>) are reached. Empty when the log no longer holds
    /// <paramref name="from"/>.</summary>
    ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation);
}

using Raft.Engine.Protocol;

namespace Raft.Engine.Plugins;

/// <summary>The user's own state, driven by the log.</summary>
/// <remarks>
/// <c>StateMachineContract</c> tests each line.
/// Order: committed commands come in log order, each once while the process runs. After a restart they come again from
/// the beginning of the log (or the last snapshot): in-memory state is rebuilt, durable state must recognise what it has.
/// Deterministic: the state and the results depend on nothing but the commands, their index, term and time stamp.
/// Borrowed: the list of commands is the server's and is filled anew for the next call, so it is read during the call (until
/// the task it returned completes) and never after. The results are read before the next call begins.
/// Bytes: a command's bytes are never changed or used again, so they may be kept without a copy. They may be a slice of
/// something larger, such as a whole append request, which then stays in memory: copy what is kept for long. Nobody may write to them.
/// One call at a time, on the group's shard; long work may be awaited and delays neither replication nor heartbeats.
/// Snapshots: a picture holds all commands up to its moment and none after; loading it elsewhere gives an equal state. A state
/// machine that loads does long work on a thread of its own, because the caller is a shard's only thread.
/// A failed task stops the server: its state can no longer be trusted.
/// </remarks>
public interface IStateMachine
{
    /// <summary>Whether a command only takes away from the state. A leader whose disk is nearly full lets such a command pass
    /// (<see cref="Server.RaftServer.CommandStop"/>). Any thread; decides nothing else. Default: no command does.</summary>
    bool MakesRoom(ReadOnlySpan<byte> command) => false;

    /// <summary>Applies commands in order and gives one result for each, in the same order; null where there is none.
    /// A result reaches the caller only on the node that was asked.</summary>
    /// <param name="commands">At least one; valid until the returned task completes.</param>
    /// <param name="cancellation">Cancelled when the server stops.</param>
    ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation);

    /// <summary>A picture of the state as of the last applied command, to be written while commands go on. Called on the shard
    /// between two calls of ApplyAsync; returns at once: copy on write, not a copy. One picture is taken at a time.</summary>
    IStateSnapshot TakeSnapshot();

    /// <summary>Replaces the whole state by one that a picture wrote, of this or of another server, of this release or the one
    /// before. All or nothing: on failure the state may not be a mixture (the server stops anyway).</summary>
    /// <param name="content">Read once, to its end. Its bytes have been verified against their hash before.</param>
    /// <param name="cancellation">Cancelled when the server stops.</param>
    ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation);
}

/// <summary>A result that is large. The server keeps results for a moment, and counts strings and bytes by their length, other
/// objects as next to nothing: one that holds more says how much.</summary>
public interface ISizedResult
{
    long SizeBytes { get; }
}

/// <summary>A picture of a state machine at one index. Disposed when it is written, or no longer wanted.</summary>
public interface IStateSnapshot : IDisposable
{
    /// <summary>About how many bytes <see cref="WriteAsync"/> will write, so that a storage may refuse one that does not fit before it
    /// begins. 0, the default: not known.</summary>
    long EstimatedBytes => 0;

    /// <summary>Writes the picture. Called once, from any thread, while commands are being applied: it says nothing of them. The
    /// same state may give other bytes on another server.</summary>
    Task WriteAsync(Stream target, CancellationToken cancellation);
}

/// <summary>A committed command. The time stamp is the leader's, in milliseconds since 1970 UTC, and never falls within a group.</summary>
/// <param name="Index">Of the entry in the log; ascending, not dense: the log also holds other entries.</param>
/// <param name="Term">Of the entry.</param>
/// <param name="TimeMs">The time stamp.</param>
/// <param name="Command">The bytes that were given to AddEntryAsync; they stay valid and as they are.</param>
public readonly record struct CommittedCommand(LogIndex Index, Term Term, long TimeMs, ReadOnlyMemory<byte> Command)
{
    /// <summary>A command of the process around the engine (<see cref="EntryKind.System"/>), not of the user's.</summary>
    public bool IsSystem { get; init; }
}

using Raft.Engine.Protocol;

namespace Raft.Engine.Plugins;

/// <summary>The user's own state, driven by the log.</summary>
/// <remarks>
/// <c>StateMachineContract</c> tests each line.
/// Order: committed commands come in log order, each once while the process runs. After a restart they come again from
/// the beginning of the log (or the last snapshot): in-memory state is rebuilt, durable state must recognise what it has.
/// Deterministic: the state and the results depend on nothing but the commands, their index, term and time stamp.
/// One call at a time, on the group's shard; long work may be awaited and delays neither replication nor heartbeats.
/// A failed task stops the server: its state can no longer be trusted.
/// </remarks>
public interface IStateMachine
{
    /// <summary>Applies commands in order and gives one result for each, in the same order; null where there is none.
    /// A result reaches the caller only on the node that was asked.</summary>
    ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation);
}

/// <summary>A committed command. The time stamp is the leader's, in milliseconds since 1970 UTC, and never falls within a group.</summary>
public readonly record struct CommittedCommand(LogIndex Index, Term Term, long TimeMs, ReadOnlyMemory<byte> Command);

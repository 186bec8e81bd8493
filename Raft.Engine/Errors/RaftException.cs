using Raft.Engine.Protocol;

namespace Raft.Engine.Errors;

/// <summary>What is known of a write when a call on it fails.</summary>
public enum WriteOutcome : byte
{
    /// <summary>It may or may not be committed, now or later.</summary>
    Unknown = 0,

    /// <summary>It was never appended, or provably never will be committed.</summary>
    NotSubmitted = 1,
}

/// <summary>The family of everything that a call on a server can end with. Each says what is known and what to do.</summary>
public abstract class RaftException(string message, WriteOutcome outcome, Exception? inner = null) : Exception(message, inner)
{
    public WriteOutcome Outcome { get; } = outcome;
}

/// <summary>This server does not lead and was told not to forward, or no leader could be asked. Nothing was submitted.</summary>
public sealed class NotLeaderException(ServerId? leader)
    : RaftException(leader is { } known ? $"Not the leader; {known.Node} is. Nothing was submitted: ask there." : "No leader is known at the moment. Nothing was submitted: try again.", WriteOutcome.NotSubmitted)
{
    public ServerId? Leader { get; } = leader;
}

/// <summary>This server is no member of the group. Nothing was submitted.</summary>
public sealed class NotMemberException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

/// <summary>Provably never committed: another entry is committed at its index. Safe to submit again. Rule 11.</summary>
public sealed class DroppedEntryException(EntryId entry)
    : RaftException($"The entry at index {entry.Index} of term {entry.Term} was overtaken by another leader's and will never be committed. It is safe to submit it again.", WriteOutcome.NotSubmitted)
{
    public EntryId Entry { get; } = entry;
}

/// <summary>May or may not commit. Retry only what may happen twice, or with an idempotency key. Rule 11.</summary>
public sealed class CommitStatusUnknownException(string detail, Exception? inner = null) : RaftException(detail, WriteOutcome.Unknown, inner);

/// <summary>The server has stopped, or stopped while the call waited.</summary>
public sealed class StoppedException(string reason, WriteOutcome outcome) : RaftException($"The server has stopped: {reason}", outcome)
{
    public string Reason { get; } = reason;
}

public sealed class ConfigurationChangeInProgressException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

public sealed class InvalidConfigurationException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

/// <summary>The configuration is not the one that the caller expected: it was changed meanwhile. Nothing was submitted: look again.</summary>
public sealed class ConfigurationMovedException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

/// <summary>The server named cannot take leadership over: unknown, no voter, the leader itself, or not alive. Leadership stays.</summary>
public sealed class InvalidTransferTargetException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

/// <summary>Over the limit; nothing was submitted and a retry will not help.</summary>
public sealed class CommandTooBigException(long size, long limit)
    : RaftException($"The command has {size} bytes; the limit is {limit}.", WriteOutcome.NotSubmitted)
{
    public long Size { get; } = size;
    public long Limit { get; } = limit;
}

public sealed class NoOtherVoterException() : RaftException("There is no other voter to hand leadership to.", WriteOutcome.NotSubmitted);

/// <summary>The connection failed after the call was sent: it may have arrived.</summary>
public sealed class TransportException(string detail, Exception? inner = null) : RaftException(detail, WriteOutcome.Unknown, inner);

/// <summary>The call reached no server: the destination cannot be reached, or does not run the group.</summary>
public sealed class DestinationNotAliveException(ServerId destination, string? detail = null)
    : RaftException(detail ?? $"{destination.Node} cannot be reached; nothing was sent.", WriteOutcome.NotSubmitted)
{
    public ServerId Destination { get; } = destination;
}

/// <summary>A quorum is there, but the leader had no room for the entry until the time was up: its log, disk or state machine
/// lags behind what is written. Nothing was submitted: come again later, and slower. Rule 7.</summary>
public sealed class OverloadedException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

/// <summary>The leader takes no commands: its disk is nearly full. Nothing was submitted: come again once there is room.</summary>
public sealed class OutOfSpaceException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

/// <summary>The command would make the state larger than a node's memory allows. Nothing was submitted: what makes the state smaller
/// is still accepted, and so are reads.</summary>
public sealed class OutOfMemoryBudgetException(string detail) : RaftException(detail, WriteOutcome.NotSubmitted);

/// <summary>The caller's time was up, or it cancelled, before anything was submitted (a write) or confirmed (a read). The
/// message names the voters that are not alive when a quorum is missing.</summary>
public sealed class RaftTimeoutException(string detail, WriteOutcome outcome = WriteOutcome.NotSubmitted) : RaftException(detail, outcome);

/// <summary>A server's internals were touched from a thread that is not its shard's: a bug of the caller.</summary>
public sealed class WrongShardException() : RaftException("This belongs to another shard's thread.", WriteOutcome.NotSubmitted);

/// <summary>Stored data does not hold what was once made durable. Names file, offset and remedy.</summary>
public sealed class CorruptStorageException(string file, long offset, string detail, string remedy)
    : RaftException($"{file} is damaged at offset {offset}: {detail}. {remedy}", WriteOutcome.Unknown)
{
    public string File { get; } = file;
    public long Offset { get; } = offset;
    public string Detail { get; } = detail;
    public string Remedy { get; } = remedy;
}

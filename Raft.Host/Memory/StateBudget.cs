using Raft.Engine.Server;

namespace Raft.Host.Memory;

/// <summary>What the states of all groups may take of this node's memory, and what they take. Thread-safe.</summary>
/// <param name="maxBytes">Raft:Limits:MaxStateBytes.</param>
/// <param name="inFlight">Commands that are appended and not yet applied: they are part of a state soon.</param>
public sealed class StateBudget(long maxBytes, MemoryBudget inFlight)
{
    private long _stateBytes;

    public long MaxBytes { get; } = maxBytes;

    /// <summary>Of all groups, as applied.</summary>
    public long StateBytes => Volatile.Read(ref _stateBytes);

    public long InFlightBytes => inFlight.ChargedBytes;

    /// <summary>What another command may add; negative once the others brought more than this node would have accepted.</summary>
    public long FreeBytes => MaxBytes - StateBytes - InFlightBytes;

    /// <summary>A group's state has become larger, or smaller.</summary>
    internal void Add(long bytes) => Interlocked.Add(ref _stateBytes, bytes);
}

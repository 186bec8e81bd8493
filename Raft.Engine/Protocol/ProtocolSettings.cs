namespace Raft.Engine.Protocol;

/// <summary>The fixed numbers of one server of one group.</summary>
public sealed record ProtocolSettings
{
    /// <summary>This server.</summary>
    public required ServerId Self { get; init; }

    /// <summary>How often this data directory was started, this start included.</summary>
    public required long StartCount { get; init; }

    /// <summary>An election is due after a random number of ticks from this to twice this. 3 or more.</summary>
    public int ElectionTicks { get; init; } = 10;

    /// <summary>For how many ticks an append, or a frame, makes a leader count as alive.</summary>
    public int LivenessTimeoutTicks { get; init; } = 8;

    /// <summary>Append requests under way to one peer at the most, in PIPELINE.</summary>
    public int MaxInFlightAppends { get; init; } = 64;

    /// <summary>Bytes of entries under way to one peer at the most, in PIPELINE; one append may exceed it.</summary>
    public int MaxInFlightBytes { get; init; } = 4 << 20;

    /// <summary>Bytes of entries in one append request; a single larger entry goes alone.</summary>
    public int MaxAppendBytes { get; init; } = 256 << 10;

    /// <summary>So many entries before a snapshot stay in the log for lagging peers, within <see cref="SnapshotTrailingBytes"/>.</summary>
    public long SnapshotTrailingEntries { get; init; } = 10_000;

    /// <summary>And at most so many bytes of them.</summary>
    public long SnapshotTrailingBytes { get; init; } = 8 << 20;

    /// <summary>Bytes of recent entries that memory keeps for lagging peers, beside what is not durable or not applied.</summary>
    public long MaxCacheBytes { get; init; } = 16 << 20;
}

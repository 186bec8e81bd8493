namespace Raft.Engine.Protocol;

/// <summary>Limits and timings of one server of one group. <see cref="RaftProtocol"/> checks the ranges when it is made.</summary>
public sealed record ProtocolSettings
{
    private const int TicksMax = 1_000_000;
    private const int AppendsMax = 100_000;
    private const int MessageBytesMax = 1 << 30;

    /// <summary>This server.</summary>
    public required ServerId Self { get; init; }

    /// <summary>How often this data directory was started, this start included. 1 or more.</summary>
    public required long StartCount { get; init; }

    /// <summary>An election is due after a random number of ticks from this to twice this. 3 to 1,000,000.</summary>
    public int ElectionTicks { get; init; } = 10;

    /// <summary>For how many ticks an append, or a frame, makes a leader count as alive. 1 to 1,000,000.</summary>
    public int LivenessTimeoutTicks { get; init; } = 8;

    /// <summary>Append requests under way to one peer at most, in PIPELINE. 1 to 100,000.</summary>
    public int MaxInFlightAppends { get; init; } = 64;

    /// <summary>Bytes of entries under way to one peer at most, in PIPELINE; one append may exceed it. 1 to 1 GiB.</summary>
    public int MaxInFlightBytes { get; init; } = 4 << 20;

    /// <summary>Bytes of entries in one append request; a single larger entry goes alone. 1 to 1 GiB.</summary>
    public int MaxAppendBytes { get; init; } = 256 << 10;

    /// <summary>Up to this many entries before a snapshot stay in the log for lagging peers, within <see cref="SnapshotTrailingBytes"/>.
    /// 0 or more.</summary>
    public long SnapshotTrailingEntries { get; init; } = 10_000;

    /// <summary>And at most this many bytes of them. 0 or more.</summary>
    public long SnapshotTrailingBytes { get; init; } = 8 << 20;

    /// <summary>Bytes of recent entries that memory keeps for lagging peers, beside what is not durable or not applied. 0 or more.</summary>
    public long MaxCacheBytes { get; init; } = 16 << 20;

    /// <summary>Checks that each value is in its range.</summary>
    /// <exception cref="ArgumentException">One is not; the message names the setting, its value and the range.</exception>
    public void Validate()
    {
        if (string.IsNullOrEmpty(Self.Node.Value) || Self.Node.Value.Length > Member.NodeIdCharactersMax)
            throw new ArgumentException($"ProtocolSettings.Self must have a node id of 1 to {Member.NodeIdCharactersMax} characters; it is '{Self.Node}'.", nameof(Self));
        Check(StartCount, 1, long.MaxValue, nameof(StartCount));
        Check(ElectionTicks, 3, TicksMax, nameof(ElectionTicks));
        Check(LivenessTimeoutTicks, 1, TicksMax, nameof(LivenessTimeoutTicks));
        Check(MaxInFlightAppends, 1, AppendsMax, nameof(MaxInFlightAppends));
        Check(MaxInFlightBytes, 1, MessageBytesMax, nameof(MaxInFlightBytes));
        Check(MaxAppendBytes, 1, MessageBytesMax, nameof(MaxAppendBytes));
        Check(SnapshotTrailingEntries, 0, long.MaxValue, nameof(SnapshotTrailingEntries));
        Check(SnapshotTrailingBytes, 0, long.MaxValue, nameof(SnapshotTrailingBytes));
        Check(MaxCacheBytes, 0, long.MaxValue, nameof(MaxCacheBytes));
    }

    private static void Check(long value, long min, long max, string name)
    {
        string range = max == long.MaxValue ? $"{min} or more" : $"{min} to {max}";
        if (value < min || value > max)
            throw new ArgumentOutOfRangeException(name, value, $"ProtocolSettings.{name} must be {range}; it is {value}.");
    }
}

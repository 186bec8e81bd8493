using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Settings;
using Raft.Host.StateMachine;

namespace Raft.Host.Hosting;

/// <summary>What the options mean to the engine.</summary>
internal static class ServerSettings
{
    public static RaftServerSettings Of(RaftOptions options, ServerId self, long startCount, long trailingBytesMax) => new()
    {
        Protocol = new ProtocolSettings
        {
            Self = self,
            StartCount = startCount,
            ElectionTicks = options.ElectionTicks,
            LivenessTimeoutTicks = (options.FailureDetector.TimeoutMs + options.TickMs - 1) / options.TickMs,
            MaxInFlightAppends = options.Limits.MaxInFlightAppends,
            MaxAppendBytes = options.Limits.MaxAppendBytes,
            MaxCacheBytes = options.Limits.MaxCacheBytes,
            SnapshotTrailingEntries = options.Limits.SnapshotTrailingEntries,
            SnapshotTrailingBytes = Math.Min(options.Limits.SnapshotTrailingBytes, trailingBytesMax),
        },
        Tick = TimeSpan.FromMilliseconds(options.TickMs),
        RandomSeed = Random.Shared.Next(),
        // The option is about bodies; what is stored has the store's header before it.
        MaxCommandBytes = options.Limits.MaxCommandBytes + StoreCommands.HeaderBytesMax,
        MaxUncommittedBytes = options.Limits.MaxUncommittedBytes,
        MaxWaitingBytes = options.Limits.MaxUncommittedBytes,       // as much again may wait
        // A forwarded write that finds no room is refused while its client still listens.
        ForwardTimeout = TimeSpan.FromMilliseconds(options.RequestTimeoutMs * 0.75),
        SnapshotFloorBytes = options.Limits.SnapshotFloorBytes,
        MaxLogDiskBytes = options.Limits.MaxLogDiskBytes,
        SnapshotChunkBytes = options.Limits.SnapshotChunkBytes,
        SnapshotSendBytesPerSecond = options.Limits.SnapshotSendBytesPerSecond,
        MaxClockLeap = TimeSpan.FromMilliseconds(options.Clock.MaxLeapMs),
        ClockConfirmation = TimeSpan.FromMilliseconds(options.Clock.ConfirmMs),
        DiskStall = TimeSpan.FromMilliseconds(options.DiskStallMs),
    };
}

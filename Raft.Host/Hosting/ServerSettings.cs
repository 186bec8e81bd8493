using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>What the options mean to the engine.</summary>
internal static class ServerSettings
{
    public static RaftServerSettings Of(RaftOptions options, ServerId self, long startCount) => new()
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
        },
        Tick = TimeSpan.FromMilliseconds(options.TickMs),
        RandomSeed = Random.Shared.Next(),
        MaxCommandBytes = options.Limits.MaxCommandBytes,
        MaxUncommittedBytes = options.Limits.MaxUncommittedBytes,
        DiskStall = TimeSpan.FromMilliseconds(options.DiskStallMs),
    };
}

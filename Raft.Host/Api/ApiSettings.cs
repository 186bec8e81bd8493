using System.Reflection;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>What the interface needs to know of the configuration.</summary>
public sealed record ApiSettings
{
    public required string NodeId { get; init; }
    public string ClusterId { get; init; } = "raft";
    public int RequestTimeoutMs { get; init; } = 5000;
    public int MaxCommandBytes { get; init; } = 1 << 20;
    public int IdempotencyMaxKeys { get; init; } = 100_000;
    public int IdempotencyMinAgeSeconds { get; init; } = 600;
    public long JournalMaxEntries { get; init; } = 1_000_000;
    public long JournalMaxBytes { get; init; } = 256L << 20;

    /// <summary>Of this build.</summary>
    public static string Version { get; } =
        typeof(ApiSettings).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    public static ApiSettings Of(RaftOptions options) => new()
    {
        NodeId = options.NodeId,
        ClusterId = options.ClusterId,
        RequestTimeoutMs = options.RequestTimeoutMs,
        MaxCommandBytes = options.Limits.MaxCommandBytes,
        IdempotencyMaxKeys = options.Idempotency.MaxKeys,
        IdempotencyMinAgeSeconds = options.Idempotency.MinAgeSeconds,
        JournalMaxEntries = options.Journal.MaxEntries,
        JournalMaxBytes = options.Journal.MaxBytes,
    };
}

namespace Raft.Host.Hosting;

/// <summary>The words of this folder; event ids 2200 to 2299.</summary>
internal static partial class HostingLog
{
    [LoggerMessage(2201, LogLevel.Information, "Cluster '{Cluster}' formed: uid {Uid}, members {Members}")]
    public static partial void Formed(this ILogger logger, string cluster, ClusterUid uid, string members);

    [LoggerMessage(2202, LogLevel.Information, "Cluster '{Cluster}' adopted: uid {Uid}, members {Members}")]
    public static partial void Adopted(this ILogger logger, string cluster, ClusterUid uid, string members);

    [LoggerMessage(2203, LogLevel.Information, "{Reason}")]
    public static partial void WaitsToForm(this ILogger logger, string reason);

    [LoggerMessage(2204, LogLevel.Warning, "{Reason}")]
    public static partial void CannotForm(this ILogger logger, string reason);

    [LoggerMessage(2205, LogLevel.Information, "Node {Node} takes part: storage {Storage}, start {Start}, cluster uid {Uid}")]
    public static partial void TakesPart(this ILogger logger, string node, string storage, long start, ClusterUid uid);

    [LoggerMessage(2206, LogLevel.Warning, "Raft:Members differs from the configuration in the log, which wins: {Difference}")]
    public static partial void MembersDiffer(this ILogger logger, string difference);

    [LoggerMessage(2290, LogLevel.Critical, "Quarantine: the process stays up, and takes no part. {Reason}")]
    public static partial void Quarantined(this ILogger logger, string reason);

    [LoggerMessage(2291, LogLevel.Critical, "The node stops: {Reason}")]
    public static partial void Stops(this ILogger logger, Exception? error, string reason);

    [LoggerMessage(2292, LogLevel.Warning, "Stopping: {What} failed")]
    public static partial void StopStepFailed(this ILogger logger, Exception error, string what);
}

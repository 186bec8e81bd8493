namespace Raft.Host.Api;

/// <summary>Event ids 2300 to 2399.</summary>
internal static partial class ApiLog
{
    [LoggerMessage(2301, LogLevel.Error, "{Method} {Path} failed: a fault of this node")]
    public static partial void RequestFailed(this ILogger logger, Exception error, string method, string path);
}

using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Words of this folder: 2100-2199.</summary>
internal static partial class PeerLog
{
    [LoggerMessage(2101, LogLevel.Debug, "Peer {Peer}: {Stream} stream is up ({Url})")]
    public static partial void Connected(this ILogger logger, ServerId peer, StreamKind stream, string url);

    [LoggerMessage(2102, LogLevel.Debug, "Peer {Peer}: {Stream} stream is down: {Reason}")]
    public static partial void Disconnected(this ILogger logger, ServerId peer, StreamKind stream, string reason);

    [LoggerMessage(2103, LogLevel.Warning, "Peer {Peer} at {Url} does not take part: {Text}")]
    public static partial void RefusedByPeer(this ILogger logger, string peer, string url, string text);

    [LoggerMessage(2104, LogLevel.Warning, "A peer at {Remote} ({Node}) is refused: {Text}")]
    public static partial void RefusedPeer(this ILogger logger, string remote, string node, string text);

    [LoggerMessage(2105, LogLevel.Warning, "Peer {Node} at {Remote}: {Stream} connection closed, {Fault} frame: {Detail}. If it comes again, compare both nodes' releases and look for what else talks to the peer port.")]
    public static partial void BadFrame(this ILogger logger, string node, string remote, StreamKind stream, BadFrame fault, string detail);

    [LoggerMessage(2106, LogLevel.Debug, "Peer {Peer}: {Stream} stream accepted, start {Start}")]
    public static partial void Accepted(this ILogger logger, ServerId peer, StreamKind stream, long start);

    [LoggerMessage(2107, LogLevel.Debug, "Peer {Peer}: accepted {Stream} stream ended: {Reason}")]
    public static partial void Ended(this ILogger logger, ServerId peer, StreamKind stream, string reason);

    [LoggerMessage(2108, LogLevel.Information, "Peer {Peer} cannot be reached. Tried: {Addresses}")]
    public static partial void Unreachable(this ILogger logger, ServerId peer, string addresses);

    [LoggerMessage(2109, LogLevel.Information, "Peer {Peer} is reached again at {Url}")]
    public static partial void ReachedAgain(this ILogger logger, ServerId peer, string url);

    [LoggerMessage(2110, LogLevel.Warning, "Peer {Peer} is slow: its {Stream} queue is full and messages are dropped; they are sent again later")]
    public static partial void QueueFull(this ILogger logger, ServerId peer, StreamKind stream);

    [LoggerMessage(2111, LogLevel.Error, "Group {Group}: a handler failed on what peer {Peer} sent")]
    public static partial void HandlerFailed(this ILogger logger, Exception error, GroupId group, ServerId peer);

    [LoggerMessage(2112, LogLevel.Error, "Peer {Peer}: the {Stream} link failed unexpectedly; it goes on")]
    public static partial void LinkFailed(this ILogger logger, Exception error, ServerId peer, StreamKind stream);

    [LoggerMessage(2113, LogLevel.Error, "The liveness exchange failed unexpectedly; it goes on")]
    public static partial void LivenessFailed(this ILogger logger, Exception error);
}

namespace Raft.Host.Peers;

/// <summary>The bytes of a peer break the rules. It ends that connection, never more.</summary>
internal sealed class BadFrameException(BadFrame reason, string detail) : Exception(detail)
{
    public BadFrame Reason { get; } = reason;

    public static BadFrameException Malformed(string detail) => new(BadFrame.Malformed, detail);
}

internal enum BadFrame : byte
{
    Malformed,
    Oversized,

    /// <summary>Of or for another server than the handshake named.</summary>
    Foreign,
}

namespace Raft.Host.Peers;

/// <summary>What a frame holds. Numbers are on the wire and never reused.</summary>
internal enum FrameKind : byte
{
    Hello = 1,
    Welcome = 2,
    Goodbye = 3,
    Sequence = 4,
    Liveness = 5,

    AppendRequest = 16,
    AppendReply = 17,
    VoteRequest = 18,
    VoteReply = 19,
    ReadQuorumRequest = 20,
    ReadQuorumReply = 21,
    TimeoutNow = 22,

    Call = 32,
    CallReply = 33,

    /// <summary>The answer to a call of a group that does not run here: nobody heard it.</summary>
    NoSuchGroup = 34,

    /// <summary>A piece of a snapshot; on the snapshot stream.</summary>
    SnapshotChunk = 48,

    /// <summary>Its answer; in the response of that stream.</summary>
    SnapshotReply = 49,
}

/// <summary>The streams from one node to another, each on a connection of its own.</summary>
internal enum StreamKind : byte
{
    /// <summary>Liveness, votes, acknowledgements, read quorums: small, and never behind bulk.</summary>
    Control = 1,

    /// <summary>Entries, forwarded calls and their replies.</summary>
    Bulk = 2,

    /// <summary>Snapshots. Open only while there is one to send.</summary>
    Snapshot = 3,
}

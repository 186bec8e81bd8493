namespace Raft.Engine.Protocol;

/// <summary>What one poll asks of the server, in the order of the work.</summary>
/// <param name="Number">1, 2, 3, ...: <see cref="RaftProtocol.OnDurable"/> names it.</param>
/// <param name="SendAtOnce">A leader's append and read-quorum requests, and answers that promise nothing new. PhD 10.2.1</param>
/// <param name="Persist">Term and vote, truncation, entries: one atomic write. Null: nothing to write.</param>
/// <param name="SendWhenDurable">Votes, requests for votes and acknowledgements: each vouches for this batch and all before it. PhD 3.8</param>
/// <param name="CommitIndex">Set if it moved: a quorum decides, our own disk may be behind. PhD 10.2.1</param>
/// <param name="ToApply">Committed and durable here; contiguous, each entry once.</param>
/// <param name="ReadsReady">Read barriers that a read quorum has confirmed (this server is leader).</param>
/// <param name="ReadsFailed">Read barriers that ended because this server no longer leads.</param>
/// <param name="EntriesWanted">Older entries that memory does not hold and a lagging peer needs, or, with this server
/// itself as the peer, its own state machine after a start.</param>
/// <param name="SnapshotToLoad">The state machine loads it in place of the entries that it covers, after all entries of earlier
/// batches and before those of this one: it is in force and durable. Also the first thing after a start.</param>
/// <param name="SnapshotsToSend">Peers that need a snapshot: one transfer each, which ends in OnSnapshotSent.</param>
/// <param name="AbortTransfers">All transfers under way end before this batch's messages leave: term, vote or leadership changed. Rule 6.</param>
/// <param name="LostData">Members found, after a restart of theirs, to lack what they had acknowledged: their disks lost data. Rule 13.</param>
/// <param name="ConfigurationInForce">Set when it changed, also back by truncation: it counts from append. PhD 4.1</param>
/// <param name="RoleChange">Set when role, term or known leader changed.</param>
public sealed record OutputBatch(
    long Number,
    IReadOnlyList<Message> SendAtOnce,
    PersistRequest? Persist,
    IReadOnlyList<Message> SendWhenDurable,
    LogIndex? CommitIndex,
    IReadOnlyList<Entry> ToApply,
    IReadOnlyList<ReadReady> ReadsReady,
    IReadOnlyList<ReadId> ReadsFailed,
    IReadOnlyList<EntriesWanted> EntriesWanted,
    SnapshotDescriptor? SnapshotToLoad,
    IReadOnlyList<SnapshotToSend> SnapshotsToSend,
    bool AbortTransfers,
    IReadOnlyList<ServerId> LostData,
    Configuration? ConfigurationInForce,
    RoleChange? RoleChange);

/// <summary>A confirmed read barrier: what is applied up to <paramref name="Index"/> may be read.</summary>
public readonly record struct ReadReady(ReadId ReadId, LogIndex Index);

/// <summary>Please read entries [<paramref name="From"/>, <paramref name="To"/>] from storage, at most about
/// <paramref name="MaxBytes"/> but at least one, and hand them to <see cref="RaftProtocol.OnEntriesRead"/>.</summary>
public readonly record struct EntriesWanted(ServerId Peer, LogIndex From, LogIndex To, int MaxBytes);

/// <summary>Please send this snapshot to the peer, as the leader of <paramref name="Term"/>.</summary>
public readonly record struct SnapshotToSend(ServerId Peer, Term Term, SnapshotDescriptor Snapshot);

public readonly record struct RoleChange(Role Role, Term Term, ServerId? Leader);

public enum Role : byte
{
    Follower = 0,
    PreCandidate = 1,
    Candidate = 2,
    Leader = 3,
}

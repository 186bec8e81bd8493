namespace Raft.Engine.Protocol;

/// <summary>What one server of a group says to another. The group is named by whoever carries it.</summary>
/// <param name="From">Who says it.</param>
/// <param name="To">To which server, disk included: another disk under the same node id must not read it. Rule 12.</param>
/// <param name="Term">The sender's term; in a pre-vote request and its grant the term asked about. PhD 3.3, 9.6</param>
public abstract record Message(ServerId From, ServerId To, Term Term)
{
    /// <summary>The sender's start count. Set by the protocol; the transport takes it from the connection's handshake
    /// and never from the frame.</summary>
    public long SenderStart { get; init; }
}

/// <summary>Entries, or none: then it is the heartbeat of rule 4. PhD 3.5</summary>
public sealed record AppendRequest(
    ServerId From, ServerId To, Term Term,
    LogIndex PreviousIndex, Term PreviousTerm, LogIndex CommitIndex, IReadOnlyList<Entry> Entries) : Message(From, To, Term)
{
    /// <summary>
    /// Not an append: it says that the receiver is not a member as of the previous index, which is committed. Its one entry is the
    /// configuration in force there, at its own index, which is not behind the previous one: so it cannot be appended, and a
    /// release that does not know the notice rejects it as an append of an older term: it has term 0. Rule 8
    /// </summary>
    public bool IsRemovalNotice => Entries.Count == 1 && Entries[0].Kind == EntryKind.Configuration && Entries[0].Index <= PreviousIndex;

    internal static AppendRequest RemovalNotice(
        ServerId from, ServerId to, LogIndex committed, Term committedTerm, LogIndex configurationIndex, Configuration configuration) =>
        new(from, to, Term.Zero, committed, committedTerm, committed,
            [new Entry(configurationIndex, Term.Zero, EntryKind.Configuration, timeMs: 0, configuration.Encode())]);
}

/// <summary>
/// The answer to an append. <paramref name="MatchIndex"/> is known to match the leader's log of this term and is durable;
/// <paramref name="ReceivedIndex"/> matches too and may still be on its way to the disk, so that a slow disk is not
/// taken for a dead member (rule 4). With a <paramref name="Rejection"/> neither says anything.
/// </summary>
public sealed record AppendReply(
    ServerId From, ServerId To, Term Term,
    LogIndex MatchIndex, LogIndex ReceivedIndex, LogIndex CommitIndex, AppendRejection? Rejection) : Message(From, To, Term);

/// <summary>Why an append did not match, and where to go on. Rule 5.</summary>
/// <param name="PreviousIndex">The request's previous index, so that a stale rejection is known as one.</param>
/// <param name="LastIndex">The follower's last index.</param>
/// <param name="ConflictTerm">The follower's term at the previous index; null when its log ends before.</param>
/// <param name="ConflictFirstIndex">The first index of that term in the follower's log.</param>
public sealed record AppendRejection(LogIndex PreviousIndex, LogIndex LastIndex, Term? ConflictTerm, LogIndex ConflictFirstIndex);

/// <summary>Asks for a vote, or, as a pre-vote, whether one would be granted. PhD 3.4, 9.6</summary>
/// <param name="IsTransfer">Set only by the receiver of a timeout-now: a live leader does not protect against it. Rule 4.</param>
public sealed record VoteRequest(
    ServerId From, ServerId To, Term Term,
    LogIndex LastIndex, Term LastTerm, bool IsPreVote, bool IsTransfer) : Message(From, To, Term);

public sealed record VoteReply(ServerId From, ServerId To, Term Term, bool IsGranted, bool IsPreVote) : Message(From, To, Term);

/// <summary>A leader asks whether it still leads, for read barriers up to <paramref name="ReadId"/>. PhD 6.4</summary>
public sealed record ReadQuorumRequest(ServerId From, ServerId To, Term Term, ReadId ReadId, LogIndex CommitIndex) : Message(From, To, Term);

public sealed record ReadQuorumReply(ServerId From, ServerId To, Term Term, ReadId ReadId) : Message(From, To, Term);

/// <summary>The leader asks the receiver to campaign at once. PhD 3.10</summary>
public sealed record TimeoutNow(ServerId From, ServerId To, Term Term) : Message(From, To, Term);

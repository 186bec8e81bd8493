using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>Nothing leaves before what it promises is durable. Rule 1.</summary>
internal sealed class DurablePromises(GroupLedger ledger) : IInvariant
{
    public string? OnSent(SimulatedServer sender, Message message)
    {
        DurableShadow disk = ledger.ShadowOf(sender.Id);
        bool isKept = message switch
        {
            // A vote: for this one, in this term, or a later term is durable and the vote is history.
            VoteReply { IsGranted: true, IsPreVote: false } reply => disk.TermAndVote.Term > reply.Term || disk.TermAndVote == new TermAndVote(reply.Term, reply.To),
            VoteRequest { IsPreVote: false } request => (disk.TermAndVote.Term > request.Term || disk.TermAndVote == new TermAndVote(request.Term, sender.Id)) && HasTail(disk, request),
            VoteRequest request => HasTail(disk, request),
            AppendReply { Rejection: null } reply => disk.TermAndVote.Term >= reply.Term && disk.LastIndex >= reply.MatchIndex,
            AppendRequest request => disk.TermAndVote.Term >= request.Term,
            ReadQuorumRequest request => disk.TermAndVote.Term >= request.Term,
            _ => true,
        };
        return isKept ? null : $"{sender} sends what its disk does not hold (term {disk.TermAndVote.Term}, vote {disk.TermAndVote.Vote}, log to {disk.LastIndex}): {message}";
    }

    public string? OnChunkAnswered(SimulatedServer sender, SnapshotChunk chunk, SnapshotReply reply)
    {
        DurableShadow disk = ledger.ShadowOf(sender.Id);
        return reply.Status != SnapshotStatus.Installed || (disk.LastIndex >= reply.MatchIndex && disk.TermAndVote.Term >= reply.Term)
            ? null
            : $"{sender} says that its log matches up to {reply.MatchIndex} in term {reply.Term}; its disk holds term {disk.TermAndVote.Term} and its log to {disk.LastIndex}";
    }

    /// <summary>The log that the voters judge is on the disk. A later one may be by now.</summary>
    private static bool HasTail(DurableShadow disk, VoteRequest request) =>
        disk.LastIndex >= request.LastIndex && (disk.TermAt(request.LastIndex) is not { } term || term == request.LastTerm);
}

using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>A disk votes for one candidate a term at the most, whatever crashes come between; its term never falls. PhD 3.8</summary>
internal sealed class OneVoteATerm(GroupLedger ledger) : IInvariant
{
    private readonly Dictionary<(ServerId, Term), ServerId> _votes = [];
    private readonly Dictionary<ServerId, TermAndVote> _durable = [];

    public string? OnSent(SimulatedServer sender, Message message) => message switch
    {
        VoteReply { IsGranted: true, IsPreVote: false } reply => Vote(sender, reply.Term, reply.To),
        VoteRequest { IsPreVote: false } request => Vote(sender, request.Term, sender.Id),
        _ => null,
    };

    public string? OnDurable(SimulatedServer server, PersistRequest request)
    {
        if (request.TermAndVote is not { } now || ledger.ShadowOf(server.Id).IsSuspect)
            return null;

        TermAndVote before = _durable.GetValueOrDefault(server.Id);
        _durable[server.Id] = now;
        if (now.Term < before.Term)
            return $"the durable term of {server} fell from {before.Term} to {now.Term}";
        return now.Term == before.Term && before.Vote is not null && now.Vote != before.Vote
            ? $"the durable vote of {server} in term {now.Term} changed from {before.Vote} to {now.Vote}"
            : null;
    }

    private string? Vote(SimulatedServer voter, Term term, ServerId candidate) =>
        _votes.TryAdd((voter.Id, term), candidate) || _votes[(voter.Id, term)] == candidate
            ? null
            : $"{voter} voted for {_votes[(voter.Id, term)]} and for {candidate} in term {term}";
}

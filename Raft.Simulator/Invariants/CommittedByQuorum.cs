using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>What a leader holds for committed is on the disks of a quorum at that moment, and of its own term. PhD 3.6.2, 4.3</summary>
internal sealed class CommittedByQuorum(GroupLedger ledger) : IInvariant
{
    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        if (before is not { Role: Role.Leader } || before.Term != now.Term || now.CommitIndex <= before.CommitIndex)
            return null;
        if (server.TermAt(now.CommitIndex) is not { } term)
            return null;
        if (term != now.Term)
            return $"{server} committed {now.CommitIndex} of term {term} by counting, as leader of term {now.Term}";

        // Whatever else came in the same turn: one of the two was in force when it counted.
        return Holds(before.Configuration, now.CommitIndex, term) || Holds(now.Configuration, now.CommitIndex, term)
            ? null
            : $"{server} committed {now.CommitIndex} of term {term}, which no quorum has on its disks";
    }

    private bool Holds(Configuration configuration, LogIndex index, Term term) =>
        HasMajority(configuration.Current, index, term) && (!configuration.IsJoint || HasMajority(configuration.Previous, index, term));

    private bool HasMajority(IReadOnlyList<Member> members, LogIndex index, Term term)
    {
        int voters = 0;
        int holders = 0;
        foreach (Member member in members)
        {
            if (member.Kind != MemberKind.Voter)
                continue;
            voters++;
            DurableShadow shadow = ledger.ShadowOf(member.Id);
            if (shadow.IsSuspect || shadow.Holds(index, term))
                holders++;
        }

        return holders > voters / 2;
    }
}

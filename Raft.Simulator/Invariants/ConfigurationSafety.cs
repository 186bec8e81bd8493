using System.Numerics;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>Any quorum of a configuration meets any quorum of the one before it in the log: no two leaders can be elected side by side. PhD 4.1</summary>
internal sealed class ConfigurationSafety(GroupLedger ledger) : IInvariant
{
    private readonly HashSet<(EntryId, EntryId)> _seen = [];

    public string? OnDurable(SimulatedServer server, PersistRequest request)
    {
        foreach (Entry entry in request.Entries)
        {
            if (entry.Kind != EntryKind.Configuration || ledger.ShadowOf(server.Id).ConfigurationBefore(entry.Index) is not { } before
                || !_seen.Add((before.Id, entry.Id)))
            {
                continue;
            }

            var next = Configuration.Decode(entry.Payload.Span);
            if (!DoMeet(before.Configuration, next))
                return $"the configuration at {entry.Index} of term {entry.Term} has a quorum without any server of a quorum of the one at {before.Id.Index} before it";
        }

        return null;
    }

    /// <summary>By trying every split of all voters into two.</summary>
    internal static bool DoMeet(Configuration a, Configuration b)
    {
        List<ServerId> voters = [.. new[] { a.Current, a.Previous, b.Current, b.Previous }
            .SelectMany(static members => members).Where(static member => member.Kind == MemberKind.Voter).Select(static member => member.Id).Distinct()];
        (uint aNow, uint aBefore, uint bNow, uint bBefore) = (MaskOf(a.Current), MaskOf(a.Previous), MaskOf(b.Current), MaskOf(b.Previous));
        for (uint side = 0; side < 1u << voters.Count; side++)
        {
            if (IsQuorum(side, aNow, a.IsJoint ? aBefore : null) && IsQuorum(~side, bNow, b.IsJoint ? bBefore : null))
                return false;
        }

        return true;

        uint MaskOf(IReadOnlyList<Member> members) => members.Where(static member => member.Kind == MemberKind.Voter)
            .Aggregate(0u, (mask, member) => mask | (1u << voters.IndexOf(member.Id)));
    }

    private static bool IsQuorum(uint servers, uint now, uint? before) =>
        IsMajority(servers, now) && (before is not { } previous || IsMajority(servers, previous));

    private static bool IsMajority(uint servers, uint of) => BitOperations.PopCount(servers & of) > BitOperations.PopCount(of) / 2;
}

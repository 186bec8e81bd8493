using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Model;

/// <summary>Quorums as the dissertation defines them: sets of servers. PhD 3.4, 4.3</summary>
internal static class Naive
{
    /// <summary>More than half of the voters of the current set and, while joint, of the previous one.</summary>
    public static bool IsQuorum(Configuration configuration, IReadOnlySet<ServerId> servers) =>
        IsMajority(configuration.Current, servers) && (configuration.Previous.Count == 0 || IsMajority(configuration.Previous, servers));

    private static bool IsMajority(IReadOnlyList<Member> members, IReadOnlySet<ServerId> servers)
    {
        HashSet<ServerId> voters = [.. members.Where(member => member.Kind == MemberKind.Voter).Select(member => member.Id)];
        return voters.Count(servers.Contains) > voters.Count / 2.0;
    }

    /// <summary>The highest index that everyone of some quorum holds.</summary>
    public static long IndexOnQuorum(Configuration configuration, IReadOnlyDictionary<ServerId, long> held)
    {
        long highest = 0;
        for (long index = 1; index <= held.Values.DefaultIfEmpty(0).Max(); index++)
        {
            HashSet<ServerId> holders = [.. held.Where(one => one.Value >= index).Select(one => one.Key)];
            if (IsQuorum(configuration, holders))
                highest = index;
        }

        return highest;
    }

    /// <summary>Whether every quorum of the one has a server in common with every quorum of the other.</summary>
    public static bool AlwaysMeet(Configuration one, Configuration other)
    {
        ServerId[] servers = [.. one.All.Concat(other.All).Select(member => member.Id).Distinct()];
        for (int chosen = 0; chosen < 1 << servers.Length; chosen++)
        {
            // Two quorums that do not meet lie in a set and in the rest of it.
            HashSet<ServerId> some = [.. servers.Where((_, i) => (chosen & (1 << i)) != 0)];
            HashSet<ServerId> rest = [.. servers.Except(some)];
            if (IsQuorum(one, some) && IsQuorum(other, rest))
                return false;
        }

        return true;
    }
}

using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>Which nodes every group can do without.</summary>
/// <remarks>
/// <para>A group must be live without a set of nodes L when in each set of voters that decides anything, now or as a consequence
/// of what is in the logs, a majority is on intact disks of nodes outside of L. Those sets are, for the committed configuration and
/// for each later one in any log (it may be in force somewhere): the current voters; while joint the voters before; the voters of
/// what is wanted (the target, or those that join as the voters they will be); and, since those that join are promoted one by one,
/// the current voters with the members of L that join.</para>
/// <para>Then the rest can elect: each committed entry is on a disk of every majority, so the one of the rest with the longest log
/// has all of them, and the rest's votes are a majority of each set. It can commit and confirm reads for the same reason; and a
/// change of members asked for by the rest can finish, because each configuration on its way keeps such a majority.</para>
/// <para>Of a cut link it is enough that the group can do without each of its ends alone: whoever leads loses at most the answers
/// of the other end. Nothing is expected of calls that are made on those ends themselves: the node that does not hear the leader
/// rightly refuses them, and its pre-votes change nothing.</para>
/// </remarks>
internal static class Tolerance
{
    /// <summary>All groups are live without any one of these sets of nodes.</summary>
    public static bool CanBear(SimulatedCluster cluster, IReadOnlyList<IReadOnlyList<SimulatedNode>> lost) =>
        lost.All(set => cluster.Groups.TrueForAll(group => ConfigurationsOf(group).All(configuration => CanBear(cluster, configuration, set))));

    /// <summary>The members that are wanted keep a majority without any one of these sets, also while those that are no voters yet join.</summary>
    public static bool CanBear(SimulatedCluster cluster, Configuration now, IReadOnlyList<Member> wanted, IReadOnlyList<IReadOnlyList<SimulatedNode>> lost)
    {
        // While somebody joins on a new disk only the others vote.
        List<Member> voting = [.. wanted.Where(member => member.Kind == MemberKind.Voter && now.Current.Any(known => known.Id == member.Id && known.Kind == MemberKind.Voter))];
        return lost.Append([]).All(set =>
        {
            HashSet<ServerId> counting = Counting(cluster, set);
            return HasMajority(wanted, counting) && HasMajority(voting, counting);
        });
    }

    private static Configuration[] ConfigurationsOf(SimulatedGroup group)
    {
        Configuration[] live = [.. group.Ledger.LiveConfigurations];
        return live.Length > 0 ? live : [group.First];
    }

    private static bool CanBear(SimulatedCluster cluster, Configuration configuration, IReadOnlyList<SimulatedNode> lost)
    {
        HashSet<ServerId> counting = Counting(cluster, lost);
        IEnumerable<Member> joiningLost = configuration.Current.Where(member => member.Kind == MemberKind.Joining && !counting.Contains(member.Id)).Select(AsVoter);
        IReadOnlyList<Member> goal = configuration.Target.Count > 0 ? configuration.Target : configuration.Current;
        return HasMajority(configuration.Current, counting)
            && (!configuration.IsJoint || HasMajority(configuration.Previous, counting))
            && HasMajority([.. goal.Select(AsVoter)], counting)
            && HasMajority([.. configuration.Current.Where(member => member.Kind == MemberKind.Voter), .. joiningLost], counting);
    }

    private static HashSet<ServerId> Counting(SimulatedCluster cluster, IReadOnlyList<SimulatedNode> lost) =>
        [.. cluster.Nodes.Where(node => !lost.Contains(node) && !node.IsQuarantined && !node.Storage.IsDamaged).Select(node => node.Server)];

    private static bool HasMajority(IReadOnlyList<Member> members, HashSet<ServerId> counting)
    {
        int voters = members.Count(member => member.Kind == MemberKind.Voter);
        return members.Count(member => member.Kind == MemberKind.Voter && counting.Contains(member.Id)) > voters / 2;
    }

    private static Member AsVoter(Member member) => member.Kind == MemberKind.Joining ? member with { Kind = MemberKind.Voter } : member;
}

namespace Raft.Engine.Protocol;

/// <summary>What a change of members comes to: pure arithmetic on configurations. Rule 8.</summary>
internal static class MembershipRules
{
    private const int NodeIdCharactersMax = 63;
    private const int MembersMax = 1000;

    /// <summary>What the members are on their way to: the target, or the members with those that join as the voters they are to be.</summary>
    public static IReadOnlyList<Member> GoalOf(Configuration configuration) =>
        configuration.Target.Count > 0 ? configuration.Target : [.. configuration.Current.Select(AsVoter)];

    /// <summary>The whole set that a change wants, by node id; null with the reason when it makes no sense.</summary>
    public static List<Member>? WantedBy(MembershipChange change, IReadOnlyList<Member> goal, out string fault)
    {
        List<Member> wanted = [.. (change.Set ?? goal).Select(AsVoter)];
        foreach (ServerId removed in change.Remove)
        {
            int count = wanted.RemoveAll(member => Names(removed, member.Id));
            if (count == 0 && removed.Storage == default && !change.Add.Any(member => member.Node == removed.Node))
            {
                fault = $"'{removed.Node}' is no member.";
                return null;
            }
        }

        foreach (Member added in change.Add)
        {
            wanted.RemoveAll(member => member.Node == added.Node);
            wanted.Add(AsVoter(added));
        }

        wanted.Sort((a, b) => string.CompareOrdinal(a.Node.Value, b.Node.Value));
        fault = FaultOf(wanted);
        return fault.Length == 0 ? wanted : null;
    }

    /// <summary>The first configuration of a change from a settled or joining one; null when there is nothing to change.</summary>
    /// <remarks>
    /// 1. Nobody becomes a voter: the wanted set at once, through a joint configuration when a voter leaves.
    /// 2. Somebody does, on a new disk of a known node: the old disk leaves now, since it will not come back, and the new one joins.
    /// 3. Somebody does: it joins first, and all else that is wanted waits as the target. So the quorum never counts a server
    ///    that is not there.
    /// 4. Forced: the wanted set at once, whoever is there.
    /// </remarks>
    public static Configuration? FirstStep(Configuration now, List<Member> wanted, bool isForced)
    {
        List<Member> joining = [.. wanted.Where(member => member.Kind == MemberKind.Voter && !IsVoter(now.Current, member.Id))];
        if (isForced || joining.Count == 0)
            return Step(now, wanted);

        bool isOnNewDisk = joining.Exists(member => now.Current.Any(other => other.Node == member.Node && other.Storage != member.Storage));
        if (isOnNewDisk)
            return Step(now, [.. wanted.Select(member => joining.Contains(member) ? member with { Kind = MemberKind.Joining } : member)]);

        List<Member> withJoining = [.. now.Current];
        foreach (Member member in joining)
        {
            withJoining.RemoveAll(other => other.Id == member.Id);
            withJoining.Add(member with { Kind = MemberKind.Joining });
        }

        bool isAll = AreSame([.. withJoining.Select(AsVoter)], wanted);
        Configuration step = Configuration.Of(withJoining) with { Target = isAll ? [] : wanted };
        return AreSame(step.Current, now.Current) && AreSame(step.Target, now.Target) ? null : step;
    }

    /// <summary>To these members in one step: joint when the set of voters changes, else simple.</summary>
    public static Configuration? Step(Configuration now, IReadOnlyList<Member> members)
    {
        if (AreSame(now.Current, members) && now.Target.Count == 0)
            return null;
        bool hasSameVoters = VotersOf(now.Current).ToHashSet().SetEquals(VotersOf(members));
        return hasSameVoters ? Configuration.Of(members) : Configuration.Of(members) with { Previous = now.Current };
    }

    /// <summary>Without this server, at once, and what else is wanted as before; null when no voter would be left.</summary>
    public static Configuration? Without(Configuration now, ServerId server)
    {
        List<Member> left = [.. now.Current.Where(member => member.Id != server)];
        return VotersOf(left).Any()
            ? Step(now, left)! with { Target = [.. now.Target.Where(member => member.Id != server)] } // a member leaves: never null
            : null;
    }

    public static bool AreSame(IReadOnlyList<Member> a, IReadOnlyList<Member> b) =>
        a.Count == b.Count && a.All(member => b.Contains(member));

    public static IEnumerable<ServerId> VotersOf(IEnumerable<Member> members) =>
        members.Where(member => member.Kind == MemberKind.Voter).Select(member => member.Id);

    /// <summary>Whether a removal means this server: a storage id of zero is whatever disk the node is on.</summary>
    public static bool Names(ServerId removed, ServerId server) =>
        removed.Node == server.Node && (removed.Storage == default || removed.Storage == server.Storage);

    private static bool IsVoter(IReadOnlyList<Member> members, ServerId server) =>
        members.Any(member => member.Id == server && member.Kind == MemberKind.Voter);

    private static Member AsVoter(Member member) => member.Kind == MemberKind.Joining ? member with { Kind = MemberKind.Voter } : member;

    private static string FaultOf(List<Member> wanted)
    {
        if (!wanted.Exists(member => member.Kind == MemberKind.Voter))
            return "There must be at least one voter.";
        if (wanted.Count > MembersMax)
            return $"There are {wanted.Count} members; allowed are {MembersMax}.";
        for (int i = 0; i < wanted.Count; i++)
        {
            Member member = wanted[i];
            if (string.IsNullOrEmpty(member.Node.Value) || member.Node.Value.Length > NodeIdCharactersMax)
                return $"A node id has 1 to {NodeIdCharactersMax} characters; '{member.Node}' has not.";
            if (member.Storage == default)
                return $"'{member.Node}' has no storage id.";
            if (member.Kind is < MemberKind.Voter or > MemberKind.Joining)
                return $"'{member.Node}' has no kind.";
            if (i > 0 && wanted[i - 1].Node == member.Node)
                return $"'{member.Node}' is named twice.";
            if (wanted.FindIndex(other => other.Storage == member.Storage) < i)
                return $"Storage {member.Storage} is named twice.";
        }

        return "";
    }
}

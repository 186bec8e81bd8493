namespace Raft.Engine.Protocol;

/// <summary>What a change of members comes to: pure arithmetic on configurations. Rule 8.</summary>
internal static class MembershipRules
{
    private const int MembersMax = 1000;

    /// <summary>Of one set; a joint configuration with a target holds three, and has to fit into one message.</summary>
    private const int WantedBytesMax = 1 << 20;

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

        wanted.Sort(ByNode);
        fault = FaultOf(wanted);
        return fault.Length == 0 ? wanted : null;
    }

    /// <summary>The first configuration of a change from a settled or joining one; null when there is nothing to change.</summary>
    /// <remarks>
    /// 1. No member becomes a voter: the wanted set at once, through a joint configuration when a voter leaves.
    /// 2. Some do: they join first, and all else that is wanted waits as the target. So the quorum never counts a server that
    ///    is not there, and no voter leaves for one that never comes.
    /// 3. What does not wait, because it helps nobody: the old disk of a node that joins on a new one (it will not come back),
    ///    and a joining member that is not wanted any more (it may never catch up, and would be waited for).
    /// 4. Forced: the wanted set at once, whoever is there.
    /// </remarks>
    public static Configuration? FirstStep(Configuration now, List<Member> wanted, bool isForced)
    {
        List<Member> joining = [.. wanted.Where(member => member.Kind == MemberKind.Voter && !IsVoter(now.Current, member.Id))];
        if (isForced || joining.Count == 0)
            return Step(now, wanted);

        List<Member> withJoining = [.. now.Current];
        withJoining.RemoveAll(member => member.Kind == MemberKind.Joining && !wanted.Exists(other => other.Id == member.Id));
        foreach (Member member in joining)
        {
            withJoining.RemoveAll(other => other.Node == member.Node);
            withJoining.Add(member with { Kind = MemberKind.Joining });
        }

        bool isAll = AreSame([.. withJoining.Select(AsVoter)], wanted);
        IReadOnlyList<Member> target = isAll ? [] : wanted;
        return AreSame(withJoining, now.Current) && AreSame(target, now.Target)
            ? null
            : Transition(now, withJoining) with { Target = target };
    }

    /// <summary>To these members in one step: joint when the set of voters changes, else simple.</summary>
    public static Configuration? Step(Configuration now, IReadOnlyList<Member> members)
    {
        return AreSame(now.Current, members) && now.Target.Count == 0 ? null : Transition(now, members);
    }

    private static Configuration Transition(Configuration now, IReadOnlyList<Member> members)
    {
        bool hasSameVoters = VotersOf(now.Current).ToHashSet().SetEquals(VotersOf(members));
        return hasSameVoters ? Configuration.Of(members) : Configuration.Of(members) with { Previous = now.Current };
    }

    /// <summary>Without this server, at once, and what else is wanted as before; null when no voter would be left.</summary>
    public static Configuration? Without(Configuration now, ServerId server)
    {
        List<Member> left = [.. now.Current.Where(member => member.Id != server)];
        return VotersOf(left).Any() ? Transition(now, left) with { Target = TargetWithout(now, server, left) } : null;
    }

    /// <summary>A target that counted on this server's vote was to let others go in exchange: those stay, as they are, and what the
    /// target adds is still wanted.</summary>
    private static List<Member> TargetWithout(Configuration now, ServerId server, List<Member> left)
    {
        List<Member> target = [.. now.Target.Where(member => member.Id != server)];
        bool wasToVote = IsVoter(now.Target, server) && !IsVoter(now.Current, server);
        if (!wasToVote)
            return target;

        foreach (Member voter in left.Where(member => member.Kind == MemberKind.Voter))
        {
            target.RemoveAll(member => member.Node == voter.Node);
            target.Add(voter);
        }

        target.Sort(ByNode);
        return AreSame([.. left.Select(AsVoter)], target) ? [] : target;
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

    private static int ByNode(Member a, Member b) => string.CompareOrdinal(a.Node.Value, b.Node.Value);

    private static string FaultOf(List<Member> wanted)
    {
        if (!wanted.Exists(member => member.Kind == MemberKind.Voter))
            return "There must be at least one voter.";
        if (wanted.Count > MembersMax)
            return $"There are {wanted.Count} members; allowed are {MembersMax}.";
        for (int i = 0; i < wanted.Count; i++)
        {
            Member member = wanted[i];
            if (member.Fault is { Length: > 0 } fault)
                return fault;
            if (i > 0 && wanted[i - 1].Node == member.Node)
                return $"'{member.Node}' is named twice.";
            if (wanted.FindIndex(other => other.Storage == member.Storage) < i)
                return $"Storage {member.Storage} is named twice.";
        }

        int bytes = Configuration.Of(wanted).EncodedSize;
        return bytes > WantedBytesMax ? $"The members take {bytes} bytes in the log; allowed are {WantedBytesMax}." : "";
    }
}

using CsCheck;
using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Model;

/// <summary>Changes of members against what the dissertation asks of them: quorums that meet. PhD 4.1, 4.3</summary>
public sealed class MembershipModelTests
{
    private const int Servers = 6;

    private sealed record Change(Configuration Now, MembershipChange What);

    private static readonly Gen<Change> _changes = Gen.Select(
        Generators.Settled(Servers), Generators.SomeMembers(Servers), Gen.Int[1, Servers].List[0, 3], Gen.Int[1, Servers].List[0, 3], Gen.Int[0, 2], Gen.Bool,
        (now, set, added, removed, kind, isForced) => new Change(now, new MembershipChange
        {
            Set = kind == 0 ? set : null,
            Add = kind == 0 ? [] : [.. added.Distinct().Select((number, i) => MemberOf(number, i == 0 ? MemberKind.Voter : MemberKind.Learner))],
            Remove = kind == 0 ? [] : [.. removed.Select(number => kind == 1 ? IdOf(number) : IdOf(number) with { Storage = default })],
            IsForced = isForced,
        }));

    [Fact]
    public void What_is_wanted_is_the_set_or_the_goal_without_the_removed_and_with_the_added() => Property.Holds(_changes, one =>
    {
        (Configuration now, MembershipChange change) = one;
        IReadOnlyList<Member> goal = MembershipRules.GoalOf(now);
        List<Member>? wanted = MembershipRules.WantedBy(change, goal, out string fault);

        Dictionary<string, Member> expected = AsVoters(now.Target.Count > 0 ? now.Target : now.Current);
        bool isStranger = false;
        if (change.Set is not null)
            expected = AsVoters(change.Set);
        foreach (ServerId removed in change.Remove)
            isStranger |= !expected.Remove(removed.Node.Value) && removed.Storage == default && !change.Add.Any(member => member.Node == removed.Node);
        foreach (Member added in change.Add)
            expected[added.Node.Value] = added;
        bool hasVoters = expected.Values.Any(member => member.Kind == MemberKind.Voter);

        Assert.Equal(isStranger || !hasVoters, wanted is null);
        Assert.Equal(wanted is null, fault.Length > 0);
        if (wanted is not null)
            Assert.Equal(expected.Values.OrderBy(member => member.Node.Value, StringComparer.Ordinal), wanted);
    });

    [Fact]
    public void Quorums_meet_at_every_step_until_the_wanted_members_are_there() => Property.Holds(
        _changes,
        one =>
        {
            (Configuration now, MembershipChange change) = one;
            if (MembershipRules.WantedBy(change, MembershipRules.GoalOf(now), out _) is not { } wanted)
                return;

            Configuration? next = MembershipRules.FirstStep(now, wanted, change.IsForced);
            if (next is null)
            {
                Assert.Equal(wanted, MembershipRules.GoalOf(now));
                return;
            }

            if (!change.IsForced)
                Assert.Subset(VotersOf(now.Current), VotersOf(next.Current));

            // What the leader does then: it leaves the joint configuration, makes voters of those that joined, leaves again.
            for (int steps = 0; next is not null; steps++)
            {
                Assert.True(steps < 5, "It does not come to an end.");
                Assert.True(Naive.AlwaysMeet(now, next), $"Quorums of {Text(now)} and {Text(next)} need not meet.");
                Assert.True(next.IsJoint || VotersOf(now.Current).SetEquals(VotersOf(next.Current)) || now.IsJoint);
                now = next;
                next = now.IsJoint ? new Configuration(now.Current, []) { Target = now.Target }
                    : MembershipRules.Step(now, MembershipRules.GoalOf(now));
            }

            Assert.Equal(wanted, now.Current);
            Assert.Empty(now.Target);
        },
        count: 600);

    [Fact]
    public void A_step_is_joint_exactly_when_the_voters_change() => Property.Holds(Gen.Select(Generators.Settled(), Generators.SomeMembers()), one =>
    {
        (Configuration now, List<Member> members) = one;
        Configuration? step = MembershipRules.Step(now, members);

        bool isSame = now.Target.Count == 0 && now.Current.ToHashSet().SetEquals(members);
        Assert.Equal(isSame, step is null);
        if (step is null)
            return;
        Assert.Equal(members, step.Current);
        Assert.Equal(VotersOf(now.Current).SetEquals(VotersOf(members)) ? [] : now.Current, step.Previous);
    });

    private static Dictionary<string, Member> AsVoters(IEnumerable<Member> members) => members.ToDictionary(
        member => member.Node.Value, member => member.Kind == MemberKind.Joining ? member with { Kind = MemberKind.Voter } : member, StringComparer.Ordinal);

    private static HashSet<ServerId> VotersOf(IEnumerable<Member> members) =>
        [.. members.Where(member => member.Kind == MemberKind.Voter).Select(member => member.Id)];

    private static string Text(Configuration configuration) =>
        $"[{string.Join(' ', configuration.Current.Select(member => $"{member.Node}:{member.Kind}"))} | {string.Join(' ', configuration.Previous.Select(member => $"{member.Node}:{member.Kind}"))}]";
}

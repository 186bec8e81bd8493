using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>A node that is outside is taken in, as a voter or as a learner.</summary>
internal sealed class AddMemberFault : IFault
{
    public string Name => "add-member";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode added = nemesis.AnyNode(random);
        MemberKind kind = random.Next(4) == 0 ? MemberKind.Learner : MemberKind.Voter;
        MemberCalls.Change(nemesis, random, new MembershipChange { Add = [added.AsMember(kind)] });
    }
}

/// <summary>A node is removed.</summary>
internal sealed class RemoveMemberFault : IFault
{
    public string Name => "remove-member";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random) =>
        MemberCalls.Change(nemesis, random, new MembershipChange { Remove = [nemesis.AnyNode(random).Server] });
}

/// <summary>The members are to be these and no others.</summary>
internal sealed class SetMembersFault : IFault
{
    public string Name => "set-members";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        int[] numbers = nemesis.Shuffled(random);
        int count = random.Next(1, numbers.Length + 1);
        List<Member> wanted = [];
        foreach (int number in numbers.Take(count))
        {
            MemberKind kind = wanted.Count > 0 && random.Next(5) == 0 ? MemberKind.Learner : MemberKind.Voter;
            wanted.Add(nemesis.Cluster.Nodes[number - 1].AsMember(kind));
        }

        MemberCalls.Change(nemesis, random, new MembershipChange { Set = wanted });
    }
}

/// <summary>Leadership is handed over, to a certain node or to the best.</summary>
internal sealed class TransferFault : IFault
{
    public string Name => "transfer";
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        NodeId? target = random.Next(2) == 0 ? nemesis.AnyNode(random).Id : null;
        TimeSpan timeout = Nemesis.Between(random, 100, 1500);
        SimulatedGroup group = MemberCalls.AnyGroup(nemesis, random);
        SimulatedNode asked = nemesis.AnyNode(random);
        nemesis.Call(() => asked.CallAsync(group, MemberCalls.Patience, (server, cancellation) => server.Server.TransferLeadershipAsync(target, timeout, cancellation)));
    }
}

/// <summary>A snapshot is taken now.</summary>
internal sealed class SnapshotFault : IFault
{
    public string Name => "snapshot";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedGroup group = MemberCalls.AnyGroup(nemesis, random);
        SimulatedNode asked = nemesis.AnyNode(random);
        nemesis.Call(() => asked.CallAsync(group, MemberCalls.Patience, (server, cancellation) => server.Server.TriggerSnapshotAsync(cancellation)));
    }
}

internal static class MemberCalls
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    public static SimulatedGroup AnyGroup(Nemesis nemesis, Random random) => nemesis.Cluster.Groups[random.Next(nemesis.Cluster.Groups.Count)];

    /// <remarks>A node hears of a later group from the first one. So where there are several, the first one keeps its members,
    /// and the others take from them; as the service does, which changes the first group before all others.</remarks>
    public static void Change(Nemesis nemesis, Random random, MembershipChange change)
    {
        SimulatedCluster cluster = nemesis.Cluster;
        SimulatedGroup group = AnyGroup(nemesis, random);
        if (group == cluster.First ? cluster.Plan.Groups > 1 && (change.Set is not null || change.Remove.Count > 0)
            : !(change.Set ?? change.Add).All(member => cluster.Nodes[Links.NumberOf(member.Id) - 1].Find(group) is not null))
        {
            return;
        }

        // An operator who takes members out looks first whether the others are there; it takes a while to see that one is not.
        if ((change.Set is not null || change.Remove.Count > 0 || change.Add.Any(member => member.Kind == MemberKind.Learner)) && nemesis.World.Time.Now < cluster.DiskLostAt + Patience)
            return;

        SimulatedNode asked = nemesis.AnyNode(random);
        nemesis.World.Trace($"{asked.Id} is asked to change {group.Id}: add {string.Join(',', change.Add.Select(member => $"{member.Id} {member.Kind}"))} remove {string.Join(',', change.Remove)} set {string.Join(',', (change.Set ?? []).Select(member => $"{member.Id} {member.Kind}"))}");
        cluster.ChangeMayHappenUntil = nemesis.World.Time.Now + (2 * Patience);
        nemesis.Call(() => asked.CallAsync(group, Patience, (server, cancellation) => server.Server.ChangeMembersAsync(change, cancellation)));
    }
}

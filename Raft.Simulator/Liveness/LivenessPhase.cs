using System.Diagnostics.CodeAnalysis;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Simulator.Histories;

namespace Raft.Simulator;

/// <summary>One fault stays, everything else is healed: the rest must elect, commit, read, change members and hand over, each within a bound.</summary>
/// <remarks>
/// After a phase in which everything is healed a group may be live only because of that: a node that never comes back, or a disk
/// that never answers, finds what waits for it. What can be expected of the rest is said at <see cref="Tolerance"/>.
/// </remarks>
internal sealed class LivenessPhase(SimulatedCluster cluster, Nemesis nemesis, Random random)
{
    /// <summary>Election timeouts, at their longest.</summary>
    private const int LeaderWithin = 20;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private PermanentFault _fault = new("none", [], static _ => { });

    private World World => cluster.World;

    private TimeSpan Bound => World.Patience * _fault.Slowness;

    /// <param name="name">The kind of fault; null: any.</param>
    public async Task RunAsync(string? name)
    {
        // A change that was asked for before the phase would change what can be borne.
        while (World.Time.Now < cluster.ChangeMayHappenUntil)
            await World.PassAsync(Pause);
        if (PermanentFaults.Draw(cluster, name, random) is not { } fault)
            return;

        _fault = fault;
        World.Trace($"-- from now on: {fault}");
        cluster.Lost.UnionWith(fault.Lost.SelectMany(static set => set));
        fault.Strike(nemesis);
        foreach (SimulatedGroup group in cluster.Groups.ToArray())
            await RunAsync(group);

        World.Trace($"-- over: {fault}");
        foreach (SimulatedGroup group in cluster.Groups)
            group.Delivered = null;
        cluster.Lost.Clear();
        nemesis.Heal();
    }

    private async Task RunAsync(SimulatedGroup group)
    {
        TimeSpan electionTimeout = 2 * cluster.Plan.ProtocolSettings.ElectionTicks * cluster.Plan.ServerSettings.Tick;
        if (!await UntilAsync(group, () => ClusterView.HasLeader(cluster, group), LeaderWithin * electionTimeout * _fault.Slowness, "a leader that a majority follows"))
            return;

        // A fault that is to strike during a hand-over needs one before anything is changed.
        if (!_fault.IsChosenLater || !await IsLeaderRemovedAsync(group))
            await HandOverAsync(group, isNamed: false);
        await WriteAndReadAsync(group);
        await ChangeMembersAsync(group);
        await HandOverAsync(group, isNamed: true);
        await WriteAndReadAsync(group);
    }

    /// <summary>A write and a linearizable read through each member from which that can be expected.</summary>
    private async Task WriteAndReadAsync(SimulatedGroup group)
    {
        foreach (SimulatedNode node in cluster.Nodes)
        {
            byte[] command = Commands.Encode(new PutKey("last", node.Id.Value));
            bool isDone = false;
            await TryUntilAsync(group, () => isDone || !IsExpected(group, node), $"a write and a read through {node.Id}", async () =>
            {
                AddedEntry added = await node.CallAsync(group, MemberCalls.Patience * _fault.Slowness, (server, cancellation) => server.Server.AddEntryAsync(command, WaitFor.Applied, cancellation));
                node.Find(group)?.Group.OnAcknowledged(node.Find(group)!, new EntryId(added.Index, added.Term));
                await node.CallAsync(group, MemberCalls.Patience * _fault.Slowness, (server, cancellation) => server.Server.ReadBarrierAsync(cancellation));
                isDone = true;
            });
        }
    }

    private bool IsExpected(SimulatedGroup group, SimulatedNode node) =>
        !cluster.Lost.Contains(node) && cluster.LeaderOf(group)?.Status.Configuration.Current.Any(member => member.Id == node.Server) != false;

    /// <summary>Leadership goes to a voter that is healthy.</summary>
    private async Task HandOverAsync(SimulatedGroup group, bool isNamed)
    {
        if (cluster.LeaderOf(group) is not { } before)
            return;
        SimulatedNode[] targets = [.. HealthyVoters(group).Where(node => node != before.Node)];
        if (targets.Length == 0)
            return;

        SimulatedNode target = targets[random.Next(targets.Length)];
        await TryUntilAsync(
            group,
            () => ClusterView.HasLeader(cluster, group) && cluster.LeaderOf(group) is { } now && (isNamed ? now.Node == target || !HealthyVoters(group).Contains(target) : now.Node != before.Node),
            isNamed ? $"a hand-over to {target.Id}" : $"a hand-over from {before.Node.Id} to any other voter",
            async () =>
            {
                SimulatedNode asked = AnyHealthy(group);
                await asked.CallAsync(group, MemberCalls.Patience * _fault.Slowness, (server, cancellation) =>
                    server.Server.TransferLeadershipAsync(isNamed ? target.Id : null, MemberCalls.Patience * _fault.Slowness, cancellation));
            });
    }

    /// <summary>The members change, in one of the ways that the group can bear with this fault.</summary>
    private async Task ChangeMembersAsync(SimulatedGroup group)
    {
        if (cluster.LeaderOf(group) is not { } leader)
            return;

        // A member that is asked for, does not come, and is given up again.
        SimulatedNode[] lostOutside = [.. cluster.Lost.Where(node => !leader.Status.Configuration.All.Any(member => member.Node == node.Id))];
        if (group == cluster.First && lostOutside.Length > 0 && Members(leader, lostOutside[0]) is { } withLost && Tolerance.CanBear(cluster, leader.Status.Configuration, withLost, Lost))
        {
            World.Trace($"{lostOutside[0].Id} is asked for, and will not come");
            await TryAsync(() => leader.Node.CallAsync(group, MemberCalls.Patience, (server, cancellation) => server.Server.ChangeMembersAsync(new MembershipChange { Set = withLost }, cancellation)));
        }

        List<List<Member>> possible = [.. Wanted(group, leader).Where(wanted => Tolerance.CanBear(cluster, leader.Status.Configuration, wanted, Lost))];
        if (possible.Count > 0)
            await SetMembersAsync(group, possible[random.Next(possible.Count)]);
    }

    /// <summary>Who leads is removed: it must hand over, and another leader must come. False: the group cannot bear that.</summary>
    private async Task<bool> IsLeaderRemovedAsync(SimulatedGroup group)
    {
        if (random.Next(2) == 0 || cluster.LeaderOf(group) is not { } leader || (group == cluster.First && cluster.Plan.Groups > 1))
            return false;
        List<Member> wanted = [.. Members(leader, null).Where(member => member.Node != leader.Node.Id)];
        if (wanted.Count(member => member.Kind == MemberKind.Voter) < 2 || !Tolerance.CanBear(cluster, leader.Status.Configuration, wanted, [.. cluster.Nodes.Select(node => (IReadOnlyList<SimulatedNode>)[node])]))
            return false;
        await SetMembersAsync(group, wanted);
        return true;
    }

    private Task SetMembersAsync(SimulatedGroup group, List<Member> wanted) => TryUntilAsync(
        group,
        () => ClusterView.SettledConfiguration(cluster, group) is { } now && MembershipRules.AreSame(now.Current, wanted),
        $"members {ClusterView.Text(wanted)}",
        async () =>
        {
            SimulatedNode asked = AnyHealthy(group);
            World.Trace($"{asked.Id} is asked for the members of {group.Id}: {ClusterView.Text(wanted)}");
            await asked.CallAsync(group, MemberCalls.Patience * _fault.Slowness, (server, cancellation) => server.Server.ChangeMembersAsync(new MembershipChange { Set = wanted }, cancellation));
        });

    private IEnumerable<List<Member>> Wanted(SimulatedGroup group, SimulatedServer leader)
    {
        List<Member> members = Members(leader, null);
        SimulatedNode? outsider = cluster.Nodes.FirstOrDefault(node => IsFree(node));
        if (outsider is not null)
            yield return Members(leader, outsider);
        if (group == cluster.First && cluster.Plan.Groups > 1)
            yield break;        // later groups lean on its members

        foreach (Member gone in members.ToArray())
        {
            yield return [.. members.Where(member => member != gone)];
            if (outsider is not null)
                yield return [.. Members(leader, outsider).Where(member => member.Node != gone.Node)];
        }

        bool IsFree(SimulatedNode node) => !cluster.Lost.Contains(node) && node.IsUp && (group == cluster.First || node.Find(group) is not null)
            && !members.Exists(member => member.Node == node.Id);
    }

    /// <summary>Of the group, with another one if wanted, each on the disk that its node has now and as what it is to be. A lost
    /// node stays what it is and becomes nothing more.</summary>
    private List<Member> Members(SimulatedServer leader, SimulatedNode? added)
    {
        List<Member> members = [];
        foreach (Member member in MembershipRules.GoalOf(leader.Status.Configuration))
        {
            SimulatedNode node = cluster.NodeOf(member.Id);
            MemberKind kind = member.Kind == MemberKind.Learner ? MemberKind.Learner : MemberKind.Voter;
            if (!cluster.Lost.Contains(node))
                members.Add(node.AsMember(kind));
            else if (leader.Status.Configuration.Current.Any(known => known.Id == member.Id && known.Kind == kind))
                members.Add(member);
        }

        if (added is not null)
            members.Add(added.AsMember(MemberKind.Voter));
        members.Sort(static (a, b) => string.CompareOrdinal(a.Node.Value, b.Node.Value));
        return members;
    }

    /// <summary>As <see cref="PermanentFault.Lost"/>, with what was chosen later.</summary>
    private IReadOnlyList<IReadOnlyList<SimulatedNode>> Lost => _fault.IsChosenLater ? [[.. cluster.Lost]] : _fault.Lost;

    private IEnumerable<SimulatedNode> HealthyVoters(SimulatedGroup group) => cluster.LeaderOf(group) is not { } leader ? [] : cluster.Nodes.Where(node =>
        !cluster.Lost.Contains(node) && leader.Status.Configuration.Current.Any(member => member.Id == node.Server && member.Kind == MemberKind.Voter));

    private SimulatedNode AnyHealthy(SimulatedGroup group)
    {
        SimulatedNode[] healthy = [.. cluster.Nodes.Where(node => !cluster.Lost.Contains(node) && node.Find(group)?.Status.IsMember == true)];
        return healthy.Length > 0 ? healthy[random.Next(healthy.Length)] : cluster.Nodes[0];
    }

    private async Task TryUntilAsync(SimulatedGroup group, Func<bool> holds, string what, Func<Task> attempt)
    {
        TimeSpan deadline = World.Time.Now + Bound;
        while (!holds())
        {
            if (World.Time.Now >= deadline)
            {
                Violate(group, Bound, what);
                return;
            }

            await TryAsync(attempt);
            if (!holds())
                await World.PassAsync(Pause);
        }
    }

    private async Task<bool> UntilAsync(SimulatedGroup group, Func<bool> holds, TimeSpan bound, string what)
    {
        TimeSpan deadline = World.Time.Now + bound;
        while (!holds())
        {
            if (World.Time.Now >= deadline)
            {
                Violate(group, bound, what);
                return false;
            }

            await World.PassAsync(Pause);
        }

        return true;
    }

    [SuppressMessage("Design", "CA1031", Justification = "An undeclared error becomes a violation.")]
    private async Task TryAsync(Func<Task> attempt)
    {
        try
        {
            await attempt();
        }
        catch (Exception error) when (error is RaftException or NodeDownException or NoAnswerException)
        {
            World.Trace($"not yet: {error.Message}");
        }
        catch (Exception error)
        {
            World.Violate($"ErrorsAreDeclared: {error}");
        }
    }

    private void Violate(SimulatedGroup group, TimeSpan bound, string what) =>
        World.Violate($"LivenessUnderFault: group {group.Id}, {_fault}{(_fault.IsChosenLater ? $": {string.Join(' ', cluster.Lost.Select(node => node.Id))}" : "")}: in {bound.TotalSeconds} s there was not {what}. {ClusterView.Describe(cluster)}");
}

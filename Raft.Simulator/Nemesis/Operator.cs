using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.StateMachine;

namespace Raft.Simulator;

/// <summary>What an operator does: takes a node with a new disk in again where it was a member, and creates groups.</summary>
internal sealed class Operator(SimulatedCluster cluster)
{
    private readonly HashSet<(SimulatedNode, StorageId)> _replacing = [];

    /// <summary>The faults are over: whatever a late change of members brings is put right, to the end.</summary>
    public bool IsWatching { get; set; }

    /// <summary>Until every configuration that names the node names its disk.</summary>
    public void Replace(SimulatedNode node)
    {
        if (_replacing.Add((node, node.Storage.Id)))
            _ = WatchAsync(ReplaceAsync(node, node.Storage.Id));
    }

    public void CreateGroups(int count)
    {
        for (int number = 2; number <= count; number++)
            _ = WatchAsync(CreateAsync(new GroupId($"g{number}")));
    }

    private async Task ReplaceAsync(SimulatedNode node, StorageId storage)
    {
        while (node.Storage.Id == storage)
        {
            bool isDone = true;
            foreach (SimulatedGroup group in cluster.Groups.ToArray())
                isDone &= await IsReplacedAsync(group, node);
            if (isDone && !IsWatching)
                break;
            await cluster.World.PassAsync(TimeSpan.FromMilliseconds(300));
        }

        _replacing.Remove((node, storage));
    }

    /// <summary>Whether the leader's configuration names the node on this disk, or not at all.</summary>
    private async Task<bool> IsReplacedAsync(SimulatedGroup group, SimulatedNode node)
    {
        if (cluster.Lost.Contains(node) || cluster.LeaderOf(group) is not { } leader)
            return false;

        IReadOnlyList<Member> members = [.. leader.Status.Configuration.All];
        if (!members.Any(member => member.Node == node.Id && member.Storage != node.Storage.Id))
            return true;

        Member former = members.First(member => member.Node == node.Id);
        MemberKind kind = former.Kind == MemberKind.Learner ? MemberKind.Learner : MemberKind.Voter;
        try
        {
            await leader.Node.CallAsync(group, MemberCalls.Patience, (server, cancellation) =>
                server.Server.ChangeMembersAsync(new MembershipChange { Add = [node.AsMember(kind)] }, cancellation));
        }
        catch (ConfigurationChangeInProgressException) when (leader.Status.Configuration is { IsJoint: false } now)
        {
            // Perhaps it waits for a server that will never come, such as this node on its disk of before: take it back.
            List<Member> settled = [.. now.Current.Where(member => member.Kind != MemberKind.Joining)];
            await TryAsync(leader.Node, group, (server, cancellation) => server.Server.ChangeMembersAsync(new MembershipChange { Set = settled }, cancellation));
        }
        catch (Exception error) when (error is RaftException or NodeDownException or NoAnswerException)
        {
            cluster.World.Trace($"an operator is told: {error.Message}");
        }

        return false;
    }

    private async Task CreateAsync(GroupId id)
    {
        while (!cluster.Groups.Exists(group => group.Id == id))
        {
            if (cluster.LeaderOf(cluster.First) is { Status.Configuration: { IsJoint: false, Target.Count: 0 } now } leader
                && now.Current.All(member => member.Kind != MemberKind.Joining))
            {
                byte[] command = SystemCommands.Encode(new CreateGroup(id, now));
                await TryAsync(leader.Node, cluster.First, (server, cancellation) => server.Server.AddSystemEntryAsync(command, WaitFor.Applied, cancellation));
            }

            await cluster.World.PassAsync(TimeSpan.FromMilliseconds(300));
        }
    }

    private static async Task TryAsync<T>(SimulatedNode node, SimulatedGroup group, Func<SimulatedServer, CancellationToken, Task<T>> ask)
    {
        try
        {
            await node.CallAsync(group, MemberCalls.Patience, ask);
        }
        catch (Exception error) when (error is RaftException or NodeDownException or NoAnswerException)
        {
            node.Cluster.World.Trace($"an operator is told: {error.Message}");
        }
    }

    private async Task WatchAsync(Task work)
    {
        try
        {
            await work;
        }
        catch (Exception error)
        {
            cluster.World.Violate($"Operator: {error}");
        }
    }
}

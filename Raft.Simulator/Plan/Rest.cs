using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Simulator.Histories;

namespace Raft.Simulator;

/// <summary>After the faults: there is a leader soon, all members become equal, every call ends, and nothing is left waiting.</summary>
internal sealed class Rest(SimulatedCluster cluster, IReadOnlyList<Client> clients)
{
    /// <summary>Election timeouts, at their longest.</summary>
    private const int LeaderWithin = 20;

    private World World => cluster.World;

    public async Task ComeAsync()
    {
        TimeSpan electionTimeout = 2 * cluster.Plan.ProtocolSettings.ElectionTicks * cluster.Plan.ServerSettings.Tick;
        await UntilAsync(() => cluster.Groups.TrueForAll(HasLeader), LeaderWithin * electionTimeout, "a leader of each group, whom a majority follows");
        await UntilAsync(() => clients.All(client => client.IsIdle), World.Patience, "the end of all calls of clients");
        await UntilAsync(() => cluster.Groups.Count == cluster.Plan.Groups, World.Patience, "the creation of all groups");
        await UntilAsync(() => cluster.Groups.TrueForAll(IsSettled), World.Patience, "the end of all changes of members");
        await UntilAsync(() => cluster.Groups.TrueForAll(IsAtRest), World.Patience, "equal members");
        foreach (SimulatedGroup group in cluster.Groups)
            await WriteAsync(group);
        await UntilAsync(() => cluster.Groups.TrueForAll(IsAtRest), World.Patience, "equal members, without anything left waiting");
    }

    private async Task UntilAsync(Func<bool> holds, TimeSpan patience, string what)
    {
        TimeSpan deadline = World.Time.Now + patience;
        while (!holds())
        {
            if (World.Time.Now >= deadline)
            {
                World.Violate($"Liveness: waited {patience.TotalSeconds} s after the faults for {what}. {Describe()}");
                return;
            }

            await World.PassAsync(TimeSpan.FromMilliseconds(20));
        }
    }

    private bool HasLeader(SimulatedGroup group) => ClusterView.HasLeader(cluster, group);

    /// <summary>No change is half done, and every member is the server that its node is now.</summary>
    private bool IsSettled(SimulatedGroup group) =>
        ClusterView.SettledConfiguration(cluster, group) is { } now
        && now.Current.All(member => cluster.Nodes.Any(node => node.Server == member.Id && node.IsUp));

    /// <summary>A write on every member, which must end well: who cannot write has not come to rest.</summary>
    private async Task WriteAsync(SimulatedGroup group)
    {
        if (cluster.LeaderOf(group) is not { } leader)
            return;     // said already

        foreach (Member member in leader.Status.Configuration.Current)
        {
            SimulatedNode node = cluster.Nodes.First(one => one.Id == member.Node);
            byte[] command = Commands.Encode(new PutKey("last", node.Id.Value));
            try
            {
                await node.CallAsync(group, TimeSpan.FromSeconds(5), (server, cancellation) => server.Server.AddEntryAsync(command, WaitFor.Applied, cancellation));
                await node.CallAsync(group, TimeSpan.FromSeconds(5), (server, cancellation) => server.Server.ReadBarrierAsync(cancellation));
            }
            catch (Exception error) when (error is RaftException or NodeDownException or NoAnswerException)
            {
                World.Violate($"Liveness: group {group.Id}: a last write or read on {node.Id} failed: {error.Message} {Describe()}");
                return;
            }
        }
    }

    private bool IsAtRest(SimulatedGroup group)
    {
        if (!IsSettled(group) || cluster.LeaderOf(group) is not { } leader)
            return false;

        UInt128 hash = leader.Store.StateHash;
        foreach (Member member in leader.Status.Configuration.Current)
        {
            if (cluster.ServersOf(group).FirstOrDefault(server => server.Id == member.Id) is not { } server)
                return false;

            ServerStatus status = server.Status;
            bool isEqual = status.AppliedIndex == leader.Status.LastIndex && status.CommitIndex == status.LastIndex && status.DurableIndex == status.LastIndex
                && status.LastIndex == leader.Status.LastIndex && server.Store.StateHash == hash
                && status.ConfigurationIndex == leader.Status.ConfigurationIndex && ClusterView.AreSame(status.Configuration, leader.Status.Configuration);
            bool isIdle = status is { AdmittedBytes: 0, AdmissionWaiting: 0, ApplierQueueEntries: 0, ApplierQueueBytes: 0, PendingCalls: 0, IsTakingSnapshot: false, SnapshotTransfers.Count: 0 };
            if (!isEqual || !isIdle)
                return false;
        }

        return true;
    }

    private string Describe() => ClusterView.Describe(cluster);
}

using System.Text;
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

    private bool HasLeader(SimulatedGroup group)
    {
        if (cluster.LeaderOf(group) is not { } leader)
            return false;
        List<Member> voters = [.. leader.Status.Configuration.Current.Where(member => member.Kind == MemberKind.Voter)];
        return voters.Count(voter => cluster.ServersOf(group).Any(server => server.Id == voter.Id && server.Status.Leader == leader.Id && server.Status.Term == leader.Status.Term)) > voters.Count / 2;
    }

    /// <summary>No change is half done, and every member is the server that its node is now.</summary>
    private bool IsSettled(SimulatedGroup group) =>
        HasLeader(group) && cluster.LeaderOf(group) is { } leader && leader.Status is { Configuration: { IsJoint: false, Target.Count: 0 } now } status
        && status.ConfigurationIndex <= status.CommitIndex
        && now.Current.All(member => member.Kind != MemberKind.Joining && cluster.Nodes.Any(node => node.Server == member.Id && node.IsUp));

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
                && status.LastIndex == leader.Status.LastIndex && server.Store.StateHash == hash;
            bool isIdle = status is { AdmittedBytes: 0, AdmissionWaiting: 0, ApplierQueueEntries: 0, ApplierQueueBytes: 0, PendingCalls: 0, IsTakingSnapshot: false, SnapshotTransfers.Count: 0 };
            if (!isEqual || !isIdle)
                return false;
        }

        return true;
    }

    private string Describe()
    {
        var text = new StringBuilder();
        foreach (SimulatedGroup group in cluster.Groups)
        {
            text.Append('\n').Append(group.Id.Value).Append(':');
            foreach (SimulatedNode node in cluster.Nodes)
            {
                if (node.Find(group)?.Status is not { } status)
                {
                    text.Append($"\n  {node.Server} does not run it");
                    continue;
                }

                text.Append($"\n  {node.Server} {status.Role} term {status.Term} leader {status.Leader} last {status.LastIndex} durable {status.DurableIndex} commit {status.CommitIndex} applied {status.AppliedIndex}"
                    + $" admitted {status.AdmittedBytes} waiting {status.AdmissionWaiting} to apply {status.ApplierQueueEntries} calls {status.PendingCalls} transfers {status.SnapshotTransfers.Count} snapshot {status.Snapshot?.Index}"
                    + $" configuration {status.ConfigurationIndex}: {Text(status.Configuration.Current)} | {Text(status.Configuration.Previous)} -> {Text(status.Configuration.Target)}");
                if (status.Role == Role.Leader)
                    text.Append($"\n    peers: {string.Join(", ", status.Peers.Select(peer => $"{peer.Server} {peer.State} match {peer.MatchIndex} next {peer.NextIndex} in flight {peer.InFlightAppends} alive {peer.IsAlive} rounds {peer.CaughtUpRounds}"))}");
            }
        }

        return text.ToString();

        static string Text(IEnumerable<Member> members) => string.Join(' ', members.Select(member => $"{member.Id}:{member.Kind}"));
    }
}

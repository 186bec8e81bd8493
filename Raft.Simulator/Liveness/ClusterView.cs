using System.Text;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>What an observer of all nodes sees of a group: for waiting, and for reports.</summary>
internal static class ClusterView
{
    /// <summary>There is a leader, and a majority of its voters follows it.</summary>
    public static bool HasLeader(SimulatedCluster cluster, SimulatedGroup group)
    {
        if (cluster.LeaderOf(group) is not { } leader)
            return false;
        List<Member> voters = [.. leader.Status.Configuration.Current.Where(member => member.Kind == MemberKind.Voter)];
        return voters.Count(voter => cluster.ServersOf(group).Any(server => server.Id == voter.Id && server.Status.Leader == leader.Id && server.Status.Term == leader.Status.Term)) > voters.Count / 2;
    }

    /// <summary>The leader's configuration is committed, and nothing more is on its way.</summary>
    public static Configuration? SettledConfiguration(SimulatedCluster cluster, SimulatedGroup group) =>
        HasLeader(cluster, group) && cluster.LeaderOf(group) is { } leader && leader.Status is { Configuration: { IsJoint: false, Target.Count: 0 } now } status
        && status.ConfigurationIndex <= status.CommitIndex && now.Current.All(member => member.Kind != MemberKind.Joining)
            ? now
            : null;

    public static bool AreSame(Configuration a, Configuration b) =>
        a.Current.SequenceEqual(b.Current) && a.Previous.SequenceEqual(b.Previous) && a.Target.SequenceEqual(b.Target);

    public static string Describe(SimulatedCluster cluster)
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
    }

    public static string Text(IEnumerable<Member> members) => string.Join(' ', members.Select(member => $"{member.Id}:{member.Kind}"));
}

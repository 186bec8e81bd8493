using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;

namespace Raft.Host.Monitoring;

/// <summary>Whether this node can take writes, and if not, every reason.</summary>
/// <param name="Phase">Where the node is in its life.</param>
/// <param name="Reasons">Empty when it is ready.</param>
public sealed record ReadinessReport(NodePhase Phase, IReadOnlyList<string> Reasons)
{
    public bool IsReady => Reasons.Count == 0;
}

/// <summary>Ready means: a leader is known in every group, and what is committed is applied, or nearly so. Liveness is another matter.</summary>
public sealed class Readiness(NodeState state, GroupRegistry groups)
{
    /// <summary>Committed entries that may wait for the state machine. One that replays its log at start is above it.</summary>
    internal const long ApplyLagMax = 10_000;

    public ReadinessReport Now()
    {
        NodeState.Snapshot now = state.Now;
        if (now.Phase != NodePhase.Running)
            return new ReadinessReport(now.Phase, [now.Reason]);

        List<string> reasons = [];
        foreach (HostedGroup group in groups.All)
            AddReasons(group.Server, reasons);
        return new ReadinessReport(now.Phase, reasons);
    }

    internal static void AddReasons(RaftServer server, List<string> reasons)
    {
        if (!server.IsAlive)
        {
            reasons.Add($"Group {server.GroupId}: the server has stopped.");
            return;
        }

        if (server.CurrentLeader is null)
            reasons.Add($"Group {server.GroupId}: no leader is known in term {server.CurrentTerm} ({Name(server.Role)}).");

        long lag = server.CommitIndex - server.AppliedIndex;
        if (lag > ApplyLagMax)
            reasons.Add($"Group {server.GroupId}: {lag} committed entries wait to be applied; ready at {ApplyLagMax}.");
    }

    private static string Name(Role role) => role switch
    {
        Role.Leader => "leader",
        Role.Follower => "follower",
        Role.Candidate => "candidate",
        _ => "pre-candidate",
    };
}

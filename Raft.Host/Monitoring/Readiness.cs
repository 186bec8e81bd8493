using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;

namespace Raft.Host.Monitoring;

/// <summary>Whether this node can take writes, and if not, every reason.</summary>
/// <param name="Phase">Where the node is in its life.</param>
/// <param name="Reasons">Empty when it is ready.</param>
public sealed record ReadinessReport(NodePhase Phase, IReadOnlyList<string> Reasons)
{
    /// <summary>What somebody should look at though the node is ready.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    public bool IsReady => Reasons.Count == 0;
}

/// <summary>Ready means: the node is a member, a leader is known in every group, what is committed is applied, or nearly so, the state is that of the
/// others, and the node is not draining. Liveness is another matter.</summary>
public sealed class Readiness(NodeState state, GroupRegistry groups, NodeDrain drain)
{
    /// <summary>Committed entries that may wait for the state machine. One that replays its log at start is above it.</summary>
    internal const long ApplyLagMax = 10_000;

    public ReadinessReport Now()
    {
        NodeState.Snapshot now = state.Now;
        if (now.Phase != NodePhase.Running)
            return new ReadinessReport(now.Phase, [now.Reason]);

        List<string> reasons = [];
        if (drain.IsDraining)
            reasons.Add("The node is draining: it hands over what it leads, and serves on.");
        if (groups.First is { } first)
            AddMissing(first, reasons);
        foreach (HostedGroup group in groups.All)
        {
            // Taken out of one group on purpose, it is as good a node for the others; taken out of the first, it is out.
            if (group.Id == groups.FirstId || !group.Server.Status.IsRemoved)
                AddReasons(group, reasons);
        }

        return new ReadinessReport(now.Phase, reasons) { Warnings = [.. groups.All.SelectMany(WarningsOf)] };
    }

    internal static IEnumerable<string> WarningsOf(HostedGroup group)
    {
        RaftServer server = group.Server;
        TimeSpan refused = server.RefusedClockLeap;
        if (refused != TimeSpan.Zero)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Group {group.Id}: the clock of this node is {Math.Abs(refused.TotalSeconds):F0} s {(refused > TimeSpan.Zero ? "ahead of" : "behind")} the time that is confirmed; entries are not stamped with it. Check its time synchronisation.");
        }

        TimeSpan ahead = server.LogTimeAhead;
        if (ahead != TimeSpan.Zero)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Group {group.Id}: its time stamps are {ahead.TotalSeconds:F0} s ahead of the clocks. ") + (!group.Machine.CanCorrectTime
                    ? "They go on at half speed until the clocks have caught up."
                    : server.AreClocksKnown ? "They are being corrected."
                    : "They are corrected once every member of the group is reached and runs this release.");
        }
    }

    /// <summary>Groups that the log has created, or is certain to create, and that do not run here yet.</summary>
    private void AddMissing(HostedGroup first, List<string> reasons)
    {
        int missing = Math.Max(first.Machine.CreatedGroups.Count + 1 - groups.Count, groups.Expected.Count(group => groups.Find(group) is null));
        if (missing > 0)
            reasons.Add($"{missing} groups are being started.");
    }

    internal static void AddReasons(HostedGroup group, List<string> reasons)
    {
        RaftServer server = group.Server;
        if (!server.IsAlive)
        {
            reasons.Add($"Group {server.GroupId}: the server has stopped.");
            return;
        }

        if (server.Status.IsRemoved)
        {
            reasons.Add($"Group {server.GroupId}: this node was removed from it, and takes no part any more. Stop it, or add it again: POST /v1/members at a member.");
            return;
        }

        if (group.Machine.HashAlarm is { } alarm)
        {
            reasons.Add($"Group {server.GroupId}: the state here is not that of the others (at index {alarm.Index}); it is out of service. " +
                "Keep the directory for analysis, stop the node, empty the directory, and start it: it is replaced.");
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

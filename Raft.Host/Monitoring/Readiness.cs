using System.Collections.Concurrent;
using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.Peers;

namespace Raft.Host.Monitoring;

/// <summary>Whether this node can take writes, and if not, every reason.</summary>
/// <param name="Phase">Where the node is in its life.</param>
/// <param name="Reasons">Empty when it is ready.</param>
public sealed record ReadinessReport(NodePhase Phase, IReadOnlyList<string> Reasons)
{
    /// <summary>What somebody should look at though the node is ready: also members that it cannot reach, with every address that it
    /// tries. Another node's absence alone does not make this one not ready.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    public bool IsReady => Reasons.Count == 0;
}

/// <summary>Ready means, in every group: the node is a member, and not one that still joins; a leader is known; since its start the
/// node was level with the leader once, and is not far behind now; the state is that of the others;
/// and commands are not refused for lack of disk space. And the node is not draining.
/// Liveness is another matter.</summary>
/// <remarks>
/// A rolling restart waits for this before it stops the next node. So a node that has just started is ready only once the
/// cluster has it back: it holds what is committed, and its acknowledgements reach the leader. After that only a leader
/// that is not known, or a long lag, takes readiness away, so that load does not make it flap.
/// </remarks>
public sealed class Readiness(NodeState state, GroupRegistry groups, NodeDrain drain, PeerTransport peers, DiskWatermark disk, MemoryWatch memory)
{
    /// <summary>Committed entries that may be missing in the state machine.</summary>
    internal const long LagMax = 10_000;

    /// <summary>One that was over the maximum is ready again below this.</summary>
    internal const long LagLow = LagMax / 2;

    private readonly ConcurrentDictionary<GroupId, Progress> _progress = new();

    /// <param name="excludesSpace">Leaves out that commands are refused for lack of disk space: who asks wants to read or to delete.</param>
    public ReadinessReport Now(bool excludesSpace = false)
    {
        NodeState.Snapshot now = state.Now;
        if (now.Phase != NodePhase.Running)
            return new ReadinessReport(now.Phase, [now.Reason]);

        List<string> reasons = [];
        if (drain.IsDraining)
            reasons.Add("The node is draining: it hands over what it leads, and serves on.");
        if (memory is { IsOverBudget: true, Shortage: { } shortage })
            reasons.Add($"{shortage} This node holds more than its memory allows: give it as much as the others have.");
        if (groups.First is { } first)
            AddMissing(first, reasons);
        foreach (HostedGroup group in groups.All)
        {
            // Taken out of one group on purpose, it is as good a node for the others; taken out of the first, it is out.
            if (group.Id == groups.FirstId || !group.Server.Status.IsRemoved)
                AddReasons(group, reasons);
            if (!excludesSpace && disk.RefusalOf(group.Server) is { } refusal)
                reasons.Add($"Group {group.Id}: commands are refused for lack of disk space (507): {refusal} Reads and administration go on; ?exclude=space leaves this out.");
        }

        return new ReadinessReport(now.Phase, reasons)
        {
            Warnings =
            [
                .. groups.All.SelectMany(WarningsOf),
                .. peers.Peers.Where(peer => peer.IsMember && !peer.IsAlive).Select(peer => $"A member cannot be reached: {Describe(peer)}"),
            ],
        };
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

    internal void AddReasons(HostedGroup group, List<string> reasons)
    {
        RaftServer server = group.Server;
        ServerStatus status = server.Status;
        if (!server.IsAlive)
        {
            reasons.Add($"Group {server.GroupId}: the server has stopped.");
            return;
        }

        if (RemovalOf(server, status) is { } removal)
        {
            reasons.Add(removal);
            return;
        }

        if (group.Machine.HashAlarm is { } alarm)
        {
            reasons.Add($"Group {server.GroupId}: the state here is not that of the others (at index {alarm.Index}); it is out of service. " +
                "Keep the directory for analysis, stop the node, empty the directory, and start it: it is replaced.");
        }

        if (status.Leader is null)
            reasons.Add($"Group {server.GroupId}: no leader is known in term {status.Term} ({Name(status.Role)}).{QuorumOf(server.Id, status.Configuration)}");
        else if (ReturnOf(group, status) is { } missing)
            reasons.Add($"Group {server.GroupId}: {missing}");

        AddLag(group, status, reasons);
    }

    /// <summary>Null when the node takes part in the group, or may come to.</summary>
    private static string? RemovalOf(RaftServer server, ServerStatus status)
    {
        const string remedy = "Stop it, or add it again: POST /v1/members at a member.";
        if (status.IsRemoved)
            return $"Group {server.GroupId}: this node was removed from it (configuration {status.ConfigurationIndex}), and takes no part any more. {remedy}";

        // After a restart nobody need tell it: its own log does. One that is just being added is told by the leader.
        if (status.Leader is null && status.Configuration.Current.Count > 0 && !status.Configuration.Contains(server.Id))
        {
            return $"Group {server.GroupId}: the newest configuration that this node has, at index {status.ConfigurationIndex}, leaves it out " +
                $"(members: {string.Join(", ", status.Configuration.Current.Select(member => member.Node.Value))}), and no leader sends it more. It was removed, or is being added just now. {remedy}";
        }

        return null;
    }

    /// <summary>What is missing until the cluster has this node back after its start; null: nothing, now or once before.</summary>
    private string? ReturnOf(HostedGroup group, ServerStatus status)
    {
        RaftServer server = group.Server;
        Member? self = status.Configuration.Current.FirstOrDefault(member => member.Id == server.Id);
        if (self is null)
            return "this node is not a member of it, as far as it knows; it receives the log, or waits to be added.";
        if (self.Kind == MemberKind.Joining)
            return $"this node is joining: it votes, and is ready, once the leader '{status.Leader?.Node}' finds that it has caught up.";

        Progress progress = _progress.GetOrAdd(group.Id, static _ => new Progress());
        if (progress.IsBack)
            return null;
        if (!server.HasCaughtUp)
        {
            return server.LeaderCommitIndex > status.AppliedIndex
                ? $"this node is catching up after its start: applied {status.AppliedIndex}, the leader '{status.Leader?.Node}' has committed {server.LeaderCommitIndex}."
                : $"this node does not know yet what is committed: the leader '{status.Leader?.Node}' has to commit an entry of term {status.Term}, and this node has to apply it.";
        }

        if (status.Leader is { } leader && leader != server.Id && peers.Peers.FirstOrDefault(peer => peer.Node == leader.Node && peer.Storage == leader.Storage) is not { IsConnected: true })
            return $"this node has no connection of its own to the leader '{leader.Node}', so that its acknowledgements do not reach it.";

        progress.IsBack = true;
        return null;
    }

    private void AddLag(HostedGroup group, ServerStatus status, List<string> reasons)
    {
        Progress progress = _progress.GetOrAdd(group.Id, static _ => new Progress());
        long lag = Math.Max(status.CommitIndex.Value, group.Server.LeaderCommitIndex.Value) - status.AppliedIndex.Value;
        progress.IsBehind = lag > (progress.IsBehind ? LagLow : LagMax);
        if (progress.IsBehind)
            reasons.Add($"Group {group.Id}: {lag} committed entries are not applied here yet; ready at {LagLow}.");
    }

    /// <summary>Which voters are missing, and where they are looked for. Empty when a majority is alive.</summary>
    private string QuorumOf(ServerId self, Configuration configuration)
    {
        Dictionary<ServerId, PeerStatus> known = peers.Peers.ToDictionary(peer => new ServerId(peer.Node, peer.Storage));
        List<ServerId> silent = [];
        bool isLost = false;
        foreach (IReadOnlyList<Member> set in new[] { configuration.Current, configuration.Previous })
        {
            ServerId[] voters = [.. set.Where(member => member.Kind == MemberKind.Voter).Select(member => member.Id)];
            ServerId[] missing = [.. voters.Where(voter => voter != self && known.GetValueOrDefault(voter) is not { IsAlive: true })];
            isLost |= voters.Length > 0 && voters.Length - missing.Length <= voters.Length / 2;
            silent.AddRange(missing.Except(silent));
        }

        if (silent.Count == 0)
            return "";
        string where = string.Join(" ", silent.Select(server => known.TryGetValue(server, out PeerStatus? peer) ? Describe(peer) : $"{server} has no known address."));
        return $" {(isLost ? "There is no quorum" : "A quorum may be alive")}; voters that this node cannot reach: {string.Join(", ", silent.Select(server => server.Node.Value))}. {where} " +
            "If addresses have changed, correct Raft:Members and restart, or POST /v1/peers/addresses.";
    }

    private static string Describe(PeerStatus peer)
    {
        string addresses = peer.Addresses.Count == 0 ? "no address is known" : string.Join("; ", peer.Addresses);
        return $"'{peer.Node}' (storage {peer.Storage}) is dialled at: {addresses}.";
    }

    private static string Name(Role role) => role switch
    {
        Role.Leader => "leader",
        Role.Follower => "follower",
        Role.Candidate => "candidate",
        _ => "pre-candidate",
    };

    /// <summary>How far a group has come since the start of this process.</summary>
    private sealed class Progress
    {
        private volatile bool _isBack;
        private volatile bool _isBehind;

        public bool IsBack
        {
            get => _isBack;
            set => _isBack = value;
        }

        public bool IsBehind
        {
            get => _isBehind;
            set => _isBehind = value;
        }
    }
}

using System.Diagnostics.Metrics;
using System.Reflection;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Peers;

namespace Raft.Host.Monitoring;

/// <summary>The gauges of a node: read when somebody scrapes, at no cost in between. Exported as raft_...</summary>
public sealed class RaftMeters : IDisposable
{
    public const string MeterName = "Raft.Host";

    private static readonly (Role Role, string Label)[] Roles =
        [(Role.Follower, "follower"), (Role.PreCandidate, "pre-candidate"), (Role.Candidate, "candidate"), (Role.Leader, "leader")];

    private static readonly (MemberKind Kind, string Label)[] Kinds =
        [(MemberKind.Voter, "voter"), (MemberKind.Learner, "learner"), (MemberKind.Joining, "joining")];

    private static readonly KeyValuePair<string, object?> OtherGroups = new("group", GroupRegistry.OtherGroups);

    private readonly GroupRegistry _groups;
    private readonly PeerTransport _peers;
    private readonly Meter _meter = new(MeterName);

    public RaftMeters(GroupRegistry groups, NodeState state, Readiness readiness, PeerTransport peers, NodeDrain drain, DiskWatermark disk, MemoryMeters memory)
    {
        _groups = groups;
        _peers = peers;
        Gauge("raft.term", "The current term.", server => server.CurrentTerm.Value);
        Gauge("raft.is_leader", "1 where this node leads.", server => server.Role == Role.Leader ? 1 : 0);
        Gauge("raft.has_leader", "1 where this node knows a leader.", server => server.CurrentLeader is null ? 0 : 1);
        Gauge("raft.commit_index", "The highest index known to be committed.", server => server.CommitIndex.Value);
        Gauge("raft.applied_index", "The highest index that the state machine has applied.", server => server.AppliedIndex.Value);
        Gauge("raft.durable_index", "The highest index that is durable on this node.", server => server.DurableIndex.Value);
        Gauge("raft.last_index", "The last index of the log, durable or not.", server => server.LastIndex.Value);
        Gauge("raft.clock.leap_refused_seconds", "Leader: by how much its clock is ahead of the confirmed time (below 0: behind), when that is more than Raft:Clock:MaxLeapMs; else 0.",
            server => (long)server.RefusedClockLeap.TotalSeconds);
        Gauge("raft.log_time_ahead_seconds", "Leader: by how much the stamps in the log are ahead of the confirmed time, when that lasts; else 0.",
            server => (long)server.LogTimeAhead.TotalSeconds);
        _meter.CreateObservableGauge("raft.groups", () => groups.Count, unit: null, "Groups that run here.");
        _meter.CreateObservableGauge("raft.members", MeasureMembers, unit: null, "Members of the configuration in force, by kind.");
        _meter.CreateObservableGauge("raft.member.caught_up_rounds", MeasureJoining, unit: null, "Leader: rounds in a row in which a joining member kept up; at two it becomes a voter.");
        _meter.CreateObservableGauge("raft.state_hash.alarm", () => Measure(hosted => hosted.IsOutOfService ? 1 : 0), unit: null, "1 where the state is not that of the other members: out of service.");
        _meter.CreateObservableGauge("raft.draining", () => drain.IsDraining ? 1 : 0, unit: null, "1 while the node keeps no leadership.");
        _meter.CreateObservableGauge("raft.disk.free", () => disk.FreeBytes is { } free ? [new Measurement<long>(free)] : (Measurement<long>[])[], "By", "Free bytes of the data directory's file system.");
        _meter.CreateObservableGauge("raft.disk.reusable", () => disk.ReusableBytes, "By", "Bytes of the data file that can be used again; they count as free.");
        _meter.CreateObservableGauge("raft.disk.low", () => disk.Shortage is null ? 0 : 1, unit: null, "1 while less is free than Raft:Limits:MinFreeDiskBytes.");
        memory.Measure(_meter);
        Gauge("raft.voters", "Voters of the configuration in force.", server => Voters(server).Count());
        Gauge("raft.voters_alive", "Voters that this node hears, itself included.", AliveVoters);
        _meter.CreateObservableGauge("raft.role", MeasureRoles, unit: null, "1 for the role that the server has.");
        _meter.CreateObservableGauge("raft.peer.match_lag", MeasureMatchLag, unit: null, "Leader: entries of the log that the peer does not hold durably yet.");
        _meter.CreateObservableGauge("raft.ready", () => readiness.Now().IsReady ? 1 : 0, unit: null, "1 while /readyz says yes.");
        _meter.CreateObservableGauge("raft.quarantine", () => state.Now.Phase == NodePhase.Quarantine ? 1 : 0, unit: null, "1 while the node is kept out because of its disk.");
        _meter.CreateObservableGauge("raft.build_info", () => BuildInfo, unit: null, "1; the labels tell the build.");
    }

    /// <summary>The version of this build.</summary>
    public static string Version { get; } =
        typeof(RaftMeters).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    private static Measurement<int> BuildInfo { get; } = new(1,
        new("version", Version), new("runtime", Environment.Version.ToString()));

    public void Dispose() => _meter.Dispose();

    private void Gauge(string name, string help, Func<RaftServer, long> read) =>
        _meter.CreateObservableGauge(name, () => Measure(hosted => read(hosted.Server)), unit: null, help);

    /// <summary>Groups without a label of their own are one series, with the largest of their values.</summary>
    private IEnumerable<Measurement<long>> Measure(Func<HostedGroup, long> read)
    {
        long other = long.MinValue;
        foreach (HostedGroup hosted in _groups.All)
        {
            long value = read(hosted);
            if (HasLabel(hosted))
                yield return new Measurement<long>(value, GroupLabel(hosted));
            else
                other = Math.Max(other, value);
        }

        if (other > long.MinValue)
            yield return new Measurement<long>(other, OtherGroups);
    }

    private IEnumerable<Measurement<int>> MeasureRoles() =>
        from hosted in Labelled()
        from role in Roles
        select new Measurement<int>(hosted.Server.Role == role.Role ? 1 : 0, GroupLabel(hosted), new("role", role.Label));

    private IEnumerable<Measurement<int>> MeasureMembers() =>
        from hosted in Labelled()
        from kind in Kinds
        select new Measurement<int>(hosted.Server.Configuration.All.Count(member => member.Kind == kind.Kind), GroupLabel(hosted), new("kind", kind.Label));

    private IEnumerable<Measurement<int>> MeasureJoining() =>
        from hosted in Labelled()
        where hosted.Server.Role == Role.Leader
        from peer in hosted.Server.Peers
        where hosted.Server.Configuration.Current.Any(member => member.Id == peer.Server && member.Kind == MemberKind.Joining)
        select new Measurement<int>(peer.CaughtUpRounds, GroupLabel(hosted), new("peer", peer.Server.Node.Value));

    private IEnumerable<Measurement<long>> MeasureMatchLag() =>
        from hosted in Labelled()
        where hosted.Server.Role == Role.Leader
        from peer in hosted.Server.Peers
        where peer.Server != hosted.Server.Id
        select new Measurement<long>(Math.Max(0, hosted.Server.LastIndex - peer.MatchIndex), GroupLabel(hosted), new("peer", peer.Server.Node.Value));

    private long AliveVoters(RaftServer server)
    {
        IReadOnlyList<PeerStatus> peers = _peers.Peers;
        return Voters(server).Count(voter => voter.Id == server.Id || peers.Any(peer => peer.Node == voter.Node && peer.Storage == voter.Storage && peer.IsAlive));
    }

    private static IEnumerable<Member> Voters(RaftServer server) => server.Configuration.All.Where(member => member.Kind == MemberKind.Voter);

    private IEnumerable<HostedGroup> Labelled() => _groups.All.Where(HasLabel);

    private bool HasLabel(HostedGroup group) => _groups.LabelOf(group.Id) == group.Id.Value;

    private static KeyValuePair<string, object?> GroupLabel(HostedGroup group) => new("group", group.Id.Value);
}

using System.Collections.Concurrent;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Memory;
using Raft.Host.Peers;
using Raft.Host.Settings;
using Raft.Host.StateMachine;

namespace Raft.Host.Hosting;

/// <summary>What has to be done now and then for all groups, in one loop: nothing of it is urgent, and no step waits for another.</summary>
/// <remarks>
/// Everywhere: start groups that the first one's log has created; note who is alive; ask for membership that is missing, for addresses
/// of members that cannot be reached, and for a correction of this node's own address. On a group's leader: propose groups that
/// are configured and not there (first group), state hashes that are due; give leadership up when the state is wrong here,
/// when the node drains, when its disk is nearly full, or when it leads more than its share.
/// </remarks>
internal sealed class Caretaker(
    NodeSettings settings, NodeAddresses addresses, GroupRegistry groups, GroupsHost host, PeerTransport peers, PeerQuestions questions,
    PeerSightings sightings, NodeDrain drain, DiskWatermark disk, MemoryWatch memory, LogBudget logBudget, OwnAddressCorrection ownAddress, AddressExchange exchange, TimeProvider time, ILogger<Caretaker> log)
{
    private static readonly TimeSpan Round = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private const long CorrectFromMs = 10_000;      // less passes by itself within seconds
    private static readonly TimeSpan JoinInterval = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<(GroupId, string Work), Task> _underWay = new();
    private readonly Dictionary<GroupId, long> _leadsSince = [];
    private Task _correcting = Task.CompletedTask;
    private Task _asking = Task.CompletedTask;
    private bool _hasComparedGroups;
    private long _start;
    private long _lastSpread;
    private long _lastJoin;

    public async Task RunAsync(CancellationToken cancellation)
    {
        _start = _lastSpread = _lastJoin = time.GetTimestamp();
        using var timer = new PeriodicTimer(Round, time);
        try
        {
            do
            {
                sightings.Look();
                disk.Look();
                memory.Look();
                await host.StartCreatedAsync(cancellation);
                CareForFirst(cancellation);
                CompleteJoining(cancellation);
                if (_correcting.IsCompleted && ownAddress.IsDue)
                    _correcting = ownAddress.RunAsync(cancellation);
                if (_asking.IsCompleted && exchange.IsDue)
                    _asking = exchange.RunAsync(cancellation);
                foreach (HostedGroup group in groups.All)
                    CareFor(group, cancellation);
                Spread(cancellation);
                foreach (HostedGroup group in logBudget.Look())
                    Begin(group.Id, "snapshot", token => group.Server.TriggerSnapshotAsync(token), cancellation);
            }
            while (await timer.WaitForNextTickAsync(cancellation));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The node stops.
        }

        await Task.WhenAll(_underWay.Values);
        await Task.WhenAll(_correcting, _asking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void CareForFirst(CancellationToken cancellation)
    {
        if (groups.First is not { } first)
            return;

        CompareGroups(first);
        RaftServer server = first.Server;
        if (server.Role != Role.Leader || server.Configuration.IsJoint || server.ConfigurationIndex > server.CommitIndex)
            return;

        HashSet<string> created = [.. first.Machine.CreatedGroups.Select(group => group.Id.Value)];
        foreach (GroupOptions configured in settings.Raft.Groups.Skip(1))
        {
            if (created.Contains(configured.Id))
                continue;

            // Who joins just now asks to be taken into this group as well.
            var id = new GroupId(configured.Id);
            Configuration members = Configuration.Of(server.Configuration.Current.Where(member => member.Kind != MemberKind.Joining));
            Begin(id, "create", token => server.AddSystemEntryAsync(SystemCommands.Encode(new CreateGroup(id, members)), WaitFor.Applied, token), cancellation);
        }
    }

    /// <summary>After formation the log wins; a difference is told once a start.</summary>
    private void CompareGroups(HostedGroup first)
    {
        if (_hasComparedGroups || time.GetElapsedTime(_start) < LeaderSpreading.RestTime || first.Server.CurrentLeader is null)
            return;

        _hasComparedGroups = true;
        string[] configured = [.. settings.Raft.Groups.Select(group => group.Id)];
        string[] running = [.. groups.All.Select(group => group.Id.Value)];
        string missing = string.Join(", ", configured.Except(running, StringComparer.Ordinal));
        string unlisted = string.Join(", ", running.Except(configured, StringComparer.Ordinal).Order(StringComparer.Ordinal));
        if (missing.Length > 0)
            log.GroupsMissing(missing);
        if (unlisted.Length > 0)
            log.GroupsUnlisted(unlisted);
    }

    /// <summary>One that was taken in is perhaps no member of every group yet: it asks until it is. Only the first group's members
    /// are heard, so one that was removed stays out; and a group that has told it anything is not asked for.</summary>
    private void CompleteJoining(CancellationToken cancellation)
    {
        if (time.GetElapsedTime(_lastJoin) < JoinInterval || groups.First?.Server is not { CurrentLeader: { } leader } first || !first.Configuration.Contains(first.Id))
            return;

        _lastJoin = time.GetTimestamp();
        if (groups.All.All(group => group.Server.Configuration.Current.Count > 0)
            || (peers.UrlOf(leader) ?? first.Configuration.All.FirstOrDefault(member => member.Id == leader)?.PeerUrl) is not { } url)
        {
            return;
        }

        JoinRequest request = addresses.JoinRequest(settings.Raft, first.Id.Storage, formerUid: null, isProbe: false);
        Begin(groups.FirstId, "join the other groups", async token =>
        {
            JoinAnswer answer = await Formation.AskToJoinAsync(questions, url, request, token);
            if (answer.GroupsLeft > 0 || answer.Verdict != JoinVerdict.Accepted)
                log.WaitsToForm(answer.Reason);
        }, cancellation);
    }

    private void CareFor(HostedGroup group, CancellationToken cancellation)
    {
        RaftServer server = group.Server;
        NodeId? withRoom = disk.CareFor(group);
        server.ClockOffsetMs = group.Machine.TimeOffsetMs;
        memory.CareFor(group);
        if (server.Role != Role.Leader)
        {
            _leadsSince.Remove(group.Id);
            return;
        }

        _leadsSince.TryAdd(group.Id, time.GetTimestamp());
        if (group.IsOutOfService || drain.IsDraining)
            Begin(group.Id, "hand over", token => server.StepDownAsync(Patience, token), cancellation);
        else if (withRoom is { } other)
            Begin(group.Id, "hand over", token => server.TransferLeadershipAsync(other, Patience, token), cancellation);
        else if (group.Machine.CanCorrectTime && server.WantedClockOffsetMs is var offset && offset - group.Machine.TimeOffsetMs >= CorrectFromMs && server.AreClocksKnown)
            Begin(group.Id, "time correction", token => CorrectTimeAsync(group, offset, token), cancellation);
        else if (group.Machine.PendingHashCheck is { } check)
            Begin(group.Id, "state hash", token => server.AddSystemEntryAsync(SystemCommands.Encode(check), WaitFor.Applied, token), cancellation);
    }

    /// <summary>Only where every member tells its clock: a release that does not would pass the correction over, and its state would differ.</summary>
    private async Task CorrectTimeAsync(HostedGroup group, long offsetMs, CancellationToken cancellation)
    {
        log.CorrectsTime(group.Id, (offsetMs - group.Machine.TimeOffsetMs) / 1000.0);
        await group.Server.AddSystemEntryAsync(SystemCommands.Encode(new TimeCorrection(offsetMs)), WaitFor.Applied, cancellation);
    }

    private void Spread(CancellationToken cancellation)
    {
        if (drain.IsDraining)
            _start = time.GetTimestamp();
        if (groups.Count < 2 || time.GetElapsedTime(_start) < LeaderSpreading.RestTime || time.GetElapsedTime(_lastSpread) < LeaderSpreading.Interval)
            return;

        PeerStatus[] alive = [.. peers.Peers.Where(peer => peer.IsAlive && !peer.LacksSpace)];
        int ownCount = _leadsSince.Count;
        foreach ((GroupId id, long since) in _leadsSince)
        {
            if (time.GetElapsedTime(since) < LeaderSpreading.RestTime || groups.Find(id.Value) is not { } group)
                continue;

            RaftServer server = group.Server;
            PeerStatus[] voters = [.. alive.Where(peer => IsVoter(server.Configuration, new ServerId(peer.Node, peer.Storage)))];
            if (!LeaderSpreading.LeadsTooMany(ownCount, groups.Count, voters.Length + 1)
                || LeaderSpreading.TargetOf(ownCount, voters.Select(peer => (peer.Node, peer.LeadsCount))) is not { } target)
            {
                continue;
            }

            if (Begin(id, "hand over", token => server.TransferLeadershipAsync(target, Patience, token), cancellation))
            {
                log.Spreads(id, target.Value, ownCount);
                _lastSpread = time.GetTimestamp();
            }

            return;
        }
    }

    private static bool IsVoter(Configuration configuration, ServerId server) =>
        !configuration.IsJoint && configuration.Current.Any(member => member.Id == server && member.Kind == MemberKind.Voter);

    /// <summary>Begins a piece of work unless it is under way; what fails is tried again in a later round, if it is still due.</summary>
    private bool Begin(GroupId group, string work, Func<CancellationToken, Task> step, CancellationToken cancellation)
    {
        var key = (group, work);
        if (!_underWay.TryAdd(key, Task.CompletedTask))
            return false;

        Task task = WorkAsync();
        if (!task.IsCompleted)
            _underWay.TryUpdate(key, task, Task.CompletedTask);
        return true;

        async Task WorkAsync()
        {
            await Task.Yield();
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(Patience);
            try
            {
                await step(deadline.Token);
            }
            catch (Exception error) when (error is RaftException or OperationCanceledException)
            {
                log.CareFailed(group, work, error.Message);
                await Task.Delay(RetryPause, time, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            finally
            {
                _underWay.TryRemove(key, out _);
            }
        }
    }
}

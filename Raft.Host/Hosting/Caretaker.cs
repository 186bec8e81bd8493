using System.Collections.Concurrent;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Peers;
using Raft.Host.Settings;
using Raft.Host.StateMachine;

namespace Raft.Host.Hosting;

/// <summary>What has to be done now and then for all groups, in one loop: nothing of it is urgent, and no step waits for another.</summary>
/// <remarks>
/// Everywhere: start groups that the first one's log has created; note who is alive. On a group's leader: propose groups that
/// are configured and not there (first group), state hashes that are due; give leadership up when the state is wrong here,
/// when the node drains, or when it leads more than its share.
/// </remarks>
internal sealed class Caretaker(
    NodeSettings settings, GroupRegistry groups, GroupsHost host, PeerTransport peers, PeerSightings sightings, NodeDrain drain, TimeProvider time,
    ILogger<Caretaker> log)
{
    private static readonly TimeSpan Round = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<(GroupId, string Work), Task> _underWay = new();
    private readonly Dictionary<GroupId, long> _leadsSince = [];
    private readonly HashSet<GroupId> _alarms = [];
    private bool _hasComparedGroups;
    private long _start;
    private long _lastSpread;

    public async Task RunAsync(CancellationToken cancellation)
    {
        _start = _lastSpread = time.GetTimestamp();
        using var timer = new PeriodicTimer(Round, time);
        try
        {
            do
            {
                sightings.Look();
                await host.StartCreatedAsync(cancellation);
                CareForFirst(cancellation);
                foreach (HostedGroup group in groups.All)
                    CareFor(group, cancellation);
                Spread(cancellation);
            }
            while (await timer.WaitForNextTickAsync(cancellation));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The node stops.
        }

        await Task.WhenAll(_underWay.Values);
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
            Begin(id, "create", cancellation, token => server.AddSystemEntryAsync(SystemCommands.CreateGroup(id, members), WaitFor.Applied, token));
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

    private void CareFor(HostedGroup group, CancellationToken cancellation)
    {
        RaftServer server = group.Server;
        if (group.Machine.HashAlarm is { } alarm && _alarms.Add(group.Id))
            log.StateDiffers(group.Id, alarm);
        if (server.Role != Role.Leader)
        {
            _leadsSince.Remove(group.Id);
            return;
        }

        _leadsSince.TryAdd(group.Id, time.GetTimestamp());
        if (group.IsOutOfService || drain.IsDraining)
            Begin(group.Id, "hand over", cancellation, token => server.StepDownAsync(Patience, token));
        else if (group.Machine.PendingHashCheck is { } check)
            Begin(group.Id, "state hash", cancellation, token => server.AddSystemEntryAsync(check, WaitFor.Applied, token));
    }

    private void Spread(CancellationToken cancellation)
    {
        if (drain.IsDraining)
            _start = time.GetTimestamp();
        if (groups.Count < 2 || time.GetElapsedTime(_start) < LeaderSpreading.RestTime || time.GetElapsedTime(_lastSpread) < LeaderSpreading.Interval)
            return;

        PeerStatus[] alive = [.. peers.Peers.Where(peer => peer.IsAlive)];
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

            if (Begin(id, "hand over", cancellation, token => server.TransferLeadershipAsync(target, Patience, token)))
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
    private bool Begin(GroupId group, string work, CancellationToken cancellation, Func<CancellationToken, Task> step)
    {
        var key = (group, work);
        if (!_underWay.TryAdd(key, Task.CompletedTask))
            return false;

        Task task = RunAsync();
        if (!task.IsCompleted)
            _underWay.TryUpdate(key, task, Task.CompletedTask);
        return true;

        async Task RunAsync()
        {
            await Task.Yield();
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(Patience);
            try
            {
                await step(deadline.Token);
            }
            catch (RaftException error)
            {
                if (!cancellation.IsCancellationRequested)
                    log.CareFailed(group, work, error.Message);
            }
            finally
            {
                _underWay.TryRemove(key, out _);
            }
        }
    }
}

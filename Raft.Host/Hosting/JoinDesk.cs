using System.Globalization;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Peers;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Takes nodes in, on the leader of the first group: one change of members in every group. Thread-safe.</summary>
public sealed class JoinDesk : IDisposable
{
    private static readonly TimeSpan ChangePatience = TimeSpan.FromSeconds(5);

    private readonly NodeSettings _settings;
    private readonly GroupRegistry _groups;
    private readonly FormationDesk _desk;
    private readonly PeerSightings _sightings;
    private readonly PeerTransport _peers;
    private readonly ILogger<JoinDesk> _log;

    // One asker at a time: a change of members is refused while another is under way.
    private readonly SemaphoreSlim _turn = new(1);

    public JoinDesk(NodeSettings settings, GroupRegistry groups, FormationDesk desk, PeerSightings sightings, PeerTransport peers, ILogger<JoinDesk> log)
    {
        _settings = settings;
        _groups = groups;
        _desk = desk;
        _sightings = sightings;
        _peers = peers;
        _log = log;
    }

    public void Dispose() => _turn.Dispose();

    /// <summary>Decides here if this node leads the first group, else says who does.</summary>
    public async Task<JoinAnswer> AnswerAsync(JoinRequest request, CancellationToken cancellation)
    {
        // A former release sends the endpoint of every address that it listens on: nobody can dial it.
        if (Uri.TryCreate(request.ApiUrl, UriKind.Absolute, out Uri? api) && RaftOptionsValidator.IsEveryAddress(api))
            request = request with { ApiUrl = "" };
        if (_desk.Uid is not { } uid || _groups.First is not { } first)
            return new JoinAnswer(JoinVerdict.Wait, $"'{_settings.Raft.NodeId}' is in no cluster, or is starting.");
        if (!RaftOptionsValidator.IsName(request.NodeId) || !RaftOptionsValidator.IsAddress(request.PeerUrl)
            || (request.ApiUrl.Length > 0 && !RaftOptionsValidator.IsAddress(request.ApiUrl)))
        {
            return new JoinAnswer(JoinVerdict.Refused, "The node id or an address of the asker is none.");
        }

        RaftServer server = first.Server;
        if (server.Role != Role.Leader)
            return Redirect(server);

        var rules = new JoinRules(
            server.Id, _settings.Raft.ClusterId, uid, first.Id, _settings.Raft.Rejoin, 10 * _settings.Raft.ElectionTicks * TimeSpan.FromMilliseconds(_settings.Raft.TickMs));
        JoinAnswer answer = rules.Judge(request, server.Configuration, _sightings.SilentFor);
        if (request.IsProbe || answer.Verdict != JoinVerdict.Accepted)
            return answer with { Uid = uid.ToString() };

        if (!await _turn.WaitAsync(ChangePatience, cancellation))
            return new JoinAnswer(JoinVerdict.Wait, "Another node is being taken in.");
        try
        {
            // Again, by the very configuration that is changed: who was removed meanwhile must not come back by this.
            ServerStatus judged = server.Status;
            answer = rules.Judge(request, judged.Configuration, _sightings.SilentFor);
            return answer.Verdict == JoinVerdict.Accepted
                ? await TakeInAsync(request, answer, uid, first, judged)
                : answer with { Uid = uid.ToString() };
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>To where the leader is reached now, which the log need not know yet.</summary>
    private JoinAnswer Redirect(RaftServer server)
    {
        string? url = server.CurrentLeader is { } leader
            ? _peers.UrlOf(leader) ?? server.Configuration.All.FirstOrDefault(member => member.Id == leader)?.PeerUrl
            : null;
        return url is null
            ? new JoinAnswer(JoinVerdict.Wait, "The first group has no leader at the moment.")
            : new JoinAnswer(JoinVerdict.Redirected, $"'{server.CurrentLeader?.Node}' leads.") { LeaderUrl = url };
    }

    /// <summary>The first group decides; the others follow, and what fails there is asked for again.</summary>
    private async Task<JoinAnswer> TakeInAsync(JoinRequest request, JoinAnswer answer, ClusterUid uid, HostedGroup first, ServerStatus judged)
    {
        // Not the request's own token: who goes away in the middle finds itself a member when it comes back.
        using var deadline = new CancellationTokenSource(ChangePatience);
        if (await TryChangeAsync(request, first, judged, deadline.Token) is { } failure)
            return new JoinAnswer(JoinVerdict.Wait, failure);

        HostedGroup[] others = [.. _groups.All.Where(group => group.Id != first.Id)];
        string?[] failures = await Task.WhenAll(others.Select(group => TryChangeAsync(request, group, group.Server.Status, deadline.Token)));
        int left = failures.Count(text => text is not null);
        string reason = left == 0
            ? answer.Reason
            : string.Create(CultureInfo.InvariantCulture, $"{answer.Reason} In {left} of {others.Length + 1} groups not yet: {failures.First(text => text is not null)}");
        return answer with { Reason = reason, Uid = uid.ToString(), GroupsLeft = left };
    }

    /// <summary>Null when the group names the asker; else why not.</summary>
    private async Task<string?> TryChangeAsync(JoinRequest request, HostedGroup group, ServerStatus seen, CancellationToken cancellation)
    {
        if (JoinRules.ChangeFor(request, seen.Configuration) is not { } change)
            return null;

        try
        {
            await group.Server.ChangeMembersAsync(change with { ExpectedIndex = seen.ConfigurationIndex }, cancellation);
            _log.TookIn(request.NodeId, request.StorageId, group.Id, change.Remove.Count > 0);
            return null;
        }
        catch (RaftException error)
        {
            return $"Group {group.Id}: {error.Message}";
        }
    }
}

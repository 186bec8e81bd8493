using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>The cluster that a node is in.</summary>
public sealed record FormedCluster(ClusterUid Uid, Configuration First);

/// <summary>How empty nodes become one cluster, in whatever order they start. Design 4.5.</summary>
/// <remarks>
/// 1. A new node asks every peer of Members, again and again.
/// 2. One is in a cluster that names this very storage id: adopt it.
/// 3. All are new, with the same Members: the smallest node id writes the first configuration.
/// 4. Anything else: wait, and say why.
/// </remarks>
public sealed class Formation : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    private readonly NodeSettings _settings;
    private readonly FormationDesk _desk;
    private readonly NodeState _state;
    private readonly ILogger<Formation> _log;
    private readonly HttpClient _http;
    private string? _lastReason;

    public Formation(NodeSettings settings, FormationDesk desk, NodeState state, ILogger<Formation> log)
        : this(settings, desk, state, log, new SocketsHttpHandler { ConnectTimeout = AnswerTimeout, UseProxy = false })
    {
    }

    internal Formation(NodeSettings settings, FormationDesk desk, NodeState state, ILogger<Formation> log, HttpMessageHandler network)
    {
        _settings = settings;
        _desk = desk;
        _state = state;
        _log = log;
        _http = new HttpClient(network)
        {
            Timeout = AnswerTimeout,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            MaxResponseContentBufferSize = 1 << 20,
        };
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Returns once this node's directory durably belongs to a cluster. Only for one that never did.</summary>
    public async Task<FormedCluster> RunAsync(IFormationDirectory directory, CancellationToken cancellation)
    {
        RaftOptions options = _settings.Raft;
        if (options.Members.Count == 0)
            return await FormAloneAsync(directory, cancellation);

        _desk.BecomeNew(directory.StorageId);
        var self = new ServerId(new NodeId(options.NodeId), directory.StorageId);
        MemberOptions[] peers = [.. options.Members.Where(member => member.Id != options.NodeId)];
        bool isFormer = peers.All(peer => string.CompareOrdinal(options.NodeId, peer.Id) < 0);
        var question = new FormationQuestion(options.ClusterId, options.NodeId, directory.StorageId.ToString(), directory.StartCount, _desk.MembersHash);
        TimeSpan pause = FirstPause;
        while (true)
        {
            FormationAnswer?[] answers = await Task.WhenAll(peers.Select(peer => AskAsync(peer, question, cancellation)));
            cancellation.ThrowIfCancellationRequested();
            FormationView view = FormationView.Of(options, self, _desk.MembersHash, peers, answers);

            if (view.Offer is { } offer && await TryAdoptAsync(directory, offer, view) is { } adopted)
                return adopted;
            if (view.Storages is { } storages && isFormer)
                return await FormAsync(directory, FirstConfiguration.Of(options.Members, storages));

            string reason = view.Obstacle
                ?? (isFormer ? "All members have answered." : $"All members are new; waiting for '{options.Members.Min(member => member.Id)}' to form the cluster.");
            Explain(reason, view.NeedsPeople);
            await Task.Delay(pause, cancellation);
            pause = TimeSpan.FromTicks(Math.Min((long)(pause.Ticks * 1.5), LongestPause.Ticks));
        }
    }

    private async Task<FormedCluster> FormAloneAsync(IFormationDirectory directory, CancellationToken cancellation)
    {
        if (!_settings.Raft.Bootstrap)
        {
            string reason = "The node is empty, Raft:Members is empty, and Raft:Bootstrap is false: it belongs to no cluster and may not form one. " +
                "List the members in Raft:Members, or set Raft:Bootstrap=true for a cluster of one.";
            _desk.Refuse(reason);
            Explain(reason, needsPeople: true);
            await Task.Delay(Timeout.Infinite, cancellation);
        }

        var self = new MemberOptions
        {
            Id = _settings.Raft.NodeId,
            PeerUrl = _settings.Endpoints.Peer.GetLeftPart(UriPartial.Authority),
            ApiUrl = _settings.Endpoints.Api.GetLeftPart(UriPartial.Authority),
        };
        return await FormAsync(directory, FirstConfiguration.Of([self], new Dictionary<string, StorageId> { [self.Id] = directory.StorageId }));
    }

    private async Task<FormedCluster> FormAsync(IFormationDirectory directory, Configuration first)
    {
        ClusterUid uid = FirstConfiguration.UidOf(_settings.Raft.ClusterId, first);
        await directory.FormAsync(uid, GroupRegistry.DefaultGroup, first);
        _log.Formed(_settings.Raft.ClusterId, uid, Names(first));
        return new FormedCluster(uid, first);
    }

    private async Task<FormedCluster?> TryAdoptAsync(IFormationDirectory directory, FormedCluster offer, FormationView view)
    {
        Member former = FirstConfiguration.FormerOf(offer.First);
        if (!_desk.TryBeginAdopting(former))
        {
            view.Obstacle = $"A cluster formed by storage {former.Storage} of '{former.Node}' was offered, but this node has since answered another " +
                $"start of '{former.Node}' and waits for that one's cluster. If '{former.Node}' is gone for good, restart this node.";
            view.NeedsPeople = true;
            return null;
        }

        await directory.FormAsync(offer.Uid, GroupRegistry.DefaultGroup, offer.First);
        _log.Adopted(_settings.Raft.ClusterId, offer.Uid, Names(offer.First));
        return offer;
    }

    private async Task<FormationAnswer?> AskAsync(MemberOptions peer, FormationQuestion question, CancellationToken cancellation)
    {
        try
        {
            var address = new Uri(new Uri(peer.PeerUrl), FormationEndpoint.Path);
            using HttpResponseMessage response = await _http.PostAsJsonAsync(address, question, FormationJson.Default.FormationQuestion, cancellation);
            return response.IsSuccessStatusCode
                ? await response.Content.ReadFromJsonAsync(FormationJson.Default.FormationAnswer, cancellation)
                : null;
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException or JsonException or IOException)
        {
            return null; // not there, or not one of us: the reason says who has not answered
        }
    }

    private void Explain(string reason, bool needsPeople)
    {
        _state.Enter(NodePhase.Forming, reason);
        if (reason == _lastReason)
            return;

        _lastReason = reason;
        if (needsPeople)
            _log.CannotForm(reason);
        else
            _log.WaitsToForm(reason);
    }

    private static string Names(Configuration configuration) => string.Join(", ", configuration.Current.Select(member => member.Node.Value));
}

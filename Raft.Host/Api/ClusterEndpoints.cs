using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Monitoring;
using Raft.Host.Settings;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>This node, the others, the groups, the configuration. None of it needs a leader.</summary>
internal sealed class ClusterEndpoints(ApiServices services, Readiness readiness, FormationDesk desk, NodeSettings settings) : IDisposable
{
    private static readonly TimeSpan MemberPatience = TimeSpan.FromMilliseconds(500);
    private static readonly string[] SecretNames = ["password", "secret", "token"];

    private readonly HttpClient _http = new() { Timeout = MemberPatience };

    public void Dispose() => _http.Dispose();

    public Task StatusAsync(HttpContext context) => Answers.WriteJsonAsync(context, StatusCodes.Status200OK, OwnStatus(), ApiJson.Default.NodeStatusDocument);

    public Task GroupsAsync(HttpContext context) =>
        Answers.WriteJsonAsync(context, StatusCodes.Status200OK,
            new GroupListDocument([.. services.Groups.All.Select(group => group.Id.Value).Order(StringComparer.Ordinal)]), ApiJson.Default.GroupListDocument);

    /// <summary>One picture: every member is asked for its own status, all at once, for half a second.</summary>
    public async Task ClusterAsync(HttpContext context)
    {
        HostedGroup[] groups = [.. services.Groups.All.OrderBy(group => group.Id.Value, StringComparer.Ordinal)];
        RaftServer? first = (groups.FirstOrDefault(group => group.Id == GroupRegistry.DefaultGroup) ?? groups.FirstOrDefault())?.Server;
        NodeStatusDocument own = OwnStatus();
        MemberDocument[] members = first is null
            ? await Task.WhenAll(settings.Raft.Members.Select(member => ListedAsync(member, own, context.RequestAborted)))
            : await Task.WhenAll(first.Configuration.All.Select(member => MemberAsync(member, first, own, context.RequestAborted)));
        var picture = new ClusterDocument(
            services.Settings.ClusterId, own.ClusterUid, services.Settings.NodeId, [.. groups.Select(GroupPicture)], members);
        await Answers.WriteJsonAsync(context, StatusCodes.Status200OK, picture, ApiJson.Default.ClusterDocument);
    }

    /// <summary>As it is in force; secrets are masked.</summary>
    public Task ConfigAsync(HttpContext context)
    {
        JsonNode config = JsonSerializer.SerializeToNode(settings.Raft, ApiJson.Default.RaftOptions)!;
        Mask(config);
        return Answers.WriteJsonAsync(context, json =>
        {
            json.WriteStartObject();
            json.WritePropertyName("raft");
            config.WriteTo(json);
            json.WriteEndObject();
        });
    }

    private NodeStatusDocument OwnStatus()
    {
        NodeState.Snapshot now = services.State.Now;
        ReadinessReport report = readiness.Now();
        HostedGroup[] groups = [.. services.Groups.All.OrderBy(group => group.Id.Value, StringComparer.Ordinal)];
        RaftServer? server = groups.FirstOrDefault()?.Server;
        return new NodeStatusDocument(
            services.Settings.NodeId, services.Settings.ClusterId, desk.Uid?.ToString(), server?.Id.Storage.ToString(), server?.Settings.Protocol.StartCount,
            ApiSettings.Version, Names.Of(now.Phase), now.Reason, report.IsReady, report.Reasons, [.. groups.Select(StatusOf)]);
    }

    private static GroupStatusDocument StatusOf(HostedGroup group)
    {
        ServerStatus server = group.Server.Status;
        StoreStatus store = group.Store!.Status;
        return new GroupStatusDocument(
            group.Id.Value, Names.Of(server.Role), server.Term.Value, server.Leader?.Node.Value,
            server.CommitIndex.Value, server.AppliedIndex.Value, server.DurableIndex.Value, server.FirstIndex.Value, server.LastIndex.Value, server.ConfigurationIndex.Value,
            store.StateHash.ToString("x32", System.Globalization.CultureInfo.InvariantCulture), store.AppliedIndex,
            new JournalStatusDocument(store.JournalFirstIndex, store.JournalLastIndex, store.JournalBytes), store.Keys, store.KeyValueBytes, store.IdempotencyKeys);
    }

    private static ClusterGroupDocument GroupPicture(HostedGroup group)
    {
        ServerStatus server = group.Server.Status;
        return new ClusterGroupDocument(
            group.Id.Value, server.Leader?.Node.Value, server.Term.Value, server.ConfigurationIndex.Value, server.Configuration.IsJoint,
            [.. server.Configuration.Current.Where(member => member.Kind == MemberKind.Voter).Select(member => member.Node.Value)]);
    }

    private async Task<MemberDocument> MemberAsync(Member member, RaftServer server, NodeStatusDocument own, CancellationToken cancellation)
    {
        ServerStatus seen = server.Status;
        bool isSelf = member.Id == server.Id;
        (NodeStatusDocument? status, string? error) = isSelf ? (own, null) : await AskAsync(member.ApiUrl, cancellation);
        PeerProgress? progress = seen.Role == Role.Leader ? Find(seen.Peers, member.Id) : null;
        long? match = isSelf ? seen.DurableIndex.Value : progress?.MatchIndex.Value;
        return new MemberDocument(
            member.Node.Value, member.Storage.ToString(), Names.Of(member.Kind), member.PeerUrl, member.ApiUrl, seen.Leader == member.Id,
            isSelf || status is not null || progress?.IsAlive == true,
            match, match is null ? null : Math.Max(0, seen.CommitIndex.Value - match.Value), progress?.State, status, error);
    }

    private static PeerProgress? Find(IReadOnlyList<PeerProgress> peers, ServerId server)
    {
        foreach (PeerProgress peer in peers)
        {
            if (peer.Server == server)
                return peer;
        }

        return null;
    }

    /// <summary>Before there is a cluster: those that the configuration lists.</summary>
    private async Task<MemberDocument> ListedAsync(MemberOptions member, NodeStatusDocument own, CancellationToken cancellation)
    {
        bool isSelf = member.Id == own.Node;
        (NodeStatusDocument? status, string? error) = isSelf ? (own, null) : await AskAsync(member.ApiUrl, cancellation);
        return new MemberDocument(
            member.Id, status?.StorageId ?? "", member.Voter ? "voter" : "learner", member.PeerUrl, member.ApiUrl, IsLeader: false, status is not null,
            MatchIndex: null, Lag: null, ReplicationState: null, status, error);
    }

    private async Task<(NodeStatusDocument?, string?)> AskAsync(string apiUrl, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(apiUrl, UriKind.Absolute, out Uri? address))
            return (null, "No ApiUrl is known of it.");

        try
        {
            return (await _http.GetFromJsonAsync(new Uri(address, "/v1/status"), ApiJson.Default.NodeStatusDocument, cancellation), null);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return (null, $"It did not answer within {MemberPatience.TotalMilliseconds} ms.");
        }
        catch (Exception error) when (error is HttpRequestException or JsonException)
        {
            return (null, error.Message);
        }
    }

    private static void Mask(JsonNode? node)
    {
        if (node is JsonArray array)
        {
            foreach (JsonNode? item in array)
                Mask(item);
        }
        else if (node is JsonObject members)
        {
            foreach ((string name, JsonNode? value) in members.ToArray())
            {
                if (value is JsonValue && SecretNames.Any(secret => name.EndsWith(secret, StringComparison.OrdinalIgnoreCase)))
                    members[name] = "***";
                else
                    Mask(value);
            }
        }
    }
}

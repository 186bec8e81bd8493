using System.Text.Json;
using System.Text.Json.Nodes;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.Monitoring;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>This node, the others, the groups, the configuration. None of it needs a leader.</summary>
internal sealed class ClusterEndpoints(ApiServices services, Readiness readiness, FormationDesk desk, NodeSettings settings, NodeDrain drain, DiskWatermark disk, MemoryWatch memory, StateBudget states, OtherNodes others)
{
    private static readonly TimeSpan MemberPatience = TimeSpan.FromMilliseconds(500);
    private static readonly string[] SecretNames = ["password", "secret", "token"];

    public Task StatusAsync(HttpContext context) => Answers.WriteJsonAsync(context, StatusCodes.Status200OK, OwnStatus(), ApiJson.Default.NodeStatusDocument);

    public Task GroupsAsync(HttpContext context) =>
        Answers.WriteJsonAsync(context, StatusCodes.Status200OK,
            new GroupListDocument([.. services.Groups.All.OrderBy(group => group.Id.Value, StringComparer.Ordinal).Select(group => GroupDocuments.Of(group, readiness))]), ApiJson.Default.GroupListDocument);

    /// <summary>One picture: every member is asked for its own status, all at once, for half a second.</summary>
    public async Task ClusterAsync(HttpContext context)
    {
        HostedGroup[] groups = [.. services.Groups.All.OrderBy(group => group.Id.Value, StringComparer.Ordinal)];
        RaftServer? first = services.Groups.First?.Server;
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
            ApiSettings.Version, Names.Of(now.Phase), now.Reason, report.IsReady, report.Reasons, drain.IsDraining, disk.Shortage,
            memory.Shortage, states.StateBytes, states.MaxBytes, [.. groups.Select(GroupDocuments.StatusOf)]);
    }

    private static ClusterGroupDocument GroupPicture(HostedGroup group)
    {
        ServerStatus server = group.Server.Status;
        return new ClusterGroupDocument(
            group.Id.Value, server.Leader?.Node.Value, server.Term.Value, server.ConfigurationIndex.Value, server.Configuration.IsJoint,
            [.. server.Configuration.Current.Where(member => member.Kind == MemberKind.Voter).Select(member => member.Node.Value)], GroupDocuments.ConfigurationOf(server));
    }

    private async Task<MemberDocument> MemberAsync(Member member, RaftServer server, NodeStatusDocument own, CancellationToken cancellation)
    {
        ServerStatus seen = server.Status;
        bool isSelf = member.Id == server.Id;
        (NodeStatusDocument? status, string? error) = isSelf ? (own, null) : await AskAsync(member.ApiUrl, cancellation);
        PeerProgress? progress = seen.Role == Role.Leader ? GroupDocuments.Find(seen.Peers, member.Id) : null;
        long? match = isSelf ? seen.DurableIndex.Value : progress?.MatchIndex.Value;
        return new MemberDocument(
            member.Node.Value, member.Storage.ToString(), Names.Of(member.Kind), member.PeerUrl, member.ApiUrl, seen.Leader == member.Id,
            isSelf || status is not null || progress?.IsAlive == true,
            match, match is null ? null : Math.Max(0, seen.CommitIndex.Value - match.Value), progress?.State, status, error);
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

    private Task<(NodeStatusDocument?, string?)> AskAsync(string apiUrl, CancellationToken cancellation) =>
        others.AskAsync(apiUrl, "/v1/status", ApiJson.Default.NodeStatusDocument, MemberPatience, cancellation);

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

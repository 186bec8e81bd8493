using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>How others reach this node: as Raft:AdvertisedPeerUrl says, else as Members lists it, else as it listens.</summary>
public sealed class NodeAddresses(NodeSettings settings, BoundEndpoints bound)
{
    private readonly MemberOptions? _listed = settings.Raft.Members.Find(member => member.Id == settings.Raft.NodeId);

    /// <summary>Where the other nodes reach this one.</summary>
    public string PeerUrl => ConfiguredPeerUrl ?? BoundEndpoints.UrlOf(bound.Peer, settings.Endpoints.Peer);

    /// <summary>Where clients reach this node; empty: not told.</summary>
    public string ApiUrl => ConfiguredApiUrl
        ?? (RaftOptionsValidator.IsEveryAddress(settings.Endpoints.Api) ? "" : BoundEndpoints.UrlOf(bound.Api, settings.Endpoints.Api));

    /// <summary>What an operator wrote of <see cref="PeerUrl"/>; null: nothing.</summary>
    public string? ConfiguredPeerUrl => First(settings.Raft.AdvertisedPeerUrl, _listed?.PeerUrl);

    /// <summary>What an operator wrote of <see cref="ApiUrl"/>; null: nothing.</summary>
    public string? ConfiguredApiUrl => First(settings.Raft.AdvertisedApiUrl, _listed?.ApiUrl);

    /// <summary>Peer URLs of the other nodes by node id, as Raft:Members lists them.</summary>
    internal static Dictionary<string, string> HintsOf(RaftOptions options) => options.Members
        .Where(member => member.Id != options.NodeId)
        .ToDictionary(member => member.Id, member => FirstConfiguration.Normal(member.PeerUrl), StringComparer.Ordinal);

    internal MemberOptions AsMember(string id) => new() { Id = id, PeerUrl = PeerUrl, ApiUrl = ApiUrl };

    internal JoinRequest JoinRequest(RaftOptions options, StorageId storage, ClusterUid? formerUid, bool isProbe) => new(
        options.ClusterId,
        options.Groups[0].Id,
        options.NodeId,
        storage.ToString(),
        FirstConfiguration.Normal(PeerUrl),
        FirstConfiguration.Normal(ApiUrl),
        IsVoter: _listed?.Voter ?? true,
        IsTold: options.Join.Count > 0,
        formerUid?.ToString(),
        isProbe);

    private static string? First(string advertised, string? listed) => advertised.Length > 0 ? advertised : string.IsNullOrEmpty(listed) ? null : listed;
}

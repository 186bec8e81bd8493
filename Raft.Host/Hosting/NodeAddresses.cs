using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>How others reach this node: as Members lists it, else as it listens.</summary>
public sealed class NodeAddresses(NodeSettings settings, BoundEndpoints bound)
{
    private readonly MemberOptions? _listed = settings.Raft.Members.Find(member => member.Id == settings.Raft.NodeId);

    public string PeerUrl => _listed?.PeerUrl ?? BoundEndpoints.UrlOf(bound.Peer, settings.Endpoints.Peer);

    public string ApiUrl => _listed?.ApiUrl ?? BoundEndpoints.UrlOf(bound.Api, settings.Endpoints.Api);

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
}

using Raft.Engine.Protocol;
using Raft.Host.Hosting;
using Raft.Host.Peers;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>How this node reaches the others, and another way if an operator knows one. Neither needs a quorum.</summary>
internal sealed class PeersEndpoints(ApiServices services, PeerTransport peers)
{
    public Task ListAsync(HttpContext context)
    {
        services.GroupOf(context);
        PeerDocument[] known = [.. peers.Peers.Select(DocumentOf)];
        return Answers.WriteJsonAsync(context, StatusCodes.Status200OK, new PeerListDocument(services.Settings.NodeId, known), ApiJson.Default.PeerListDocument);
    }

    /// <summary>Addresses for this process to try, before all others. They change no configuration: who is there must still prove
    /// by the handshake that it is the member.</summary>
    public async Task AddAddressesAsync(HttpContext context)
    {
        services.GroupOf(context);
        PeerAddressesRequest request = await RequestBody.JsonAsync(context, services, RequestJson.Default.PeerAddressesRequest)
            ?? throw new ProblemException(Problems.BadRequest("bad-body", "The body is missing: {\"addresses\":[{\"id\":...,\"peerUrl\":...}, ...]}."));
        foreach (PeerAddressRequest address in request.Addresses)
            Check(address);
        if (request.Addresses.GroupBy(address => address.Id).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new ProblemException(Problems.BadRequest("duplicate-member", $"'{twice.Key}' is listed {twice.Count()} times; each member once."));

        // The same list may be sent to every node: a node does not dial itself.
        PeerAddressRequest[] others = [.. request.Addresses.Where(address => address.Id != services.Settings.NodeId)];
        string[] known = [.. peers.Peers.Select(peer => peer.Node.Value)];
        if (others.FirstOrDefault(address => !known.Contains(address.Id)) is { } stranger)
            throw new ProblemException(Problems.UnknownMember(stranger.Id, "any group on this node"));

        foreach (PeerAddressRequest address in others)
            peers.TryReachAt(new NodeId(address.Id), FirstConfiguration.Normal(address.PeerUrl));
        await ListAsync(context);
    }

    private static void Check(PeerAddressRequest? address)
    {
        if (address is null)
            throw new ProblemException(Problems.BadRequest("bad-body", "An address is null; allowed: {\"id\":...,\"peerUrl\":...}."));
        if (!RaftOptionsValidator.IsName(address.Id))
            throw new ProblemException(Problems.BadNodeId("id", address.Id));
        if (!RaftOptionsValidator.IsAddress(address.PeerUrl))
            throw new ProblemException(Problems.BadRequest("bad-address", $"peerUrl of '{address.Id}' is '{address.PeerUrl}'; allowed: {RaftOptionsValidator.AddressRange}."));
    }

    private static PeerDocument DocumentOf(PeerStatus peer) => new(
        peer.Node.Value, peer.Storage.ToString(), peer.IsMember, peer.IsConnected, peer.IsAlive, peer.RoundTrip?.TotalMilliseconds,
        [.. peer.Addresses.Select(address => new PeerAddressDocument(address.Url, Names.Of(address.Source), address.LastError))]);
}

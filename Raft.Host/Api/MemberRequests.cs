using System.Collections.Concurrent;
using Raft.Engine.Protocol;
using Raft.Host.Hosting;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>What a client writes of members, checked and made complete: what is left out stays as it is, and whose disk a new
/// one has is asked of the node itself.</summary>
/// <remarks>One per request: a node is asked once, however many groups it is to be a member of.</remarks>
internal sealed class MemberRequests(ClusterMembers nodes, bool isForced)
{
    private readonly ConcurrentDictionary<(string Node, string PeerUrl), Task<StorageId>> _asked = new();

    /// <summary>Each by itself, before any group is looked at.</summary>
    /// <exception cref="ProblemException">400.</exception>
    public static void Check(MemberRequest member)
    {
        if (!RaftOptionsValidator.IsName(member.Id))
            throw new ProblemException(Problems.BadNodeId("id", member.Id));
        CheckAddress(member.Id, "peerUrl", member.PeerUrl);
        if (member.ApiUrl != "")        // empty: not told
            CheckAddress(member.Id, "apiUrl", member.ApiUrl);
    }

    /// <exception cref="ProblemException">400: empty, without a voter, or something twice.</exception>
    public static void Check(IReadOnlyList<MemberRequest> members)
    {
        foreach (MemberRequest member in members)
            Check(member);
        if (members.GroupBy(member => member.Id).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new ProblemException(Problems.BadRequest("duplicate-member", $"'{twice.Key}' is listed {twice.Count()} times; each member once."));
        if (members.Where(member => member.PeerUrl is not null).GroupBy(member => Address(member.PeerUrl!)).FirstOrDefault(same => same.Count() > 1) is { } shared) // not null: filtered
            throw new ProblemException(Problems.BadRequest("duplicate-member", $"{string.Join(" and ", shared.Select(member => $"'{member.Id}'"))} have the same peerUrl {shared.Key}."));
        if (members.All(member => member.Voter == false))
            throw new ProblemException(Problems.BadRequest("no-voters", "The wanted set has no voter, so nobody could lead; allowed: at least one member that is not 'voter: false'."));
    }

    /// <summary>The member that is wanted of a group.</summary>
    public async Task<Member> CompleteAsync(MemberRequest wanted, Configuration configuration, CancellationToken cancellation)
    {
        Member? existing = Find(configuration, wanted.Id);
        string peerUrl = wanted.PeerUrl is { } address ? Address(address)
            : existing?.PeerUrl ?? throw new ProblemException(Problems.BadRequest("bad-address", $"'{wanted.Id}' is no member yet, so its peerUrl is needed; allowed: {RaftOptionsValidator.AddressRange}."));
        string apiUrl = wanted.ApiUrl is { } api ? Address(api) : existing?.ApiUrl ?? "";
        MemberKind kind = wanted.Voter switch
        {
            true => MemberKind.Voter,
            false => MemberKind.Learner,
            null => existing?.Kind == MemberKind.Learner ? MemberKind.Learner : MemberKind.Voter,
        };
        if (configuration.Current.FirstOrDefault(member => member.Node.Value != wanted.Id && Address(member.PeerUrl) == peerUrl) is { } other && existing?.PeerUrl != peerUrl)
            throw new ProblemException(Problems.AddressInUse(peerUrl, other.Node.Value));

        var node = new NodeId(wanted.Id);
        StorageId storage = existing is not null && (isForced || Address(existing.PeerUrl) == peerUrl)
            ? existing.Storage
            : await StorageOfAsync(node, peerUrl, apiUrl, kind, cancellation);
        if (existing is not null && storage != existing.Storage)
            throw new ProblemException(Problems.OtherDisk(wanted.Id, peerUrl));
        return new Member(node, storage, kind, peerUrl, apiUrl);
    }

    public static Member? Find(Configuration configuration, string node) =>
        configuration.Current.FirstOrDefault(member => member.Node.Value == node) ?? configuration.Previous.FirstOrDefault(member => member.Node.Value == node);

    private async Task<StorageId> StorageOfAsync(NodeId node, string peerUrl, string apiUrl, MemberKind kind, CancellationToken cancellation) =>
        await _asked.GetOrAdd((node.Value, peerUrl), async _ => (await nodes.ResolveAsync(node, peerUrl, apiUrl, kind, cancellation)).Storage);

    private static void CheckAddress(string node, string name, string? address)
    {
        if (address is not null && !RaftOptionsValidator.IsAddress(address))
            throw new ProblemException(Problems.BadRequest("bad-address", $"{name} of '{node}' is '{address}'; allowed: {RaftOptionsValidator.AddressRange}."));
    }

    /// <summary>So that the same address is the same text.</summary>
    private static string Address(string url) => FirstConfiguration.Normal(url);
}

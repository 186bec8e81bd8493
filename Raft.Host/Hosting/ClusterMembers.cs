using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>The node that was named as a member could not be asked, or is not the one that was meant. Nothing was submitted.</summary>
public sealed class MemberUnreachableException(NodeId node, string detail) : RaftException(detail, WriteOutcome.NotSubmitted)
{
    public NodeId Node { get; } = node;
}

/// <summary>From what an operator knows of a node, its name and addresses, to a member: the node itself says on which disk it is.</summary>
public sealed class ClusterMembers(NodeSettings settings, FormationDesk desk, PeerQuestions questions)
{
    /// <summary>Asks the node at <paramref name="peerUrl"/> for its storage id. One that waits for a cluster adopts this one, and is empty until it is a member.</summary>
    /// <exception cref="MemberUnreachableException">It does not answer, is in another cluster, or says that it is another node.</exception>
    public async Task<Member> ResolveAsync(NodeId node, string peerUrl, string apiUrl, MemberKind kind, CancellationToken cancellation)
    {
        if (!RaftOptionsValidator.IsName(node.Value))
            throw new InvalidConfigurationException($"'{node}' is no node id; allowed: {RaftOptionsValidator.NameRange}.");
        if (!RaftOptionsValidator.IsAddress(peerUrl))
            throw new InvalidConfigurationException($"'{peerUrl}' is no address of a Peer endpoint; allowed: {RaftOptionsValidator.AddressRange}.");
        if (apiUrl.Length > 0 && !RaftOptionsValidator.IsAddress(apiUrl))
            throw new InvalidConfigurationException($"'{apiUrl}' is no address of an Api endpoint; allowed: {RaftOptionsValidator.AddressRange}; or nothing.");
        if (desk.Uid is not { } uid)
            throw new MemberUnreachableException(node, "This node is in no cluster itself.");

        var invitation = new Invitation(settings.Raft.ClusterId, uid.ToString(), node.Value);
        InvitationAnswer? answer;
        try
        {
            answer = await questions.AskAsync(peerUrl, invitation, cancellation);
        }
        catch (OperationCanceledException)
        {
            answer = null;
        }

        return answer switch
        {
            null => throw new MemberUnreachableException(node, $"'{node}' does not answer at {peerUrl}. Start it, or correct the address."),
            { IsTaken: true, StorageId: { } storage } =>
                new Member(node, StorageId.Parse(storage), kind, FirstConfiguration.Normal(peerUrl), FirstConfiguration.Normal(apiUrl)),
            _ => throw new MemberUnreachableException(node, $"The node at {peerUrl} cannot become '{node}' of this cluster: {answer.Reason}."),
        };
    }
}

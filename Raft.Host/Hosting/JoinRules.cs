using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Who may be taken into a cluster, and how. Design 4.5.</summary>
/// <param name="Self">The leader that decides.</param>
/// <param name="ClusterId">Of this cluster.</param>
/// <param name="Uid">Of this cluster.</param>
/// <param name="FirstGroup">Of this cluster.</param>
/// <param name="Rejoin">Whether a node under a known id is replaced without an operator.</param>
/// <param name="ReplaceAfter">For how long its former self must have been silent.</param>
internal sealed record JoinRules(
    ServerId Self, string ClusterId, ClusterUid Uid, GroupId FirstGroup, RejoinMode Rejoin, TimeSpan ReplaceAfter)
{
    /// <summary>What a request deserves.</summary>
    /// <param name="request">Of the asker.</param>
    /// <param name="configuration">Of the first group, as its leader has it.</param>
    /// <param name="silentFor">For how long a server was not alive; zero: it is.</param>
    public JoinAnswer Judge(JoinRequest request, Configuration configuration, Func<ServerId, TimeSpan> silentFor)
    {
        if (request.ClusterId != ClusterId)
            return Refuse($"This cluster is '{ClusterId}', the asker is of '{request.ClusterId}'. Correct Raft:ClusterId or the address.");
        if (request.FirstGroup != FirstGroup.Value)
            return Refuse($"The first group of this cluster is '{FirstGroup}', the asker's '{request.FirstGroup}'. Correct Raft:Groups:0.");
        if (request.FormerUid is { } former && former != Uid.ToString())
            return Refuse($"The asker's lost directory was of cluster {former}; this one is {Uid}.");

        var node = new NodeId(request.NodeId);
        var asker = new ServerId(node, StorageId.Parse(request.StorageId));
        if (!request.IsProbe && configuration.All.Any(member => member.Id == asker))
            return new JoinAnswer(JoinVerdict.Accepted, $"'{node}' is a member with this storage.");

        if (configuration.All.FirstOrDefault(member => member.Node == node) is not { } known)
        {
            return request.IsTold
                ? new JoinAnswer(JoinVerdict.Accepted, $"'{node}' joins.")
                : Refuse($"'{node}' is no member of this cluster. Set Raft:Join there, or add it: POST /v1/members. One that was removed stays out until then.");
        }

        // Nobody hears itself: to the sightings the leader that decides would look dead.
        TimeSpan silence = known.Id == Self ? TimeSpan.Zero : silentFor(known.Id);
        if (silence == TimeSpan.Zero)
            return Refuse($"The node id '{node}' is in use: its server with storage {known.Storage} is alive.");
        if (Rejoin == RejoinMode.Off)
            return Refuse($"'{node}' is a member with storage {known.Storage}, and Raft:Rejoin is off here: replace it by hand, PUT /v1/members.");
        if (silence < ReplaceAfter)
        {
            return new JoinAnswer(JoinVerdict.Wait,
                $"'{node}' is replaced when its server with storage {known.Storage} was silent for {ReplaceAfter.TotalSeconds:0.#} s; it is so for {silence.TotalSeconds:0.#} s.");
        }

        return new JoinAnswer(JoinVerdict.Accepted, $"'{node}' takes the place of its server with storage {known.Storage}.");
    }

    /// <summary>The change that makes the asker a member of one group; null when it is one already.</summary>
    /// <remarks>What its former self was it becomes again; who is to vote joins first. Rule 8</remarks>
    public static MembershipChange? ChangeFor(JoinRequest request, Configuration configuration)
    {
        var node = new NodeId(request.NodeId);
        var storage = StorageId.Parse(request.StorageId);
        if (configuration.All.Any(member => member.Id == new ServerId(node, storage)))
            return null;

        Member? known = configuration.All.FirstOrDefault(member => member.Node == node);
        bool isVoter = known is null ? request.IsVoter : known.Kind != MemberKind.Learner;
        return new MembershipChange
        {
            Remove = known is null ? [] : [known.Id],
            Add = [new Member(node, storage, isVoter ? MemberKind.Voter : MemberKind.Learner, request.PeerUrl, request.ApiUrl)],
        };
    }

    private static JoinAnswer Refuse(string reason) => new(JoinVerdict.Refused, reason);
}

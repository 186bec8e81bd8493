using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>The cluster that a node is in.</summary>
/// <param name="Uid">Its identity.</param>
/// <param name="First">What the log begins with; null for a node that gets the log from the others.</param>
public sealed record FormedCluster(ClusterUid Uid, Configuration? First);

/// <summary>How a node without a cluster comes into one, in whatever order nodes start. Design 4.5.</summary>
/// <remarks>
/// 1. It asks every peer that it knows, again and again.
/// 2. One is in a cluster that names this very storage id: adopt it.
/// 3. One is in a cluster that does not: ask its leader to be taken in, if this node may (Join, Rejoin).
/// 4. All are new, with the same Members and Groups: the smallest node id writes the first configuration.
/// 5. Anything else: wait, and say why; a member may invite meanwhile.
/// </remarks>
public sealed class Formation
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly NodeSettings _settings;
    private readonly NodeAddresses _addresses;
    private readonly FormationDesk _desk;
    private readonly NodeState _state;
    private readonly PeerQuestions _questions;
    private readonly ILogger<Formation> _log;
    private string? _lastReason;

    public Formation(NodeSettings settings, NodeAddresses addresses, FormationDesk desk, NodeState state, PeerQuestions questions, ILogger<Formation> log)
    {
        _settings = settings;
        _addresses = addresses;
        _desk = desk;
        _state = state;
        _questions = questions;
        _log = log;
    }

    private RaftOptions Options => _settings.Raft;

    /// <summary>Returns once this node's directory durably belongs to a cluster. Only for one that never did.</summary>
    public async Task<FormedCluster> RunAsync(IFormationDirectory directory, CancellationToken cancellation)
    {
        FormationPeer[] peers = PeersOf(Options);
        bool isAlone = Options.Members.Count == 0 && Options.Join.Count == 0;
        if (isAlone && Options.Bootstrap && !directory.IsLost)
            return await FormAsync(directory, FirstConfiguration.Of([_addresses.AsMember(Options.NodeId)], new Dictionary<string, StorageId> { [Options.NodeId] = directory.StorageId }));

        _desk.BecomeNew(directory.StorageId, directory.IsLost, directory.FormerUid);
        var self = new ServerId(new NodeId(Options.NodeId), directory.StorageId);
        bool isFormer = !directory.IsLost && Options.Join.Count == 0 && peers.All(peer => string.CompareOrdinal(Options.NodeId, peer.Id) < 0);
        var question = new FormationQuestion(
            Options.ClusterId, Options.NodeId, directory.StorageId.ToString(), directory.StartCount, _desk.MembersHash, MayForm: isFormer);
        TimeSpan pause = FirstPause;
        while (true)
        {
            FormationAnswer?[] answers = await Task.WhenAll(peers.Select(peer => _questions.AskAsync(peer.Url, question, cancellation)));
            FormationView view = FormationView.Of(Options, self, _desk, peers, answers);

            if (view.Offer is { } offer && await TryAdoptAsync(directory, self, offer, view) is { } adopted)
                return adopted;
            if (view.Stranger is { } cluster && await TryJoinAsync(directory, self, cluster, view, cancellation) is { } joined)
                return joined;
            if (view.Storages is { } storages && isFormer && !isAlone)
                return await FormAsync(directory, FirstConfiguration.Of(Options.Members, storages));

            if (isAlone)
                ExplainAlone(directory);
            else
                Explain(ReasonOf(view, directory), view.NeedsPeople);

            Task<ClusterUid> invited = _desk.Invited;
            await Task.WhenAny(invited, Task.Delay(pause, cancellation));
            cancellation.ThrowIfCancellationRequested();
            if (invited.IsCompletedSuccessfully)
                return await AdoptAsync(directory, await invited);

            pause = TimeSpan.FromTicks(Math.Min((long)(pause.Ticks * 1.5), LongestPause.Ticks));
        }
    }

    /// <summary>Whom a node asks: the others of Members, and the addresses of Join.</summary>
    internal static FormationPeer[] PeersOf(RaftOptions options) =>
    [
        .. options.Members.Where(member => member.Id != options.NodeId).Select(member => new FormationPeer(member.Id, member.PeerUrl)),
        .. options.Join.Where(url => !options.Members.Any(member => FirstConfiguration.Normal(member.PeerUrl) == FirstConfiguration.Normal(url)))
            .Select(url => new FormationPeer(null, url)),
    ];

    private async Task<FormedCluster> FormAsync(IFormationDirectory directory, Configuration first)
    {
        ClusterUid uid = FirstConfiguration.UidOf(Options.ClusterId, first);
        await directory.FormAsync(uid, GroupRegistry.FirstGroup(Options), first);
        _log.Formed(Options.ClusterId, uid, Names(first));
        return new FormedCluster(uid, first);
    }

    private async Task<FormedCluster?> TryAdoptAsync(IFormationDirectory directory, ServerId self, FoundCluster offer, FormationView view)
    {
        if (directory.FormerUid is { } former && former != offer.Uid)
        {
            Refuse(view, $"Cluster {offer.Uid} was offered, but the directory that was lost here was of cluster {former}.");
            return null;
        }

        if (!_desk.TryBeginAdopting(offer.Configuration))
        {
            Refuse(view, $"Cluster {offer.Uid} was offered, but this node has since answered another start of " +
                $"'{Options.Members.Min(member => member.Id)}' and waits for that one's cluster. If that node is gone for good, restart this one.");
            return null;
        }

        // With the first configuration this node can elect a leader even if nobody else adopted yet. Without it the log comes from the others.
        if (offer.First?.Contains(self) != true)
            return await AdoptAsync(directory, offer.Uid);

        await directory.FormAsync(offer.Uid, GroupRegistry.FirstGroup(Options), offer.First);
        _log.Adopted(Options.ClusterId, offer.Uid, Names(offer.First));
        return new FormedCluster(offer.Uid, offer.First);
    }

    private async Task<FormedCluster> AdoptAsync(IFormationDirectory directory, ClusterUid uid)
    {
        await directory.AdoptAsync(uid);
        _log.Joined(Options.ClusterId, uid);
        return new FormedCluster(uid, First: null);
    }

    /// <summary>Never as its former self: that one may have voted and acknowledged what this disk does not hold. Rule 12</summary>
    private async Task<FormedCluster?> TryJoinAsync(
        IFormationDirectory directory, ServerId self, FoundCluster cluster, FormationView view, CancellationToken cancellation)
    {
        Member? formerSelf = cluster.Configuration.All.FirstOrDefault(member => member.Node == self.Node);
        string whose = formerSelf is null
            ? $"Cluster {cluster.Uid} does not name '{self.Node}'."
            : $"Cluster {cluster.Uid} knows '{self.Node}' with storage {formerSelf.Storage}; this directory has storage {self.Storage}: " +
                "the node id is in use, or the node's directory was lost.";
        if (directory.FormerUid is { } former && former != cluster.Uid)
        {
            Refuse(view, $"{whose} It may join only cluster {former}, in which its lost directory was.");
            return null;
        }

        if (formerSelf is null && Options.Join.Count == 0)
        {
            Refuse(view, $"{whose} Set Raft:Join to have it ask to be taken in, or add it there: POST /v1/members.");
            return null;
        }

        if (formerSelf is not null && Options.Rejoin == RejoinMode.Off)
        {
            Refuse(view, $"{whose} Raft:Rejoin is off: put the old directory back, or replace the member: PUT /v1/members.");
            return null;
        }

        JoinRequest request = _addresses.JoinRequest(Options, self.Storage, directory.FormerUid, isProbe: false);
        JoinAnswer answer = await AskToJoinAsync(_questions, cluster.PeerUrl, request, cancellation);
        if (answer.Verdict == JoinVerdict.Accepted && answer.Uid == cluster.Uid.ToString())
        {
            _log.TakenIn(Options.NodeId, answer.Reason);
            return await AdoptAsync(directory, cluster.Uid);
        }

        view.Obstacle = $"{whose} It asks to be taken in. {answer.Reason}";
        view.NeedsPeople = answer.Verdict == JoinVerdict.Refused;
        return null;
    }

    /// <summary>Follows the way to the leader.</summary>
    internal static async Task<JoinAnswer> AskToJoinAsync(PeerQuestions questions, string peerUrl, JoinRequest request, CancellationToken cancellation)
    {
        const int stepsMax = 3;
        string url = peerUrl;
        for (int step = 0; step < stepsMax; step++)
        {
            JoinAnswer? answer = await questions.AskAsync(url, request, cancellation);
            if (answer is null)
                return new JoinAnswer(JoinVerdict.Wait, $"{url} did not answer.");
            if (answer is not { Verdict: JoinVerdict.Redirected, LeaderUrl: { } leader })
                return answer;

            url = leader;
        }

        return new JoinAnswer(JoinVerdict.Wait, "The leader changes just now.");
    }

    private string ReasonOf(FormationView view, IFormationDirectory directory) =>
        directory.IsLost
            ? $"This node has lost its directory of cluster {NameOf(directory.FormerUid)} (it was moved aside) and waits for a member of it. {view.Obstacle} " +
                "If all have lost theirs, an operator decides: restore one, or delete the file 'former' on all and start anew."
            : view.Obstacle ?? $"All members are new; waiting for '{Options.Members.Min(member => member.Id)}' to form the cluster.";

    private void ExplainAlone(IFormationDirectory directory) => Explain(
        directory.IsLost
            ? $"This node has lost its directory of cluster {NameOf(directory.FormerUid)} (it was moved aside), and knows no member of it. List members in Raft:Members or Raft:Join."
            : "The node is empty, Raft:Members is empty, and Raft:Bootstrap is false: it belongs to no cluster and may not form one. " +
                "List the members in Raft:Members or Raft:Join, add it to a cluster by POST /v1/members there, or set Raft:Bootstrap=true for a cluster of one.",
        needsPeople: true);

    private static void Refuse(FormationView view, string obstacle)
    {
        view.Obstacle = obstacle;
        view.NeedsPeople = true;
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

    private static string NameOf(ClusterUid? uid) => uid?.ToString() ?? "(unknown)";

    private static string Names(Configuration configuration) => string.Join(", ", configuration.Current.Select(member => member.Node.Value));
}

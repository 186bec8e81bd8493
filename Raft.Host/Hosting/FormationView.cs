using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>What one round of questions has shown.</summary>
internal sealed class FormationView
{
    /// <summary>A cluster that names this very storage id. Null: none was offered.</summary>
    public FormedCluster? Offer { get; private set; }

    /// <summary>Every listed member's storage id. Null unless all have answered "new" with the same Members.</summary>
    public IReadOnlyDictionary<string, StorageId>? Storages { get; private set; }

    /// <summary>Why there is no cluster yet; null when nothing stands in the way.</summary>
    public string? Obstacle { get; set; }

    /// <summary>Waiting alone will not help.</summary>
    public bool NeedsPeople { get; set; }

    public static FormationView Of(
        RaftOptions options, ServerId self, string membersHash, IReadOnlyList<MemberOptions> peers, IReadOnlyList<FormationAnswer?> answers)
    {
        var view = new FormationView();
        var storages = new Dictionary<string, StorageId> { [self.Node.Value] = self.Storage };
        List<string> silent = [];
        List<string> faults = [];
        for (int i = 0; i < peers.Count; i++)
        {
            string peer = peers[i].Id;
            string at = $"'{peer}' at {peers[i].PeerUrl}";
            if (answers[i] is not { } answer)
                silent.Add(at);
            else if (answer.Standing == FormationStanding.Refused)
                faults.Add($"{at} refuses: {answer.Reason}");
            else if (answer.NodeId != peer)
                faults.Add($"{at} says that it is '{answer.NodeId}'. Correct Raft:Members here, or Raft:NodeId there.");
            else if (answer.Standing == FormationStanding.Member)
                view.Consider(answer, options, self, at, faults);
            else if (answer.MembersHash != membersHash)
                faults.Add($"{at} was given other Raft:Members than this node. Give every node the same list.");
            else if (answer.Standing == FormationStanding.Starting || !TryParse(answer.StorageId, out StorageId storage))
                silent.Add($"{at} (starting)");
            else if (!storages.ContainsValue(storage))
                storages.Add(peer, storage);
            else
                faults.Add($"{at} has the same storage id as another node: its directory is a copy. Empty one of the two.");
        }

        if (view.Offer is not null)
            return view;

        view.NeedsPeople = faults.Count > 0;
        if (faults.Count > 0)
            view.Obstacle = $"No cluster can be formed or adopted: {string.Join(" ", faults)}";
        else if (silent.Count > 0)
            view.Obstacle = $"This node is new and waits for an answer of {string.Join(", ", silent)}.";
        else
            view.Storages = storages;
        return view;
    }

    private void Consider(FormationAnswer answer, RaftOptions options, ServerId self, string at, List<string> faults)
    {
        FormedCluster offer;
        try
        {
            offer = new FormedCluster(ClusterUid.Parse(answer.Uid ?? ""), Configuration.Decode(answer.FirstConfiguration));
        }
        catch (Exception error) when (error is InvalidDataException or FormatException or OverflowException)
        {
            faults.Add($"{at} offers a cluster that this release cannot read: {error.Message}");
            return;
        }

        if (offer.Uid != FirstConfiguration.UidOf(options.ClusterId, offer.First))
        {
            faults.Add($"{at} offers cluster {offer.Uid}, which is not the hash of its cluster id and first configuration.");
        }
        else if (offer.First.Contains(self))
        {
            Offer = offer;
        }
        else if (offer.First.All.FirstOrDefault(member => member.Node == self.Node) is { } former)
        {
            // Never as its former self: that one may have voted and acknowledged what this disk does not hold. Rule 12
            faults.Add($"{at} is in cluster {offer.Uid}, which knows '{self.Node}' with storage {former.Storage}; this directory has storage {self.Storage}. " +
                $"The node id is in use, or the node's directory was lost. Put the old directory back; a node without it stays out, because it cannot " +
                "vouch for what it has promised. Automatic replacement comes with a later release.");
        }
        else
        {
            faults.Add($"{at} is in cluster {offer.Uid}, which does not name '{self.Node}'. Joining a running cluster comes with a later release.");
        }
    }

    private static bool TryParse(string? text, out StorageId storage)
    {
        bool parsed = UInt128.TryParse(text, System.Globalization.NumberStyles.HexNumber, null, out UInt128 value);
        storage = new StorageId(value);
        return parsed;
    }
}

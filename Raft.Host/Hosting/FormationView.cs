using System.Globalization;
using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Somebody to ask. The id is null when only an address is known (Join).</summary>
internal sealed record FormationPeer(string? Id, string Url)
{
    public override string ToString() => Id is null ? Url : $"'{Id}' at {Url}";
}

/// <summary>A cluster that a member told of.</summary>
/// <param name="Uid">Its identity.</param>
/// <param name="Configuration">The first group's, as that member knows it.</param>
/// <param name="First">What the log began with; null when that member's log no longer holds it.</param>
/// <param name="PeerUrl">The member's.</param>
internal sealed record FoundCluster(ClusterUid Uid, Configuration Configuration, Configuration? First, string PeerUrl);

/// <summary>What one round of questions has shown.</summary>
internal sealed class FormationView
{
    private readonly RaftOptions _options;
    private readonly ServerId _self;
    private readonly List<string> _faults = [];

    private FormationView(RaftOptions options, ServerId self)
    {
        _options = options;
        _self = self;
    }

    /// <summary>A cluster that names this very storage id. Null: none was offered.</summary>
    public FoundCluster? Offer { get; private set; }

    /// <summary>A cluster of the right id that does not name it. Null: there is none, or an offer.</summary>
    public FoundCluster? Stranger { get; private set; }

    /// <summary>Every listed member's storage id. Null unless all have answered "new" with the same Members and Groups.</summary>
    public IReadOnlyDictionary<string, StorageId>? Storages { get; private set; }

    /// <summary>Why there is no cluster yet; null when nothing stands in the way.</summary>
    public string? Obstacle { get; set; }

    /// <summary>Waiting alone will not help.</summary>
    public bool NeedsPeople { get; set; }

    public static FormationView Of(
        RaftOptions options, ServerId self, FormationDesk desk, IReadOnlyList<FormationPeer> peers, IReadOnlyList<FormationAnswer?> answers)
    {
        var view = new FormationView(options, self);
        view.Look(desk, peers, answers);
        return view;
    }

    private void Look(FormationDesk desk, IReadOnlyList<FormationPeer> peers, IReadOnlyList<FormationAnswer?> answers)
    {
        var storages = new Dictionary<string, StorageId> { [_self.Node.Value] = _self.Storage };
        List<string> silent = [];
        List<string> waiting = [];
        for (int i = 0; i < peers.Count; i++)
        {
            FormationPeer peer = peers[i];
            if (answers[i] is not { } answer)
                silent.Add(peer.ToString());
            else if (answer.Standing == FormationStanding.Refused)
                _faults.Add($"{peer} refuses: {answer.Reason}");
            else if (peer.Id is not null && answer.NodeId != peer.Id)
                _faults.Add($"{peer} says that it is '{answer.NodeId}'. Correct Raft:Members here, or Raft:NodeId there.");
            else if (answer.Standing == FormationStanding.Member)
                Consider(answer, peer);
            else if (answer.Standing == FormationStanding.Starting || !TryParse(answer.StorageId, out StorageId storage))
                silent.Add($"{peer} (starting)");
            else if (answer.Standing == FormationStanding.Lost)
                waiting.Add($"{peer} has lost its directory of cluster {answer.Uid ?? "(unknown)"}, and waits for a member of it.");
            else if (_options.Join.Count > 0 || peer.Id is null)
                waiting.Add($"{peer} is in no cluster yet.");
            else if (answer.MembersHash != desk.MembersHash)
                _faults.Add($"{peer} was given other Raft:Members than this node. Give every node the same list.");
            else if (answer.GroupsHash != desk.GroupsHash)
                _faults.Add($"{peer} was given other Raft:Groups than this node. Give every node the same list, with the same first group.");
            else if (!storages.ContainsValue(storage))
                storages.Add(peer.Id, storage);
            else
                _faults.Add($"{peer} has the same storage id as another node: its directory is a copy. Empty one of the two.");
        }

        if (Offer is not null)
        {
            Stranger = null;
            return;
        }

        NeedsPeople = _faults.Count > 0;
        if (_faults.Count > 0)
            Obstacle = $"No cluster can be formed or adopted: {string.Join(" ", _faults.Concat(waiting))}";
        else if (silent.Count > 0)
            Obstacle = $"This node is new and waits for an answer of {string.Join(", ", silent)}. {string.Join(" ", waiting)}".TrimEnd();
        else if (waiting.Count > 0)
            Obstacle = string.Join(" ", waiting);
        else if (Stranger is null && _options.Join.Count == 0)
            Storages = storages;
    }

    private void Consider(FormationAnswer answer, FormationPeer peer)
    {
        FoundCluster found;
        try
        {
            found = new FoundCluster(
                ClusterUid.Parse(answer.Uid ?? ""),
                Configuration.Decode(answer.Configuration),
                answer.FirstConfiguration is null ? null : Configuration.Decode(answer.FirstConfiguration),
                peer.Url);
        }
        catch (Exception error) when (error is InvalidDataException or FormatException or OverflowException)
        {
            _faults.Add($"{peer} offers a cluster that this release cannot read: {error.Message}");
            return;
        }

        if (!FirstConfiguration.IsNamed(found.Uid, _options.ClusterId))
            _faults.Add($"{peer} offers cluster {found.Uid}, which is none named '{_options.ClusterId}'.");
        else if (found.First is not null && found.Uid != FirstConfiguration.UidOf(_options.ClusterId, found.First))
            _faults.Add($"{peer} offers cluster {found.Uid}, which is not the hash of its cluster id and first configuration.");
        else if ((Offer ?? Stranger) is { } other && other.Uid != found.Uid)
            _faults.Add($"{peer} is in cluster {found.Uid}, another one is in {other.Uid}: two clusters have the id '{_options.ClusterId}'. Correct the addresses.");
        else if (found.Configuration.Contains(_self) || found.First?.Contains(_self) == true)
            Offer = found;
        else
            Stranger = found;
    }

    private static bool TryParse(string? text, out StorageId storage)
    {
        bool parsed = UInt128.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out UInt128 value);
        storage = new StorageId(value);
        return parsed;
    }
}

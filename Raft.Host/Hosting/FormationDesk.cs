using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Answers the questions of nodes that are forming a cluster. Thread-safe.</summary>
/// <remarks>
/// Exactly one cluster comes about, because a <em>new</em> answer is a promise: it binds this node to the asker's storage
/// id, so that it adopts only a cluster with that one. Were it not bound, a first cluster whose former lost its disk could
/// still be adopted by some, while the others adopt the second. Rule 12, design 4.5.
/// </remarks>
public sealed class FormationDesk
{
    private readonly Lock _gate = new();
    private readonly NodeSettings _settings;
    private readonly string? _formerId;

    private FormationStanding _standing = FormationStanding.Starting;
    private StorageId? _storage;
    private ClusterUid? _uid;
    private Configuration? _first;
    private Func<Configuration>? _configuration;
    private string? _reason;

    // To whom a "new" answer has bound us, and from which of its starts.
    private StorageId? _boundTo;
    private long _boundStart;

    private TaskCompletionSource<ClusterUid> _invited = NewSource();

    public FormationDesk(NodeSettings settings)
    {
        _settings = settings;
        MembersHash = FirstConfiguration.HashOf(settings.Raft.Members);
        GroupsHash = FirstConfiguration.HashOf(settings.Raft.Groups);
        _formerId = settings.Raft.Members.Select(member => member.Id).Min(StringComparer.Ordinal);
    }

    public string MembersHash { get; }

    public string GroupsHash { get; }

    /// <summary>The cluster that this node is in; null while it is in none.</summary>
    public ClusterUid? Uid
    {
        get
        {
            lock (_gate)
                return _standing == FormationStanding.Member ? _uid : null;
        }
    }

    /// <summary>Completes when a member has invited this node, which waits for a cluster.</summary>
    public Task<ClusterUid> Invited
    {
        get
        {
            lock (_gate)
                return _invited.Task;
        }
    }

    /// <summary>The node waits for a cluster: its directory never was in one, or it lost the one that was.</summary>
    /// <param name="storage">Of its directory.</param>
    /// <param name="isLost">It lost the directory that was.</param>
    /// <param name="formerUid">Lost: the cluster that it was in; null: not known.</param>
    public void BecomeNew(StorageId storage, bool isLost, ClusterUid? formerUid)
    {
        lock (_gate)
        {
            _standing = isLost ? FormationStanding.Lost : FormationStanding.New;
            _storage = storage;
            _uid = formerUid;
            _boundTo = null;
            _invited = NewSource();
        }
    }

    /// <summary>The node does not take part; everybody who asks hears why.</summary>
    public void Refuse(string reason)
    {
        lock (_gate)
        {
            _standing = FormationStanding.Refused;
            _reason = reason;
        }
    }

    /// <summary>The node is in this cluster, durably.</summary>
    /// <param name="storage">Of its directory.</param>
    /// <param name="uid">The cluster's.</param>
    /// <param name="first">What the log began with; null when it no longer holds it, or never did.</param>
    /// <param name="configuration">Gives the first group's configuration as it is known now.</param>
    public void BecomeMember(StorageId storage, ClusterUid uid, Configuration? first, Func<Configuration> configuration)
    {
        lock (_gate)
        {
            _standing = FormationStanding.Member;
            _storage = storage;
            _uid = uid;
            _first = first;
            _configuration = configuration;
        }
    }

    /// <summary>From here on the answer is no longer "new". False when an earlier "new" has bound us to a cluster with another server.</summary>
    public bool TryBeginAdopting(Configuration offered)
    {
        lock (_gate)
        {
            if (_boundTo is { } bound && !offered.All.Any(member => member.Storage == bound))
                return false;

            _standing = FormationStanding.Starting;
            return true;
        }
    }

    /// <summary>Answers; a "new" to the one that may form binds.</summary>
    public FormationAnswer Answer(FormationQuestion question)
    {
        lock (_gate)
        {
            if (question.ClusterId != _settings.Raft.ClusterId)
                return Refusal($"This node is of cluster '{_settings.Raft.ClusterId}', the asker of '{question.ClusterId}'.");
            if (question.NodeId == _settings.Raft.NodeId)
                return Refusal($"The node id '{question.NodeId}' is in use: this node has it too.");
            if (_standing == FormationStanding.Refused)
                return Refusal(_reason ?? "This node does not take part.");
            if (_standing == FormationStanding.New && question.MayForm && question.MembersHash == MembersHash && question.NodeId == _formerId)
            {
                StorageId asker = StorageId.Parse(question.StorageId);
                if (_boundTo == asker && question.StartCount < _boundStart)
                    return Refusal($"A later start of '{question.NodeId}' has asked already.");

                _boundTo = asker;
                _boundStart = question.StartCount;
            }

            return Answer(_standing, reason: null);
        }
    }

    /// <summary>A member wants this node in its cluster. One that waits for a cluster takes it.</summary>
    public InvitationAnswer Answer(Invitation invitation)
    {
        ClusterUid uid = ClusterUid.Parse(invitation.Uid);
        lock (_gate)
        {
            string? refusal =
                invitation.ClusterId != _settings.Raft.ClusterId ? $"it is of cluster '{_settings.Raft.ClusterId}', not of '{invitation.ClusterId}'"
                : invitation.NodeId != _settings.Raft.NodeId ? $"it is '{_settings.Raft.NodeId}', not '{invitation.NodeId}'"
                : _standing switch
                {
                    FormationStanding.Member when _uid != uid => $"it is in another cluster, {_uid}",
                    FormationStanding.Lost when _uid is not null && _uid != uid => $"it was in another cluster, {_uid}, and joins only that one",
                    FormationStanding.New when _boundTo is not null => $"it is forming a cluster with '{_formerId}'",
                    FormationStanding.Refused => _reason ?? "it does not take part",
                    FormationStanding.Starting => "it is starting; try again",
                    _ => null,
                };
            if (refusal is not null)
                return new InvitationAnswer(IsTaken: false, StorageId: null, refusal);

            if (_standing != FormationStanding.Member)
                _invited.TrySetResult(uid);
            return new InvitationAnswer(IsTaken: true, _storage?.ToString(), Reason: null);
        }
    }

    private FormationAnswer Refusal(string reason) => Answer(FormationStanding.Refused, reason);

    private FormationAnswer Answer(FormationStanding standing, string? reason)
    {
        bool isMember = standing == FormationStanding.Member;
        return new FormationAnswer(standing, _settings.Raft.ClusterId, _settings.Raft.NodeId, _storage?.ToString(), MembersHash, GroupsHash)
        {
            Uid = isMember || standing == FormationStanding.Lost ? _uid?.ToString() : null,
            Configuration = isMember ? _configuration?.Invoke().Encode() : null,
            FirstConfiguration = isMember ? _first?.Encode() : null,
            Reason = reason,
        };
    }

    private static TaskCompletionSource<ClusterUid> NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

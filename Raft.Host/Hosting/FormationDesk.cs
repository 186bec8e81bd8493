using Raft.Engine.Protocol;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Answers the questions of nodes that are forming a cluster. Thread-safe.</summary>
/// <remarks>
/// Exactly one cluster comes about, because a <em>new</em> answer is a promise: it binds this node to the asker's storage
/// id, so that it adopts only what that one formed. Were it not bound, a first cluster whose former lost its disk could
/// still be adopted by some, while the others adopt the second. Rule 12, design 4.5.
/// </remarks>
public sealed class FormationDesk
{
    private readonly Lock _gate = new();
    private readonly NodeSettings _settings;
    private readonly string _membersHash;
    private readonly string? _former;

    private FormationStanding _standing = FormationStanding.Starting;
    private StorageId? _storage;
    private ClusterUid? _uid;
    private Configuration? _first;
    private string? _reason;

    // To whom a "new" answer has bound us, and from which of its starts.
    private StorageId? _boundTo;
    private long _boundStart;

    public FormationDesk(NodeSettings settings)
    {
        _settings = settings;
        _membersHash = FirstConfiguration.HashOf(settings.Raft.Members);
        _former = settings.Raft.Members.Select(member => member.Id).Min(StringComparer.Ordinal);
    }

    public string MembersHash => _membersHash;

    /// <summary>The cluster that this node is in; null while it is in none.</summary>
    public ClusterUid? Uid
    {
        get
        {
            lock (_gate)
                return _uid;
        }
    }

    /// <summary>The node is new: its directory never was in a cluster.</summary>
    public void BecomeNew(StorageId storage)
    {
        lock (_gate)
        {
            _standing = FormationStanding.New;
            _storage = storage;
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
    public void BecomeMember(StorageId storage, ClusterUid uid, Configuration first)
    {
        lock (_gate)
        {
            _standing = FormationStanding.Member;
            _storage = storage;
            _uid = uid;
            _first = first;
        }
    }

    /// <summary>From here on the answer is no longer "new". False when an earlier "new" has bound us to another's cluster.</summary>
    public bool TryBeginAdopting(Member former)
    {
        lock (_gate)
        {
            if (_boundTo is { } bound && bound != former.Storage)
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
            if (_standing == FormationStanding.New && question.MembersHash == _membersHash && question.NodeId == _former)
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

    private FormationAnswer Refusal(string reason) => Answer(FormationStanding.Refused, reason);

    private FormationAnswer Answer(FormationStanding standing, string? reason) => new(
        standing,
        _settings.Raft.ClusterId,
        _settings.Raft.NodeId,
        _storage?.ToString(),
        _membersHash,
        standing == FormationStanding.Member ? _uid?.ToString() : null,
        standing == FormationStanding.Member ? _first?.Encode() : null,
        reason);
}

namespace Raft.Engine.Protocol;

/// <summary>All members as the leader sees them, and what quorums of them say.</summary>
internal sealed class ProgressTracker
{
    private readonly Dictionary<ServerId, Progress> _byId = [];
    private Progress[] _currentVoters = [];
    private Progress[] _previousVoters = [];
    private bool _isJoint;

    public ProgressTracker(ServerId self, Configuration configuration, LogIndex next)
    {
        Self = new Progress(self);
        Self.StartProbing(next);
        Configure(configuration, next);
    }

    /// <summary>Our own: its match index is our durable index. In no quorum unless the configuration names us as voter. Rule 8</summary>
    public Progress Self { get; }

    /// <summary>Every other member.</summary>
    public Progress[] Peers { get; private set; } = [];

    /// <summary>Follows the configuration in force; what is known of members that stay is kept.</summary>
    public void Configure(Configuration configuration, LogIndex next)
    {
        var known = new Dictionary<ServerId, Progress>(_byId);
        _byId.Clear();
        var peers = new List<Progress>();
        foreach (Member member in configuration.All)
        {
            if (!known.TryGetValue(member.Id, out Progress? progress))
            {
                progress = member.Id == Self.Id ? Self : new Progress(member.Id);
                if (progress != Self)
                    progress.StartProbing(next);
            }

            progress.CanVote = configuration.CanVote(member.Id);
            if (_byId.TryAdd(member.Id, progress) && progress != Self)
                peers.Add(progress);
        }

        Peers = [.. peers];
        _isJoint = configuration.IsJoint;
        _currentVoters = VotersOf(configuration.Current);
        _previousVoters = VotersOf(configuration.Previous);
    }

    /// <summary>Null for whoever is no other member.</summary>
    public Progress? Find(ServerId server) =>
        _byId.TryGetValue(server, out Progress? progress) && progress != Self ? progress : null;

    /// <summary>The highest index that a quorum holds durably; while joint the lower of two. PhD 4.3</summary>
    public LogIndex IndexOnQuorum()
    {
        LogIndex current = Quorum.IndexOnMajority(_currentVoters);
        return _isJoint ? LogIndex.Min(current, Quorum.IndexOnMajority(_previousVoters)) : current;
    }

    /// <summary>Whether the claim holds for a quorum of voters.</summary>
    public bool IsQuorum<TState>(TState state, Func<Progress, TState, bool> claim) =>
        Quorum.IsMajority(_currentVoters, state, claim)
        && (!_isJoint || Quorum.IsMajority(_previousVoters, state, claim));

    private Progress[] VotersOf(IReadOnlyList<Member> members) =>
        [.. members.Where(member => member.Kind == MemberKind.Voter).Select(member => _byId[member.Id])];
}

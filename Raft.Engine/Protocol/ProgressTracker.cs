namespace Raft.Engine.Protocol;

/// <summary>All members as the leader sees them, and what quorums of them say.</summary>
internal sealed class ProgressTracker
{
    private const int DepartingMax = 16;

    private readonly Dictionary<ServerId, Progress> _byId = [];
    private readonly Dictionary<ServerId, Progress> _departing = [];
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

    public bool HasJoining { get; private set; }

    /// <summary>Whether there are any of <see cref="LostData"/>; asked at each tick, so it allocates nothing.</summary>
    public bool HasLostData
    {
        get
        {
            bool isAny = Self.HasLostData;
            foreach (Progress peer in Peers)
                isAny |= peer.HasLostData;
            return isAny;
        }
    }

    /// <summary>Members whose disks lost data. Rule 13</summary>
    public IEnumerable<ServerId> LostData => _byId.Values.Where(member => member.HasLostData).Select(member => member.Id);

    /// <summary>Those that are no members any more and are still told so; they count in nothing. Rule 8</summary>
    public Progress[] Departing { get; private set; } = [];

    /// <summary>Follows the configuration in force; what is known of members that stay is kept.</summary>
    public void Configure(Configuration configuration, LogIndex next)
    {
        var known = new Dictionary<ServerId, Progress>(_departing.Concat(_byId));
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
            progress.HasLostData |= configuration.LostData.Contains(member.Id);     // another leader found it out
            progress.IsJoining = member.Kind == MemberKind.Joining;
            if (progress.DepartingTicks > 0 && progress.State == ProgressState.Snapshot)
                progress.WaitForSnapshot();     // it has come back: its transfer was aborted when it left, and nobody hears of that
            progress.DepartingTicks = 0;
            if (_byId.TryAdd(member.Id, progress) && progress != Self)
                peers.Add(progress);
        }

        _departing.Clear();
        foreach ((ServerId id, Progress progress) in known)
        {
            if (_byId.ContainsKey(id))
                continue;
            progress.CanVote = false;
            progress.IsJoining = false;
            if (progress != Self)
                _departing.Add(id, progress);
        }

        Departing = [.. _departing.Values];
        HasJoining = peers.Exists(peer => peer.IsJoining);
        Peers = [.. peers];
        _isJoint = configuration.IsJoint;
        _currentVoters = VotersOf(configuration.Current);
        _previousVoters = VotersOf(configuration.Previous);
    }

    /// <summary>A server that is no member and behaves as if it were is told of the configuration.</summary>
    public void Tell(ServerId stranger, LogIndex next, long ticks)
    {
        if (_byId.ContainsKey(stranger) || _departing.ContainsKey(stranger) || _departing.Count >= DepartingMax)
            return;
        var progress = new Progress(stranger) { DepartingTicks = ticks };
        progress.StartProbing(next);
        _departing.Add(stranger, progress);
        Departing = [.. _departing.Values];
    }

    public void Forget(Progress departing)
    {
        _departing.Remove(departing.Id);
        Departing = [.. _departing.Values];
    }

    /// <summary>Null for whoever is no other member, nor was one a moment ago.</summary>
    public Progress? Find(ServerId server) =>
        _byId.TryGetValue(server, out Progress? progress) && progress != Self ? progress : _departing.GetValueOrDefault(server);

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

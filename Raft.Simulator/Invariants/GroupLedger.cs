using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>What is known of one group's log over the whole run: what every disk holds, what is committed, and its configurations.</summary>
internal sealed class GroupLedger
{
    private readonly Dictionary<ServerId, DurableShadow> _shadows = [];
    private readonly List<Term?> _committed = [];
    private readonly List<Term> _committedIn = [];
    private readonly List<(EntryId Id, Configuration Configuration)> _configurations = [];
    private readonly HashSet<EntryId> _knownConfigurations = [];

    /// <summary>The highest index that any server held for committed.</summary>
    public LogIndex CommittedThrough => new(_committed.Count);

    /// <summary>The committed configuration, and all later ones that were ever in some log.</summary>
    public IEnumerable<Configuration> LiveConfigurations => _configurations.Select(known => known.Configuration);

    public DurableShadow ShadowOf(ServerId server)
    {
        if (!_shadows.TryGetValue(server, out DurableShadow? shadow))
            _shadows.Add(server, shadow = new DurableShadow());
        return shadow;
    }

    /// <summary>The term of the entry that is committed there; null when nothing is, or when only a snapshot told of it.</summary>
    public Term? CommittedTerm(LogIndex index) =>
        index > LogIndex.Zero && index <= CommittedThrough ? _committed[(int)index.Value - 1] : null;

    /// <summary>The term in which it was committed, or a later one: that of the first server which knew of it.</summary>
    public Term CommittedIn(LogIndex index) => _committedIn[(int)index.Value - 1];

    /// <summary>A server in that term holds for committed what is there; false: another entry was.</summary>
    public bool Commit(LogIndex index, Term? term, Term inTerm)
    {
        while (_committed.Count < index.Value)
        {
            _committed.Add(null);
            _committedIn.Add(inTerm);
        }

        int at = (int)index.Value - 1;
        if (term is not null && _committed[at] is { } known && known != term)
            return false;

        _committed[at] ??= term;
        return true;
    }

    public void OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        if (ReferenceEquals(before?.Configuration, now.Configuration) || now.Configuration.Current.Count == 0)
            return;

        var id = new EntryId(now.ConfigurationIndex, server.TermAt(now.ConfigurationIndex) ?? now.Term);
        if (_knownConfigurations.Add(id))
            _configurations.Add((id, now.Configuration));
        LogIndex committed = _configurations.Where(known => CommittedTerm(known.Id.Index) == known.Id.Term).Select(known => known.Id.Index).DefaultIfEmpty().Max();
        _configurations.RemoveAll(known => known.Id.Index < committed || (known.Id.Index == committed && CommittedTerm(committed) != known.Id.Term));
    }
}

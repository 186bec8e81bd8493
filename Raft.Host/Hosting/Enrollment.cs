using System.Globalization;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Settings;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>An open directory in a cluster.</summary>
/// <param name="Store">Open.</param>
/// <param name="Uid">The cluster's.</param>
/// <param name="First">The first group's state.</param>
/// <param name="HasFormed">The cluster was formed just now: all its members were given the same groups.</param>
internal sealed record Enrolled(NodeStore Store, ClusterUid Uid, PersistedState First, bool HasFormed);

/// <summary>The way from a data directory to a place in a cluster. Design 4.5.</summary>
/// <remarks>
/// 1. Open it. Damaged: quarantine, until the cluster takes the node in anew; then the directory is moved aside, and again.
/// 2. Never in a cluster: form, adopt or join one.
/// 3. In one: is it the one that is configured? No: quarantine, and people decide.
/// 4. Is the directory the newest that the others have seen? No: as with a damaged one.
/// </remarks>
internal sealed class Enrollment(
    NodeSettings settings, Formation formation, Quarantine quarantine, PeerQuestions questions, GroupRegistry groups,
    ILoggerFactory logs)
{
    private readonly NodeStoreSettings _storeSettings = new(settings.DataDirectory, new NodeId(settings.Raft.NodeId)) { MemoryBytes = settings.MemoryBytes };
    private Task<Opened>? _opening;
    private NodeStore? _store;
    private DamagedDirectory? _damaged;
    private string? _refusal;                   // why a whole directory counts as damaged

    private sealed record Opened(NodeStore? Store, DamagedDirectory? Damaged);

    /// <summary>Begins to open the directory, while the rest of the process starts.</summary>
    public void BeginOpening() => _opening = Task.Run(
        () => new Opened(NodeStore.TryOpen(_storeSettings, logs, out DamagedDirectory? damaged), damaged), CancellationToken.None);

    /// <summary>Set when the directory could not be opened, for another reason than damage.</summary>
    public bool HasFailedToOpen => _opening is { IsFaulted: true };

    /// <exception cref="DataDirectoryException">The directory cannot be used; exit.</exception>
    public async Task<Enrolled> RunAsync(CancellationToken cancellation)
    {
        (_store, _damaged) = await _opening!;      // BeginOpening comes first
        while (true)
        {
            try
            {
                if (_damaged is { } damaged)
                    _store = await ReplaceAsync(damaged, _refusal ?? damaged.Damage.Message, cancellation);
                if (await FindPlaceAsync(_store!, cancellation) is { } enrolled)     // one of the two is there
                    return enrolled;
            }
            catch (CorruptStorageException damage) when (_damaged is null)
            {
                _damaged = _store!.CloseAsDamaged(_storeSettings, logs, damage);     // found while it was read
            }
            catch (ForeignDirectoryException foreign)
            {
                quarantine.Enter(foreign.Message);
                await Task.Delay(Timeout.Infinite, cancellation);
            }
        }
    }

    /// <summary>A start that failed leaves a directory that is whole and free.</summary>
    public async Task CloseAsync()
    {
        if (_opening is { } opening && _store is null && _damaged is null)
        {
            await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (opening.IsCompletedSuccessfully)
                (_store, _damaged) = await opening;
        }

        _damaged?.Dispose();
        if (_store is { } store)
            await store.DisposeAsync();
    }

    /// <summary>Null when the directory turned out to be an old one.</summary>
    private async Task<Enrolled?> FindPlaceAsync(NodeStore store, CancellationToken cancellation)
    {
        FormedCluster? formed = store.ClusterUid is null ? await formation.RunAsync(new FormationDirectory(store), cancellation) : null;
        ClusterUid uid = store.ClusterUid ?? formed?.Uid ?? throw new InvalidOperationException("Formation left no uid.");
        PersistedState first = await store.Group(groups.FirstId).LoadAsync(settings.Raft.Limits.MaxCacheBytes, cancellation);
        Check(store, uid, first);
        if (formed is not null)
            return new Enrolled(store, uid, first, HasFormed: formed.First is not null);

        if (await OlderThanSeenAsync(store, uid, first, cancellation) is not { } refusal)
            return new Enrolled(store, uid, first, HasFormed: false);

        CloseAsOld(store, refusal);
        return null;
    }

    /// <summary>The directory turned out to be an old one while it took part. Returns once the cluster takes the node in anew and the
    /// directory is out of the way: the next start finds an empty one.</summary>
    public async Task GiveUpAsync(string refusal, CancellationToken cancellation)
    {
        (DamagedDirectory old, string reason) = CloseAsOld(_store!, refusal);      // it took part: it was open
        await MoveAsideAsync(old, reason, cancellation);
    }

    private (DamagedDirectory Directory, string Reason) CloseAsOld(NodeStore store, string refusal)
    {
        _refusal = $"The data directory {settings.DataDirectory} is not the newest of this node: {refusal}";
        _damaged = store.CloseAsDamaged(_storeSettings, logs, new CorruptStorageException(settings.DataDirectory, 0, _refusal, "Put the newest one back."));
        return (_damaged, _refusal);
    }

    /// <summary>Only once the cluster takes the node in anew.</summary>
    private async Task MoveAsideAsync(DamagedDirectory damaged, string reason, CancellationToken cancellation)
    {
        await quarantine.WaitUntilTakenInAsync(new UnusableDirectory(damaged.ClusterUid, damaged.StorageId ?? default, reason), cancellation);
        damaged.MoveAside();
    }

    /// <summary>The directory goes aside, and an empty one takes its place.</summary>
    private async Task<NodeStore> ReplaceAsync(DamagedDirectory damaged, string reason, CancellationToken cancellation)
    {
        await MoveAsideAsync(damaged, reason, cancellation);
        NodeStore store = damaged.Open();
        _damaged = null;
        _refusal = null;
        return store;
    }

    /// <summary>Whose directory is it? Its node was asked when it was opened, and its cluster the peers ask with each connection.</summary>
    private void Check(NodeStore store, ClusterUid uid, PersistedState first)
    {
        if (!FirstConfiguration.IsNamed(uid, settings.Raft.ClusterId))
        {
            throw new ForeignDirectoryException($"{settings.DataDirectory} belongs to another cluster: its uid {uid} is not that of a cluster named " +
                $"'{settings.Raft.ClusterId}'. Correct Raft:ClusterId, or point Raft:DataDirectory to this node's own directory.");
        }

        bool holdsFirst = first.Snapshot is not null || first.LastIndex > LogIndex.Zero || first.TermAndVote.Term > Term.Zero;
        if (!holdsFirst && store.GroupIds.Any(group => group != groups.FirstId))
        {
            throw new ForeignDirectoryException($"{settings.DataDirectory} holds nothing of group '{groups.FirstId}', but of " +
                $"{string.Join(", ", store.GroupIds)}. The first group of a cluster cannot change: correct Raft:Groups:0:Id.");
        }
    }

    /// <summary>Before it takes part: has anybody seen a later start, or another process, of this directory? Null: nobody says so.</summary>
    private async Task<string?> OlderThanSeenAsync(NodeStore store, ClusterUid uid, PersistedState first, CancellationToken cancellation)
    {
        var question = new ReturnQuestion(
            uid.ToString(), settings.Raft.NodeId, store.StorageId.ToString(), store.StartCount,
            store.StartNonce.ToString("x16", CultureInfo.InvariantCulture), store.OpeningSequence);
        Configuration known = ConfigurationOf(first);
        HashSet<string> urls = [.. Formation.PeersOf(settings.Raft).Select(peer => FirstConfiguration.Normal(peer.Url))];
        urls.UnionWith(known.All.Where(member => member.Node.Value != settings.Raft.NodeId).Select(member => member.PeerUrl));
        urls.Remove("");

        ReturnAnswer?[] answers = await Task.WhenAll(urls.Select(url => questions.AskAsync(url, question, cancellation)));
        return answers.FirstOrDefault(answer => answer is { IsRefused: true })?.Reason;
    }

    /// <summary>The newest configuration that the state holds; it may not be committed.</summary>
    internal static Configuration ConfigurationOf(PersistedState state) =>
        state.ConfigurationEntries is [.., { } last] && (state.Snapshot is not { } snapshot || last.Index > snapshot.Index)
            ? Configuration.Decode(last.Payload.Span)
            : state.Snapshot?.Configuration ?? Configuration.Empty;

    /// <summary>The one that the log began with; null when the log no longer holds it.</summary>
    internal static Configuration? FirstOf(PersistedState state) =>
        state.ConfigurationEntries is [{ Index.Value: 1 } entry, ..] ? Configuration.Decode(entry.Payload.Span) : null;
}

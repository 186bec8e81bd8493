using System.Collections.Concurrent;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>What our own shards say of their groups, and what the frames have said of that so far.</summary>
/// <remarks>
/// Every group is announced at every tick, so that costs a look-up and two writes, and nothing is allocated while nothing
/// changes. What changed is queued by name: one group's news costs the same however many groups there are. Only once
/// per ping all are looked at, for those whose shard has gone silent.
/// </remarks>
internal sealed class OwnStatuses(PeerContext context)
{
    private readonly ConcurrentDictionary<GroupId, Announcement> _own = new();
    private readonly ConcurrentQueue<GroupId> _news = new();
    private readonly Lock _adding = new();
    private volatile Announcement[] _all = []; // replaced, never changed

    // Of the loop that speaks.
    private List<(GroupId Group, GroupStatus? Status)> _gathered = [];

    /// <summary>Names <see cref="Said"/>. From 1 on: a receiver that has heard nothing yet is at 0.</summary>
    public long Version { get; private set; }

    /// <summary>What a frame says of each group.</summary>
    public Dictionary<GroupId, GroupStatus> Said { get; } = [];

    /// <summary>By what this version differs from the one before; without a status: the group is not there any more.</summary>
    public List<(GroupId Group, GroupStatus? Status)> Changes { get; private set; } = [];

    /// <summary>True when it is news. Hot path.</summary>
    public bool Announce(GroupId group, GroupStatus status)
    {
        if (!_own.TryGetValue(group, out Announcement? own))
            own = Add(group);

        bool isNews = own.Status is not { } said || said.Status != status || !IsFresh(own);
        if (isNews)
            own.Status = new StatusBox(status);
        Volatile.Write(ref own.At, context.Time.GetTimestamp());
        if (isNews)
            _news.Enqueue(group);
        return isNews;
    }

    /// <summary>True when it was there.</summary>
    public bool Forget(GroupId group)
    {
        lock (_adding)
        {
            if (!_own.TryRemove(group, out Announcement? own))
                return false;

            _all = [.. _all.Where(other => other != own)];
        }

        _news.Enqueue(group);
        return true;
    }

    /// <summary>What is said now; any thread.</summary>
    public IEnumerable<KeyValuePair<GroupId, GroupStatus>> Current()
    {
        foreach (Announcement own in _all)
        {
            if (StatusOf(own) is { } status)
                yield return new(own.Group, status);
        }
    }

    /// <summary>Brings <see cref="Said"/> up to date. For the loop that speaks only.</summary>
    /// <param name="looksAtAll">Also for groups that have gone silent.</param>
    public void Collect(bool looksAtAll)
    {
        while (_news.TryDequeue(out GroupId group))
            Check(group, _own.TryGetValue(group, out Announcement? own) ? StatusOf(own) : null);

        if (looksAtAll)
        {
            foreach (Announcement own in _all)
                Check(own.Group, StatusOf(own));
        }

        if (_gathered.Count == 0 && Version > 0)
            return;

        Version++;
        (Changes, _gathered) = (_gathered, Changes);
        _gathered.Clear();
    }

    private void Check(GroupId group, GroupStatus? status)
    {
        bool isSaid = Said.TryGetValue(group, out GroupStatus said);
        if (status is { } now ? isSaid && said == now : !isSaid)
            return;

        if (status is { } news)
            Said[group] = news;
        else
            Said.Remove(group);
        _gathered.Add((group, status));
    }

    private Announcement Add(GroupId group)
    {
        lock (_adding)
        {
            if (_own.TryGetValue(group, out Announcement? own))
                return own;

            own = new Announcement(group);
            _own[group] = own;
            _all = [.. _all, own];
            return own;
        }
    }

    /// <summary>A group whose shard is silent is left out: dead on a live node, it is seen as dead. Rule 4.</summary>
    private GroupStatus? StatusOf(Announcement own) => IsFresh(own) ? own.Status?.Status : null;

    private bool IsFresh(Announcement own) => context.Time.GetElapsedTime(Volatile.Read(ref own.At)) <= 2 * context.Settings.Ping;

    /// <summary>A box, so that it is read whole.</summary>
    private sealed record StatusBox(GroupStatus Status);

    private sealed class Announcement(GroupId group)
    {
        private volatile StatusBox? _status;

        public long At;

        public GroupId Group => group;

        public StatusBox? Status
        {
            get => _status;
            set => _status = value;
        }
    }
}

using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Simulation;

/// <summary>All that a store holds of one group.</summary>
/// <param name="Vote">Term and vote.</param>
/// <param name="First">First index of the log.</param>
/// <param name="Log">Its entries.</param>
/// <param name="Snapshot">In force.</param>
/// <param name="Content">Of the snapshot.</param>
internal sealed record GroupState(TermAndVote Vote, long First, Entry[] Log, SnapshotDescriptor? Snapshot, byte[] Content)
{
    public static readonly GroupState Empty = new(default, 1, [], null, []);

    public long Last => First + Log.Length - 1;

    public bool IsSame(PersistedState found) =>
        Vote == found.TermAndVote && First == found.FirstIndex.Value && Last == found.LastIndex.Value
        && Snapshot?.SnapshotId == found.Snapshot?.SnapshotId && Snapshot?.Index == found.Snapshot?.Index
        && AreSame(Log, found.RecentEntries);

    public static bool AreSame(IReadOnlyList<Entry> some, IReadOnlyList<Entry> others)
    {
        if (some.Count != others.Count)
            return false;
        for (int i = 0; i < some.Count; i++)
        {
            if (some[i].Id != others[i].Id || some[i].Kind != others[i].Kind || !some[i].Payload.Span.SequenceEqual(others[i].Payload.Span))
                return false;
        }

        return true;
    }

    public override string ToString() => $"{Vote}, entries [{First}, {Last}], snapshot at {Snapshot?.Index.ToString() ?? "none"}";
}

/// <summary>What was asked of one group, in order, and what of it was acknowledged.</summary>
internal sealed class AskedGroup(GroupId id)
{
    private readonly List<(GroupState State, Task Durable)> _asked = [(GroupState.Empty, Task.CompletedTask)];

    public GroupId Id { get; } = id;

    public GroupState Newest => _asked[^1].State;

    /// <param name="state">What it makes of the group.</param>
    /// <param name="durable">The store's own task: acknowledged is what it completed, whoever has heard of it.</param>
    public void Asked(GroupState state, Task durable) => _asked.Add((state, durable));

    /// <summary>What a start may find now: the newest acknowledged state, or one that was asked for after it.</summary>
    public GroupState[] Allowed()
    {
        int acknowledged = _asked.FindLastIndex(asked => asked.Durable.IsCompletedSuccessfully);
        return [.. _asked.Skip(acknowledged).Select(asked => asked.State)];
    }

    /// <summary>A start has found this; from now on it stays.</summary>
    public void Found(GroupState state)
    {
        _asked.Clear();
        _asked.Add((state, Task.CompletedTask));
    }
}

/// <summary>What a store must be after a power cut.</summary>
/// <param name="Groups">For each group the states that it may have.</param>
/// <param name="StartCount">Of the last start that was through.</param>
/// <param name="Sequence">The highest that was called durable.</param>
/// <param name="IsFormed">Whether the cluster's uid was acknowledged.</param>
internal sealed record Expected(IReadOnlyDictionary<GroupId, GroupState[]> Groups, long StartCount, long Sequence, bool IsFormed);

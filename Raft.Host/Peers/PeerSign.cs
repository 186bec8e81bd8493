using System.Collections.Concurrent;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>What the frames of one server say. Read without a lock; changed under the lock of the object itself.</summary>
internal sealed class PeerSign(ServerId server)
{
    public const long Never = long.MinValue;

    private volatile State _now = new(0, 0, NoGroups(), IsGone: false);
    private long _lastFrame = Never;
    private volatile bool _lacksSpace;
    private volatile bool _lacksMemory;
    private long _stamp;
    private long _roundTripTicks = -1;
    private long _clockDifferenceMs = Never;

    public ServerId Server => server;

    public State Now
    {
        get => _now;
        set => _now = value;
    }

    /// <summary>When the last frame came; <see cref="Never"/>: none of this start.</summary>
    public long LastFrame => Volatile.Read(ref _lastFrame);

    /// <summary>Its disk is nearly full, says its last frame.</summary>
    public bool LacksSpace
    {
        get => _lacksSpace;
        set => _lacksSpace = value;
    }

    /// <summary>By how much its wall clock is ahead of our monotonic clock, by its last frame; null: it does not tell.</summary>
    public long? ClockDifferenceMs
    {
        get => Volatile.Read(ref _clockDifferenceMs) is not Never and var difference ? difference : null;
        set => Volatile.Write(ref _clockDifferenceMs, value ?? Never);
    }

    /// <summary>The states there take more memory than its budget, says its last frame.</summary>
    public bool LacksMemory
    {
        get => _lacksMemory;
        set => _lacksMemory = value;
    }

    public TimeSpan? RoundTrip
    {
        get => Volatile.Read(ref _roundTripTicks) is >= 0 and var ticks ? new TimeSpan(ticks) : null;
        set => Volatile.Write(ref _roundTripTicks, value?.Ticks ?? -1);
    }

    /// <summary>Another start: what its clock and its groups said is over.</summary>
    public void ForgetFrames()
    {
        _stamp = 0;
        ClockDifferenceMs = null;
        Volatile.Write(ref _lastFrame, Never);
    }

    public void FrameCame(long now, long stamp)
    {
        _stamp = stamp;
        Volatile.Write(ref _lastFrame, now);
    }

    public static ConcurrentDictionary<GroupId, GroupStatus> NoGroups() => new(concurrencyLevel: 1, capacity: 16);

    /// <summary>What a frame says comes into force. Returns the groups of which it says something new.</summary>
    public List<GroupId> Take(LivenessContent content, long version, List<(GroupId Group, GroupStatus? Status)> said)
    {
        var changed = new List<GroupId>(said.Count);
        if (content == LivenessContent.Same)
            return changed;

        ConcurrentDictionary<GroupId, GroupStatus> groups = _now.Groups;
        foreach ((GroupId group, GroupStatus? status) in said)
        {
            bool isKnown = groups.TryGetValue(group, out GroupStatus before);
            if (status is { } now ? isKnown && before == now : !isKnown)
                continue;

            if (status is { } news)
                groups[group] = news;
            else
                groups.TryRemove(group, out _);
            changed.Add(group);
        }

        if (content == LivenessContent.Whole)
        {
            var named = said.Select(one => one.Group).ToHashSet();
            foreach (GroupId group in groups.Keys.Where(group => !named.Contains(group)))
            {
                groups.TryRemove(group, out _);
                changed.Add(group);
            }
        }

        _now = _now with { Version = version };
        return changed;
    }

    /// <summary>The stamp to send back, once, and for how long it lay here; 0: none.</summary>
    public (long Stamp, long HeldTicks) TakeStamp(TimeProvider time)
    {
        lock (this)
        {
            long stamp = _stamp;
            _stamp = 0;
            return stamp == 0 ? default : (stamp, time.GetElapsedTime(LastFrame).Ticks);
        }
    }

    /// <summary>Replaced whole, but for what it says of the groups: each of them changes on its own.</summary>
    /// <param name="Start">The start that the frames are of; 0: none came yet.</param>
    /// <param name="Version">Names what the frames have said so far.</param>
    /// <param name="Groups">What they said.</param>
    /// <param name="IsGone">The process is known to be gone.</param>
    public sealed record State(long Start, long Version, ConcurrentDictionary<GroupId, GroupStatus> Groups, bool IsGone);
}

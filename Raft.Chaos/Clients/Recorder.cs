using System.Diagnostics;
using Raft.Simulator.Histories;

namespace Raft.Chaos.Clients;

/// <summary>What all clients of a run share: the history, the counts, and when writes were acknowledged.</summary>
internal sealed class Recorder
{
    private readonly Lock _gate = new();
    private readonly List<long> _acknowledgedAt = [];
    private readonly List<(string Value, long Index)> _appended = [];
    private readonly SortedDictionary<string, int> _refusals = new(StringComparer.Ordinal);
    private long _unknown, _notHappened, _reads, _refused;

    public History History { get; } = new();

    public int Acknowledged
    {
        get
        {
            lock (_gate)
                return _acknowledgedAt.Count;
        }
    }

    public long Unknown => Interlocked.Read(ref _unknown);
    public long NotHappened => Interlocked.Read(ref _notHappened);

    /// <summary>Writes whose condition did not hold, told for good.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public long Reads => Interlocked.Read(ref _reads);

    /// <summary>How often each refusal was answered, by status and type.</summary>
    public IReadOnlyDictionary<string, int> Refusals
    {
        get
        {
            lock (_gate)
                return new SortedDictionary<string, int>(_refusals, StringComparer.Ordinal);
        }
    }

    /// <summary>Entries and the journal indexes that were answered.</summary>
    public IReadOnlyList<(string Value, long Index)> Appended
    {
        get
        {
            lock (_gate)
                return [.. _appended];
        }
    }

    public static long Now => Stopwatch.GetTimestamp();

    public void NoteAcknowledged()
    {
        long now = Now;
        lock (_gate)
            _acknowledgedAt.Add(now);
    }

    public void NoteAppended(string value, long index)
    {
        lock (_gate)
            _appended.Add((value, index));
    }

    public void NoteRefused() => Interlocked.Increment(ref _refused);

    public void NoteRead() => Interlocked.Increment(ref _reads);

    public void NoteUnknown() => Interlocked.Increment(ref _unknown);

    public void NoteNotHappened() => Interlocked.Increment(ref _notHappened);

    public void NoteRefusal(string what)
    {
        lock (_gate)
            _refusals[what] = _refusals.GetValueOrDefault(what) + 1;
    }

    /// <summary>The longest time without an acknowledged write between two of them, and when it began.</summary>
    public TimeSpan LongestGap()
    {
        long longest = 0;
        lock (_gate)
        {
            _acknowledgedAt.Sort();
            for (int i = 1; i < _acknowledgedAt.Count; i++)
                longest = Math.Max(longest, _acknowledgedAt[i] - _acknowledgedAt[i - 1]);
        }

        return Stopwatch.GetElapsedTime(0, longest);
    }
}

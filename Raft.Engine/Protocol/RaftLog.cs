namespace Raft.Engine.Protocol;

/// <summary>
/// The log as the protocol sees it: the term of every index run by run, and in memory the entries that are not durable
/// or not committed yet, plus a bounded number of recent bytes for lagging peers and a lagging state machine. Rule 7, PhD 5.3.
/// </summary>
/// <remarks>Hot path: append and eviction are amortised O(1); the term of a recent index is O(1).</remarks>
internal sealed class RaftLog
{
    private const int RingSizeMin = 16;

    private readonly long _maxCacheBytes;
    private readonly List<TermRun> _runs = [];   // ascending; each run ends where the next begins
    private Term? _baseTerm;                     // of the index before the first; null when nobody knows it any more

    private Entry?[] _ring = new Entry?[RingSizeMin];
    private int _head;
    private int _count;
    private LogIndex _releasedIndex;             // committed and durable: memory may let go of these
    private long _releasedBytes;                 // of those that are still in memory

    public RaftLog(PersistedState state, long maxCacheBytes)
    {
        _maxCacheBytes = maxCacheBytes;
        LogIndex snapshotIndex = state.Snapshot?.Index ?? LogIndex.Zero;
        _releasedIndex = snapshotIndex;
        LastTimeMs = state.Snapshot?.TimeMs ?? 0;

        // A log that ends before the snapshot has nothing that the snapshot does not cover.
        bool holdsNothing = state.LastIndex < state.FirstIndex || state.LastIndex < snapshotIndex;
        FirstIndex = holdsNothing ? snapshotIndex.Next : state.FirstIndex;
        LastIndex = holdsNothing ? snapshotIndex : state.LastIndex;
        FirstInMemory = LastIndex.Next;
        Invariant.Holds(FirstIndex <= snapshotIndex.Next);

        LogIndex baseIndex = FirstIndex.Previous;
        _baseTerm = baseIndex == snapshotIndex ? state.Snapshot?.Term ?? Term.Zero
            : baseIndex == LogIndex.Zero ? Term.Zero
            : null;
        if (holdsNothing)
            return;

        _runs.AddRange(state.TermRuns);
        Invariant.Holds(_runs.Count > 0 && _runs[0].FirstIndex <= FirstIndex);
        if (state.RecentEntries.Count > 0)
        {
            FirstInMemory = state.RecentEntries[0].Index;
            foreach (Entry entry in state.RecentEntries)
                PushBack(entry);
            Invariant.Holds(FirstInMemory + _count == LastIndex.Next);
            LastTimeMs = Math.Max(LastTimeMs, state.RecentEntries[^1].TimeMs);
        }

        for (LogIndex index = FirstInMemory; index <= _releasedIndex && index <= LastIndex; index = index.Next)
            _releasedBytes += this[index].CostBytes;
        Evict();
    }

    public LogIndex FirstIndex { get; private set; }
    public LogIndex LastIndex { get; private set; }
    public Term LastTerm => _runs.Count > 0 ? _runs[^1].Term : _baseTerm ?? Term.Zero;

    /// <summary>The first index whose entry is in memory; above the last when none is.</summary>
    public LogIndex FirstInMemory { get; private set; }

    /// <summary>No entry of the log, or of what a snapshot covers before it, has a later time stamp.</summary>
    public long LastTimeMs { get; private set; }

    /// <summary>An entry in memory.</summary>
    public Entry this[LogIndex index]
    {
        get
        {
            long offset = index - FirstInMemory;
            Invariant.Holds((ulong)offset < (ulong)_count);
            return _ring[(_head + (int)offset) & (_ring.Length - 1)]!; // slots within the count are filled
        }
    }

    /// <summary>The term of an entry; null above the log and where it is no longer known.</summary>
    public Term? TermAt(LogIndex index)
    {
        if (index > LastIndex)
            return null;
        if (index < FirstIndex)
            return index == FirstIndex.Previous ? _baseTerm : null;
        return _runs[RunOf(index)].Term;
    }

    /// <summary>The first index of the term that <paramref name="index"/> has.</summary>
    public LogIndex FirstIndexOfTermAt(LogIndex index)
    {
        Invariant.Holds(index >= FirstIndex && index <= LastIndex);
        return LogIndex.Max(_runs[RunOf(index)].FirstIndex, FirstIndex);
    }

    /// <summary>The last index up to <paramref name="bound"/> whose term is at most <paramref name="term"/>.</summary>
    public LogIndex LastIndexWithTermAtMost(Term term, LogIndex bound)
    {
        LogIndex runEnd = LastIndex;
        for (int i = _runs.Count - 1; i >= 0; i--)
        {
            if (_runs[i].Term <= term && _runs[i].FirstIndex <= bound)
                return LogIndex.Min(runEnd, bound);
            runEnd = _runs[i].FirstIndex.Previous;
        }

        return LogIndex.Min(FirstIndex.Previous, bound);
    }

    public void Append(Entry entry)
    {
        Invariant.Holds(entry.Index == LastIndex.Next);
        Invariant.Holds(entry.Term >= LastTerm);

        if (_runs.Count == 0 || _runs[^1].Term != entry.Term)
            _runs.Add(new TermRun(entry.Index, entry.Term));
        PushBack(entry);
        LastIndex = entry.Index;
        LastTimeMs = Math.Max(LastTimeMs, entry.TimeMs);
    }

    /// <summary>Forgets all entries from this index on.</summary>
    public void TruncateFrom(LogIndex index)
    {
        Invariant.Holds(index >= FirstIndex && index <= LastIndex);
        Invariant.Holds(index > _releasedIndex);

        while (_count > 0 && LastIndex >= index)
        {
            _count--;
            _ring[(_head + _count) & (_ring.Length - 1)] = null;
            LastIndex = LastIndex.Previous;
        }

        LastIndex = index.Previous;
        FirstInMemory = LogIndex.Min(FirstInMemory, index);
        while (_runs.Count > 0 && _runs[^1].FirstIndex >= index)
            _runs.RemoveAt(_runs.Count - 1);
        if (_count > 0)
            LastTimeMs = this[LastIndex].TimeMs;
    }

    /// <summary>A snapshot covers all up to this index, and they go.</summary>
    public void CompactThrough(LogIndex index)
    {
        if (index < FirstIndex)
            return;
        Invariant.Holds(index <= _releasedIndex);
        Invariant.Holds(index <= LastIndex);

        Term baseTerm = _runs[RunOf(index)].Term;
        int gone = index == LastIndex ? _runs.Count : RunOf(index.Next);
        _runs.RemoveRange(0, gone);
        while (_count > 0 && FirstInMemory <= index)
            PopFront();
        FirstInMemory = LogIndex.Max(FirstInMemory, index.Next);
        FirstIndex = index.Next;
        _baseTerm = baseTerm;
    }

    /// <summary>A snapshot takes the place of the whole log, which goes on behind it.</summary>
    public void ResetTo(LogIndex index, Term term, long timeMs)
    {
        LastTimeMs = timeMs;
        _runs.Clear();
        _ring = new Entry?[RingSizeMin];
        _head = 0;
        _count = 0;
        _releasedBytes = 0;
        _releasedIndex = index;
        _baseTerm = term;
        FirstIndex = index.Next;
        FirstInMemory = index.Next;
        LastIndex = index;
    }

    /// <summary>How many bytes the entries of a range have in memory; null when some are not there. Stops counting above the limit.</summary>
    public long? BytesOf(LogIndex from, LogIndex last, long limit)
    {
        if (from < FirstInMemory)
            return null;
        long bytes = 0;
        for (LogIndex index = from; index <= last && bytes <= limit; index = index.Next)
            bytes += this[index].CostBytes;
        return bytes;
    }

    /// <summary>The entries from <paramref name="from"/> on, up to <paramref name="last"/> and at most
    /// <paramref name="maxBytes"/>, but at least one.</summary>
    public Entry[] Copy(LogIndex from, LogIndex last, long maxBytes, out long bytes)
    {
        int count = 0;
        bytes = 0;
        for (LogIndex index = from; index <= last; index = index.Next)
        {
            int cost = this[index].CostBytes;
            if (count > 0 && bytes + cost > maxBytes)
                break;
            bytes += cost;
            count++;
        }

        var entries = new Entry[count];
        for (int i = 0; i < count; i++)
            entries[i] = this[from + i];
        return entries;
    }

    /// <summary>All up to this index is committed and durable: it stays in memory only as far as the cache allows, and can be read
    /// from the disk.</summary>
    public void Release(LogIndex index)
    {
        for (LogIndex i = _releasedIndex.Next; i <= index; i = i.Next)
        {
            if (i >= FirstInMemory)
                _releasedBytes += this[i].CostBytes;
            _releasedIndex = i;
        }

        Evict();
    }

    private void Evict()
    {
        while (_releasedBytes > _maxCacheBytes && _count > 0 && FirstInMemory <= _releasedIndex)
            PopFront();

        // A burst must not keep its ring for ever; a quarter leaves room, so that this stays amortised.
        if (_ring.Length > 1024 && _count < _ring.Length / 4)
            Resize(_ring.Length / 2);
    }

    private int RunOf(LogIndex index)
    {
        int low = 0;
        int high = _runs.Count - 1;
        if (_runs[high].FirstIndex <= index)
            return high;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (_runs[middle].FirstIndex <= index)
                low = middle;
            else
                high = middle - 1;
        }

        return low;
    }

    private void PopFront()
    {
        if (FirstInMemory <= _releasedIndex)
            _releasedBytes -= this[FirstInMemory].CostBytes;
        _ring[_head] = null;
        _head = (_head + 1) & (_ring.Length - 1);
        _count--;
        FirstInMemory = FirstInMemory.Next;
    }

    private void PushBack(Entry entry)
    {
        if (_count == _ring.Length)
            Resize(_ring.Length * 2);
        _ring[(_head + _count) & (_ring.Length - 1)] = entry;
        _count++;
    }

    private void Resize(int size)
    {
        var ring = new Entry?[size];
        for (int i = 0; i < _count; i++)
            ring[i] = _ring[(_head + i) & (_ring.Length - 1)];
        _ring = ring;
        _head = 0;
    }
}

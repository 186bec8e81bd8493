using System.Diagnostics.CodeAnalysis;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>Who waits for which index: writes for commit and then for apply, reads for apply. Ended in index order. Rule 11.</summary>
/// <remarks>A call that was cancelled stays where it is until half of what waits may be such, and then all of them go: however
/// long an index is not reached, there are at most twice as many as live calls.</remarks>
internal sealed class Waiters
{
    private readonly IndexQueue<LocalWrite> _committed = new(static write => write.HasEnded);
    private readonly IndexQueue<LocalWrite> _applied = new(static write => write.HasEnded);
    private readonly IndexQueue<LocalRead> _reads = new(static read => read.HasEnded);

    public int Count => _committed.Count + _applied.Count + _reads.Count;

    public void AddCommitted(LocalWrite write) => _committed.Enqueue(write, write.Entry.Index.Value);

    public void AddApplied(LocalWrite write) => _applied.Enqueue(write, write.Entry.Index.Value);

    public void AddRead(LocalRead read, LogIndex index) => _reads.Enqueue(read, index.Value);

    public LocalWrite? TakeCommitted(LogIndex upTo) => Take(_committed, upTo);

    /// <summary>Takes out all whose entry is of an older term, ascending by index. Once a term at the most.</summary>
    public List<LocalWrite> TakeCommittedOfTermsBelow(Term term)
    {
        List<LocalWrite> taken = [];
        List<LocalWrite> kept = [];
        while (_committed.TryDequeue(out LocalWrite? write, out _))
            (write.Entry.Term < term ? taken : kept).Add(write);
        foreach (LocalWrite write in kept)
            AddCommitted(write);
        return taken;
    }

    /// <summary>Takes out all that wait for commit, ascending by index.</summary>
    public LocalWrite? TakeAnyCommitted() => _committed.TryDequeue(out LocalWrite? write, out _) ? write : null;

    /// <summary>Takes out all reads of what lies above an index.</summary>
    public List<LocalRead> TakeReadsAbove(LogIndex index)
    {
        List<LocalRead> taken = [];
        List<(LocalRead Read, long Index)> kept = [];
        while (_reads.TryDequeue(out LocalRead? read, out long at))
        {
            if (at > index.Value)
                taken.Add(read);
            else
                kept.Add((read, at));
        }

        foreach ((LocalRead read, long at) in kept)
            _reads.Enqueue(read, at);
        return taken;
    }

    public LocalWrite? TakeApplied(LogIndex upTo) => Take(_applied, upTo);

    public LocalRead? TakeRead(LogIndex upTo) => Take(_reads, upTo);

    public void Clear()
    {
        _committed.Clear();
        _applied.Clear();
        _reads.Clear();
    }

    private static T? Take<T>(IndexQueue<T> queue, LogIndex upTo)
        where T : class =>
        queue.TryPeek(out _, out long index) && index <= upTo.Value ? queue.Dequeue() : null;
}

/// <summary>A queue by index that forgets what has ended.</summary>
internal sealed class IndexQueue<T>(Predicate<T> hasEnded)
    where T : class
{
    private const int SweepAtMin = 64;

    private readonly PriorityQueue<T, long> _queue = new();
    private int _sweepAt = SweepAtMin;

    public int Count => _queue.Count;

    public void Enqueue(T element, long index)
    {
        if (_queue.Count >= _sweepAt)
            Sweep();
        _queue.Enqueue(element, index);
    }

    public T Dequeue() => _queue.Dequeue();

    public bool TryDequeue([MaybeNullWhen(false)] out T element, out long index) => _queue.TryDequeue(out element, out index);

    public bool TryPeek([MaybeNullWhen(false)] out T element, out long index) => _queue.TryPeek(out element, out index);

    public void Clear() => _queue.Clear();

    /// <summary>Amortised O(1): at least as many have come since the last time as were left then.</summary>
    private void Sweep()
    {
        List<(T Element, long Index)> kept = [];
        foreach ((T element, long index) in _queue.UnorderedItems)
        {
            if (!hasEnded(element))
                kept.Add((element, index));
        }

        _queue.Clear();
        _queue.EnqueueRange(kept);
        _sweepAt = Math.Max(SweepAtMin, 2 * _queue.Count);
    }
}

/// <summary>
/// The results of the entries applied last, kept while forwarded writes are under way: a reply that names index and term
/// may arrive after the entry itself was applied here. Bounded in number and in bytes; a result that is gone is called lost.
/// </summary>
internal sealed class RecentResults(int capacity = RecentResults.DefaultCapacity, long maxBytes = RecentResults.DefaultMaxBytes)
{
    private const int DefaultCapacity = 8192;
    private const long DefaultMaxBytes = 4 << 20;
    private const int OverheadBytes = 64;

    private Kept[] _ring = [];      // ascending by index
    private int _head;
    private int _count;

    private readonly record struct Kept(LogIndex Index, object? Result, long Bytes);

    public int Count => _count;

    public long Bytes { get; private set; }

    /// <summary>Indexes come ascending.</summary>
    public void Add(LogIndex index, object? result)
    {
        long bytes = OverheadBytes + SizeOf(result);
        while (_count > 0 && (_count == capacity || Bytes + bytes > maxBytes))
            DropOldest();
        if (bytes > maxBytes)
            return;

        if (_count == _ring.Length)
            Grow();
        _ring[(_head + _count++) % _ring.Length] = new Kept(index, result, bytes);
        Bytes += bytes;
    }

    public bool TryGet(LogIndex index, out object? result)
    {
        int low = 0;
        int high = _count - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            Kept kept = _ring[(_head + middle) % _ring.Length];
            if (kept.Index == index)
            {
                result = kept.Result;
                return true;
            }

            (low, high) = kept.Index < index ? (middle + 1, high) : (low, middle - 1);
        }

        result = null;
        return false;
    }

    public void Clear()
    {
        while (_count > 0)
            DropOldest();
    }

    private void DropOldest()
    {
        Bytes -= _ring[_head].Bytes;
        _ring[_head] = default;
        _head = (_head + 1) % _ring.Length;
        _count--;
    }

    private void Grow()
    {
        var larger = new Kept[Math.Clamp(_ring.Length * 2, Math.Min(64, capacity), capacity)];
        for (int i = 0; i < _count; i++)
            larger[i] = _ring[(_head + i) % _ring.Length];
        _ring = larger;
        _head = 0;
    }

    /// <summary>What of it can be seen. Other objects count as small: a state machine with large results says so.</summary>
    private static long SizeOf(object? result) => result switch
    {
        string text => 2L * text.Length,
        byte[] bytes => bytes.Length,
        ReadOnlyMemory<byte> bytes => bytes.Length,
        Memory<byte> bytes => bytes.Length,
        ISizedResult sized => sized.SizeBytes,
        _ => 0,
    };
}

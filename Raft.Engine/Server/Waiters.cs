using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>Who waits for which index: writes for commit and then for apply, reads for apply. Ended in index order. Rule 11.</summary>
/// <remarks>Calls that were cancelled stay until their index is reached; admission bounds how many there are.</remarks>
internal sealed class Waiters
{
    private readonly PriorityQueue<LocalWrite, long> _committed = new();
    private readonly PriorityQueue<LocalWrite, long> _applied = new();
    private readonly PriorityQueue<LocalRead, long> _reads = new();

    public int WriteCount => _committed.Count + _applied.Count;

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

    private static T? Take<T>(PriorityQueue<T, long> queue, LogIndex upTo)
        where T : class =>
        queue.TryPeek(out _, out long index) && index <= upTo.Value ? queue.Dequeue() : null;
}

/// <summary>
/// The results of the entries applied last, kept while forwarded writes are under way: a reply that names index and term
/// may arrive after the entry itself was applied here.
/// </summary>
internal sealed class RecentResults
{
    private const int Capacity = 8192;

    private object?[]? _results;
    private long[]? _indexes;

    public void Add(LogIndex index, object? result)
    {
        _results ??= new object?[Capacity];
        _indexes ??= new long[Capacity];
        int slot = (int)(index.Value & (Capacity - 1));
        _indexes[slot] = index.Value;
        _results[slot] = result;
    }

    public bool TryGet(LogIndex index, out object? result)
    {
        int slot = (int)(index.Value & (Capacity - 1));
        if (_results is not null && _indexes is not null && _indexes[slot] == index.Value)
        {
            result = _results[slot];
            return true;
        }

        result = null;
        return false;
    }
}

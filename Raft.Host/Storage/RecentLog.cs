using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>A ring of entries in a row, each with the sequence of its record.</summary>
internal sealed class RecentLog
{
    private (Entry Entry, long Sequence)[] _ring = new (Entry, long)[64];
    private int _start;

    public int Count { get; private set; }

    public void Add(Entry entry, long sequence)
    {
        if (Count == _ring.Length)
            Grow();
        this[Count] = (entry, sequence);
        Count++;
    }

    public void TruncateFrom(LogIndex from)
    {
        while (Count > 0 && this[Count - 1].Entry.Index >= from)
            this[--Count] = default;
    }

    /// <summary>The database has them.</summary>
    public void DropThrough(long sequence)
    {
        while (Count > 0 && this[0].Sequence <= sequence)
            DropFirst();
    }

    /// <summary>The log no longer has them.</summary>
    public void DropThrough(LogIndex mark)
    {
        while (Count > 0 && this[0].Entry.Index <= mark)
            DropFirst();
    }

    public bool CopyTo(List<Entry> entries, LogIndex from, LogIndex to, int maxBytes, ref long bytes)
    {
        if (Count == 0 || from < this[0].Entry.Index || from > this[Count - 1].Entry.Index)
            return false;
        for (int i = (int)(from - this[0].Entry.Index); i < Count; i++)
        {
            Entry entry = this[i].Entry;
            if (entry.Index > to || (entries.Count > 0 && bytes >= maxBytes))
                break;
            entries.Add(entry);
            bytes += entry.CostBytes;
        }

        return true;
    }

    private void DropFirst()
    {
        this[0] = default;
        _start = (_start + 1) & (_ring.Length - 1);
        Count--;
    }

    private ref (Entry Entry, long Sequence) this[int i] => ref _ring[(_start + i) & (_ring.Length - 1)];

    private void Grow()
    {
        var larger = new (Entry, long)[_ring.Length * 2];
        for (int i = 0; i < Count; i++)
            larger[i] = this[i];
        _ring = larger;
        _start = 0;
    }
}

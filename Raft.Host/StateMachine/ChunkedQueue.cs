using System.Runtime.CompilerServices;

namespace Raft.Host.StateMachine;

/// <summary>Numbered items: added at the end, taken from the front, and shared with a picture without a copy. Not thread-safe.</summary>
/// <remarks>A picture shares the chunks. It reads what was there when it was taken, which nobody writes again but for one
/// case: the front is cleared when it is taken, so that what it holds can go. The chunk is cloned before that.</remarks>
internal sealed class ChunkedQueue<T>(long first)
{
    internal const int ChunkItems = 1024;

    private readonly List<T[]> _chunks = [];
    private long _chunksFrom = first;       // number of the first slot of the first chunk
    private Picture? _picture;
    private T[]? _ownChunk;                 // a clone made since the picture was taken: not shared

    /// <summary>The oldest item that is kept; when none is, the next one's number.</summary>
    public long First { get; private set; } = first;

    /// <summary>The number of the next item.</summary>
    public long Next { get; private set; } = first;

    public long Count => Next - First;

    public void Add(in T item)
    {
        int slot = (int)(Next - _chunksFrom);
        if (slot / ChunkItems == _chunks.Count)
            _chunks.Add(new T[ChunkItems]);
        _chunks[slot / ChunkItems][slot % ChunkItems] = item;
        Next++;
    }

    /// <summary>An item that is kept.</summary>
    public ref readonly T At(long number)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(number, First);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(number, Next);
        int slot = (int)(number - _chunksFrom);
        return ref _chunks[slot / ChunkItems][slot % ChunkItems];
    }

    public void RemoveFirst()
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(First, Next);
        if (_picture is { } picture && First < picture.Next && _chunks[0] != _ownChunk)
            _chunks[0] = _ownChunk = [.. _chunks[0]];

        int slot = (int)(First - _chunksFrom);
        if (RuntimeHelpers.IsReferenceOrContainsReferences<T>())
            _chunks[0][slot] = default!;    // it is never read again
        First++;
        if (slot + 1 < ChunkItems)
            return;

        _chunks.RemoveAt(0);
        _chunksFrom += ChunkItems;
    }

    /// <summary>What is kept now; one at a time.</summary>
    public Picture TakePicture()
    {
        if (_picture is not null)
            throw new InvalidOperationException("A picture is open already.");
        return _picture = new Picture([.. _chunks], _chunksFrom, First, Next);
    }

    public void Close(Picture picture)
    {
        if (_picture != picture)
            return;
        _picture = null;
        _ownChunk = null;
    }

    /// <summary>Read from any thread, without a lock, in ascending order.</summary>
    internal sealed class Picture(T[]?[] chunks, long chunksFrom, long first, long next)
    {
        public long First { get; } = first;
        public long Next { get; } = next;

        public ref readonly T At(long number)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(number, First);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(number, Next);
            (long chunk, long slot) = Math.DivRem(number - chunksFrom, ChunkItems);
            if (slot == 0 && chunk > 0)
                chunks[chunk - 1] = null;   // read: what the queue dropped meanwhile can go
            return ref (chunks[chunk] ?? throw new InvalidOperationException($"Item {number} was read already."))[slot];
        }
    }
}

namespace Raft.Host.StateMachine;

/// <summary>One journal entry. The payload is never changed.</summary>
public readonly record struct JournalEntry(long Term, long TimeMs, string? ContentType, ReadOnlyMemory<byte> Payload);

/// <summary>Numbers its entries 1, 2, 3 ... without holes and keeps the newest within a limit. Not thread-safe.</summary>
internal sealed class Journal
{
    private const int ChunkEntries = 1024;

    /// <summary>What an entry costs beside its payload, when the limit in bytes is watched.</summary>
    private const int OverheadBytes = 64;

    private readonly List<JournalEntry[]> _chunks = [];
    private long _chunksFrom = 1;       // index of the first slot of the first chunk

    /// <summary>The oldest entry that is kept; when none is, the next one's index.</summary>
    public long FirstIndex { get; private set; } = 1;

    /// <summary>The newest entry; 0 before the first.</summary>
    public long LastIndex { get; private set; }

    public long Bytes { get; private set; }

    /// <summary>Sum of the hashes of the entries that are kept.</summary>
    public UInt128 HashSum { get; private set; }

    public long Append(in JournalEntry entry)
    {
        LastIndex++;
        int slot = (int)(LastIndex - _chunksFrom);
        if (slot / ChunkEntries == _chunks.Count)
            _chunks.Add(new JournalEntry[ChunkEntries]);
        _chunks[slot / ChunkEntries][slot % ChunkEntries] = entry;
        Bytes += entry.Payload.Length + OverheadBytes;
        HashSum += StateHash.OfJournalEntry(LastIndex, entry);
        return LastIndex;
    }

    /// <summary>Drops the oldest entries beyond the limit. The newest one is always kept: its writer may read it.</summary>
    public void Retain(long maxEntries, long maxBytes)
    {
        while (FirstIndex < LastIndex && (LastIndex - FirstIndex + 1 > maxEntries || Bytes > maxBytes))
        {
            int slot = (int)(FirstIndex - _chunksFrom);
            ref JournalEntry oldest = ref _chunks[slot / ChunkEntries][slot % ChunkEntries];
            Bytes -= oldest.Payload.Length + OverheadBytes;
            HashSum -= StateHash.OfJournalEntry(FirstIndex, oldest);
            oldest = default;
            FirstIndex++;
            if (FirstIndex - _chunksFrom >= ChunkEntries)
            {
                _chunks.RemoveAt(0);
                _chunksFrom += ChunkEntries;
            }
        }
    }

    /// <summary>An entry between <see cref="FirstIndex"/> and <see cref="LastIndex"/>.</summary>
    public JournalEntry At(long index)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(index, FirstIndex);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(index, LastIndex);
        int slot = (int)(index - _chunksFrom);
        return _chunks[slot / ChunkEntries][slot % ChunkEntries];
    }
}

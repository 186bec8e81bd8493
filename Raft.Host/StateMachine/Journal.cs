namespace Raft.Host.StateMachine;

/// <summary>One journal entry. The payload is never changed.</summary>
public readonly record struct JournalEntry(long Term, long TimeMs, string? ContentType, ReadOnlyMemory<byte> Payload);

/// <summary>Numbers its entries 1, 2, 3 ... without holes and keeps the newest within a limit. Not thread-safe.</summary>
internal sealed class Journal(long firstIndex = 1)
{
    /// <summary>What an entry costs beside its payload, when the limit in bytes is watched.</summary>
    internal const int OverheadBytes = 64;

    private readonly ChunkedQueue<JournalEntry> _entries = new(firstIndex);

    /// <summary>The oldest entry that is kept; when none is, the next one's index.</summary>
    public long FirstIndex => _entries.First;

    /// <summary>The newest entry; 0 before the first.</summary>
    public long LastIndex => _entries.Next - 1;

    public long Bytes { get; private set; }

    /// <summary>Sum of the hashes of the entries that are kept.</summary>
    public UInt128 HashSum { get; private set; }

    public long Append(in JournalEntry entry)
    {
        _entries.Add(entry);
        Bytes += entry.Payload.Length + OverheadBytes;
        HashSum += StateHash.OfJournalEntry(LastIndex, entry);
        return LastIndex;
    }

    /// <summary>Drops the oldest entries beyond the limit. The newest one is always kept: its writer may read it.</summary>
    public void Retain(long maxEntries, long maxBytes)
    {
        while (FirstIndex < LastIndex && (_entries.Count > maxEntries || Bytes > maxBytes))
        {
            ref readonly JournalEntry oldest = ref _entries.At(FirstIndex);
            Bytes -= oldest.Payload.Length + OverheadBytes;
            HashSum -= StateHash.OfJournalEntry(FirstIndex, oldest);
            _entries.RemoveFirst();
        }
    }

    /// <summary>An entry between <see cref="FirstIndex"/> and <see cref="LastIndex"/>.</summary>
    public JournalEntry At(long index) => _entries.At(index);

    public ChunkedQueue<JournalEntry>.Picture TakePicture() => _entries.TakePicture();

    public void Close(ChunkedQueue<JournalEntry>.Picture picture) => _entries.Close(picture);
}

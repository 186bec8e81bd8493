using Raft.Engine.Protocol;

namespace Raft.Host.StateMachine;

/// <summary>The state hash as of one applied command.</summary>
public readonly record struct HashRecord(LogIndex Index, long TimeMs, UInt128 Hash, int Version);

/// <summary>The last state hashes of a replica. Every replica records at the same commands, whatever batches they came in. Not thread-safe.</summary>
internal sealed class HashRecords
{
    public const int Kept = 16;
    private const long EveryEntries = 1_000;
    private const long EveryMs = 30_000;

    private readonly List<HashRecord> _records = new(Kept);
    private long _dueIndex;     // a record is due at the first command that reaches either
    private long _dueTimeMs;

    public IReadOnlyList<HashRecord> All => _records;

    public HashRecord? Newest => _records.Count == 0 ? null : _records[^1];

    /// <summary>Whether the command lies in another thousand of entries, or half minute of the leaders', than the newest record. Hot path.</summary>
    public bool IsDue(LogIndex index, long timeMs) => index.Value >= _dueIndex || timeMs >= _dueTimeMs;

    public void Add(HashRecord record)
    {
        if (_records.Count == Kept)
            _records.RemoveAt(0);
        _records.Add(record);
        _dueIndex = (record.Index.Value / EveryEntries + 1) * EveryEntries;
        _dueTimeMs = (record.TimeMs / EveryMs + 1) * EveryMs;
    }

    public HashRecord? Find(LogIndex index)
    {
        foreach (HashRecord record in _records)
        {
            if (record.Index == index)
                return record;
        }

        return null;
    }
}

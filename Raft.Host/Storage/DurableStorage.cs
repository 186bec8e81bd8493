using System.Text;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>The storage of one group: queues requests for the WAL thread, and serves reads from memory where the database
/// thread is not through yet. Calls come from the group's shard.</summary>
internal sealed partial class DurableStorage : IRaftStorage
{
    private const int NameBytesMax = 255;

    private readonly WalThreads _threads;
    private readonly object _gate = new();
    private readonly RecentLog _recent = new();     // durable, not yet in the database
    private LogIndex _last;
    private LogIndex _deletedThrough;
    private LogIndex _newestSnapshot;               // in force, or asked for
    private long _truncations;
    private bool _hasState;
    private Task _newest = Task.CompletedTask;

    /// <summary>The two threads behind all groups; set once the store is open.</summary>
    internal sealed class WalThreads
    {
        public WalThread? Wal { get; set; }
        public DatabaseThread? Database { get; set; }
        public SnapshotFiles? Snapshots { get; set; }
        public FailStop? FailStop { get; set; }
        public int EntryBytesMax { get; set; }
    }

    public DurableStorage(GroupId id, WalThreads threads)
    {
        Id = id;
        NameBytes = Encoding.UTF8.GetBytes(id.Value);
        if (NameBytes.Length is 0 or > NameBytesMax)
            throw new ArgumentException($"A group's id has 1 to {NameBytesMax} bytes of UTF-8.", nameof(id));
        _threads = threads;
        SnapshotPrefix = SnapshotFiles.PrefixOf(NameBytes);
    }

    public GroupId Id { get; }
    public byte[] NameBytes { get; }

    /// <summary>What the ids of its snapshots begin with.</summary>
    public string SnapshotPrefix { get; }

    /// <summary>Whether anything of this group is stored, or on its way; any thread.</summary>
    public bool HasState => Volatile.Read(ref _hasState);

    /// <summary>The WAL thread's own: terms or votes of this group that wait, and the record in which it is blocked.</summary>
    public int VotesWaiting { get; set; }

    public long BlockedIn { get; set; }

    /// <summary>As well its own: the record for which it has waited behind others, and the bytes it has in it.</summary>
    public long SharedIn { get; set; }

    public int SharedBytes { get; set; }

    /// <summary>The last durable index; any thread.</summary>
    public LogIndex Last
    {
        get
        {
            lock (_gate)
                return _last;
        }
    }

    /// <summary>How often a durable truncation took something away; any thread.</summary>
    public long Truncations => Volatile.Read(ref _truncations);

    public ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation) =>
        new(_threads.Database!.LoadAsync(this, cacheBytes, cancellation));      // set before the group is handed out

    public Task PersistAsync(PersistRequest? request)
    {
        if (_threads.FailStop?.Cause is { } cause)
            return Task.FromException(cause);
        if (request is null)
            return _newest;                         // completes, or fails, with the newest before it

        CheckSizes(request.Entries);
        CheckSnapshot(request);
        return PersistAsync(new WalBatch
        {
            Group = this,
            TermAndVote = request.TermAndVote,
            TruncateFrom = request.TruncateFrom,
            Entries = request.Entries,
            Descriptor = request.Snapshot,
            DeletedThrough = request.DeleteThrough,
        });
    }

    /// <summary>As the public one, with what concerns the node beside the group.</summary>
    internal Task PersistAsync(WalBatch batch)
    {
        Volatile.Write(ref _hasState, true);
        return _newest = _threads.Wal!.Enqueue(batch);
    }

    public ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation)
    {
        if (_threads.FailStop?.Cause is { } cause)
            return ValueTask.FromException<IReadOnlyList<Entry>>(cause);

        var entries = new List<Entry>();
        long bytes = 0;
        if (from > to || AddFromMemory(entries, from, to, maxBytes, ref bytes) || !Holds(from))
            return new ValueTask<IReadOnlyList<Entry>>(entries);
        return new ValueTask<IReadOnlyList<Entry>>(_threads.Database!.ReadAsync(this, from, to, maxBytes, cancellation));
    }

    /// <summary>Adds what memory holds from <paramref name="from"/> on; false when it begins later, or there is none.</summary>
    internal bool AddFromMemory(List<Entry> entries, LogIndex from, LogIndex to, int maxBytes, ref long bytes)
    {
        lock (_gate)
            return _recent.CopyTo(entries, from, to, maxBytes, ref bytes);
    }

    /// <summary>Where memory begins: below, the database has what is valid.</summary>
    internal LogIndex MemoryFirst
    {
        get
        {
            lock (_gate)
                return _last.Next - _recent.Count;
        }
    }

    /// <summary>Whether the log holds the entry; any thread.</summary>
    internal bool Holds(LogIndex index)
    {
        lock (_gate)
            return index > _deletedThrough && index <= _last;
    }

    /// <summary>What opening found.</summary>
    internal void SetFound(GroupRecord record)
    {
        lock (_gate)
        {
            _last = record.Last;
            _deletedThrough = record.DeletedThrough;
        }

        _newestSnapshot = record.Descriptor?.Index ?? LogIndex.Zero;
        Volatile.Write(ref _hasState, true);
    }

    /// <summary>WAL thread: the part is durable, and not yet completed. So reads that start after the completion see it.</summary>
    internal void OnDurable(long sequence, in WalPart part)
    {
        WalBatch batch = part.Batch;
        lock (_gate)
        {
            if (part.IsFirst && batch.TruncateFrom is { } from && from <= _last)
            {
                _recent.TruncateFrom(from);
                _last = LogIndex.Max(from.Previous, _deletedThrough);
                _truncations++;
            }

            for (int i = part.From; i < part.From + part.Count; i++)
                _recent.Add(batch.Entries[i], sequence);
            if (part.Count > 0)
                _last = batch.Entries[part.From + part.Count - 1].Index;
            if (part.IsLast && batch.DeletedThrough is { } mark && mark > _deletedThrough)
            {
                _recent.DropThrough(mark);
                _deletedThrough = mark;
                if (mark > _last)
                    _last = mark;                   // the log goes on behind it
            }
        }

        if (part.IsLast && batch.Descriptor is { } descriptor)
            _threads.Snapshots!.PutInForce(this, descriptor);       // set before the group is handed out
    }

    /// <summary>Database thread: it has all up to this sequence.</summary>
    internal void OnStored(long sequence)
    {
        lock (_gate)
            _recent.DropThrough(sequence);
    }

    private void CheckSizes(IReadOnlyList<Entry> entries)
    {
        for (int i = 0; i < entries.Count; i++)
        {
            if (entries[i].Payload.Length > _threads.EntryBytesMax)
                throw new ArgumentException($"An entry has {entries[i].Payload.Length} bytes; this store takes at most {_threads.EntryBytesMax}.", nameof(entries));
        }
    }
}

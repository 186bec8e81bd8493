using System.Text;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>The storage of one group: queues requests for the WAL thread, and serves reads from memory where the database
/// thread is not through yet. Calls come from the group's shard.</summary>
internal sealed class DurableStorage : IRaftStorage
{
    private const int NameBytesMax = 255;

    private readonly WalThreads _threads;
    private readonly object _gate = new();
    private readonly RecentLog _recent = new();     // durable, not yet in the database
    private LogIndex _last;
    private long _truncations;
    private Task _newest = Task.CompletedTask;

    /// <summary>The two threads behind all groups; set once the store is open.</summary>
    internal sealed class WalThreads
    {
        public WalThread? Wal { get; set; }
        public DatabaseThread? Database { get; set; }
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
    }

    public GroupId Id { get; }
    public byte[] NameBytes { get; }

    /// <summary>The WAL thread's own: terms or votes of this group that wait, and the record in which it is blocked.</summary>
    public int VotesWaiting { get; set; }

    public long BlockedIn { get; set; }

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

    public async ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation) =>
        await _threads.Database!.LoadAsync(this, cacheBytes).WaitAsync(cancellation);      // set before the group is handed out

    public Task PersistAsync(PersistRequest? request)
    {
        if (_threads.FailStop?.Cause is { } cause)
            return Task.FromException(cause);
        if (request is null)
            return _newest;                         // completes, or fails, with the newest before it

        CheckSizes(request.Entries);
        return _newest = _threads.Wal!.Enqueue(new WalBatch
        {
            Group = this,
            TermAndVote = request.TermAndVote,
            TruncateFrom = request.TruncateFrom,
            Entries = request.Entries,
        });
    }

    /// <summary>As the public one, with what only snapshots need: descriptor and the mark below which the log may go.</summary>
    internal Task PersistAsync(WalBatch batch) => _newest = _threads.Wal!.Enqueue(batch);

    public ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation)
    {
        if (_threads.FailStop?.Cause is { } cause)
            return ValueTask.FromException<IReadOnlyList<Entry>>(cause);

        var entries = new List<Entry>();
        long bytes = 0;
        if (from > to || AddFromMemory(entries, from, to, maxBytes, ref bytes) || from > Last)
            return new ValueTask<IReadOnlyList<Entry>>(entries);
        return new ValueTask<IReadOnlyList<Entry>>(_threads.Database!.ReadAsync(this, from, to, maxBytes).WaitAsync(cancellation));
    }

    public Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) => throw new NotSupportedException();

    public ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) => throw new NotSupportedException();

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

    /// <summary>What opening found.</summary>
    internal void SetLast(LogIndex last)
    {
        lock (_gate)
            _last = last;
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
                _last = from.Previous;
                _truncations++;
            }

            for (int i = part.From; i < part.From + part.Count; i++)
                _recent.Add(batch.Entries[i], sequence);
            if (part.Count > 0)
                _last = batch.Entries[part.From + part.Count - 1].Index;
            if (part.IsFirst && batch.DeletedThrough is { } mark && mark > _last)
                _last = mark;
        }
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

    public void DropThrough(long sequence)
    {
        while (Count > 0 && this[0].Sequence <= sequence)
        {
            this[0] = default;
            _start = (_start + 1) & (_ring.Length - 1);
            Count--;
        }
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

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>What one server's disk holds: it survives crashes, and loses what was not synced. One group.</summary>
internal sealed partial class SimulatedDisk
{
    private readonly Action<TimeSpan, Action> _schedule;
    private readonly List<Entry> _entries = [];
    private TermAndVote _termAndVote;
    private SimulatedStorage? _current;
    private bool _isHeld;

    /// <param name="schedule">Runs work later; inline for tests without a world.</param>
    public SimulatedDisk(Action<TimeSpan, Action> schedule) => _schedule = schedule;

    /// <summary>How long one sync takes.</summary>
    public Func<TimeSpan> SyncTime { get; set; } = () => TimeSpan.Zero;

    public bool IsFailing { get; private set; }
    public int SyncCount { get; private set; }
    public TermAndVote TermAndVote => _termAndVote;
    public IReadOnlyList<Entry> Entries => _entries;

    /// <summary>The log begins here; entries before it are in the snapshot.</summary>
    public LogIndex FirstIndex { get; private set; } = new(1);

    public LogIndex LastIndex => FirstIndex + (_entries.Count - 1);

    /// <summary>Called after each sync, with what it made durable.</summary>
    public event Action<PersistRequest>? Synced;

    /// <summary>Opens the disk: the storage that was open before is gone, and what it had not synced with it.</summary>
    public SimulatedStorage Open()
    {
        DeleteUnnamedFiles();
        _current = new SimulatedStorage(this);
        return _current;
    }

    /// <param name="surviving">So many of the requests under way reached the disk all the same, in their order; nobody was told.</param>
    public void Crash(int surviving = 0)
    {
        _current?.StoreFirst(surviving);
        _current = null;
        _heldSnapshots.Clear();
        DeleteUnnamedFiles();
    }

    /// <summary>How many requests are queued or being synced.</summary>
    public int UnderWay => _current?.UnderWay ?? 0;

    /// <summary>What is read does not hold what was written: a start finds it and refuses.</summary>
    public bool IsDamaged { get; set; }

    /// <summary>The cause of the failure is gone: the next start finds a disk that works.</summary>
    public void Repair() => IsFailing = false;

    /// <summary>A copy of all that is durable, as of a backup.</summary>
    public SimulatedDisk Copy()
    {
        var copy = new SimulatedDisk(_schedule)
        {
            SyncTime = SyncTime,
            SnapshotTime = SnapshotTime,
            FirstIndex = FirstIndex,
            Snapshot = Snapshot,
            _termAndVote = _termAndVote,
            _fileNumber = _fileNumber,
        };
        copy._entries.AddRange(_entries);
        foreach ((string id, Stored file) in _files)
            copy._files.Add(id, file with { Bytes = [.. file.Bytes] });
        return copy;
    }

    /// <summary>Syncs take for ever from now on.</summary>
    public void Hold() => _isHeld = true;

    public void Release()
    {
        _isHeld = false;
        Action[] held = [.. _heldSnapshots];
        _heldSnapshots.Clear();
        foreach (Action finish in held)
            finish();
        _current?.StartSync();
    }

    public void Fail()
    {
        IsFailing = true;
        _current?.FailAll();
    }

    /// <summary>What is stored without any server's doing.</summary>
    public void Store(PersistRequest request)
    {
        if (request.TermAndVote is { } termAndVote)
            _termAndVote = termAndVote;
        if (request.TruncateFrom is { } from && from <= LastIndex)
        {
            int keep = (int)Math.Max(0, from - FirstIndex);
            _entries.RemoveRange(keep, _entries.Count - keep);
        }

        foreach (Entry entry in request.Entries)
        {
            if (entry.Index != LastIndex.Next)
                throw new InvalidOperationException($"Entry {entry} does not follow {LastIndex}.");
            _entries.Add(entry);
        }

        if (request.Snapshot is { } snapshot)
            PutInForce(snapshot);
        if (request.DeleteThrough is { } mark && mark >= FirstIndex)
        {
            _entries.RemoveRange(0, (int)Math.Min(_entries.Count, mark.Next - FirstIndex));
            FirstIndex = mark.Next;
        }
    }

    internal sealed partial class SimulatedStorage(SimulatedDisk disk) : IRaftStorage
    {
        private readonly Lock _gate = new();
        private List<(PersistRequest? Request, TaskCompletionSource Done)> _queued = [];
        private List<(PersistRequest? Request, TaskCompletionSource Done)> _syncing = [];
        private bool _isSyncing;
        private LogIndex _newestSnapshot = disk.Snapshot?.Index ?? LogIndex.Zero;

        private SimulatedDisk Disk => disk;

        public ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation)
        {
            if (disk.IsFailing)
                throw new IOException("The disk has failed.");
            if (disk.IsDamaged)
                throw new CorruptStorageException("log", 0, "An entry's checksum does not fit.", "Take this node's data from another server.");
            List<TermRun> runs = [];
            foreach (Entry entry in disk._entries)
            {
                if (runs.Count == 0 || runs[^1].Term != entry.Term)
                    runs.Add(new TermRun(entry.Index, entry.Term));
            }

            long bytes = 0;
            int first = disk._entries.Count;
            while (first > 0 && ((bytes += disk._entries[first - 1].CostBytes) <= cacheBytes || first == disk._entries.Count))
                first--;
            return new(new PersistedState(
                disk._termAndVote, disk.Snapshot, disk.FirstIndex, disk.LastIndex, runs,
                [.. disk._entries.Skip(first)],
                [.. disk._entries.Where(entry => entry.Kind == EntryKind.Configuration)]));
        }

        public Task PersistAsync(PersistRequest? request)
        {
            Check(request);
            if (request is null && !disk.IsFailing)
            {
                // With the newest before it: nothing is written for it, as in the real store.
                return _queued.Count > 0 ? _queued[^1].Done.Task : _syncing.Count > 0 ? _syncing[^1].Done.Task : Task.CompletedTask;
            }

            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (disk.IsFailing)
                done.SetException(new IOException("The disk has failed."));
            else
                _queued.Add((request, done));
            StartSync();
            return done.Task;
        }

        public ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation)
        {
            if (disk.IsFailing)
                return ValueTask.FromException<IReadOnlyList<Entry>>(new IOException("The disk has failed."));

            List<Entry> read = [];
            long bytes = 0;
            if (from < disk.FirstIndex)
                return new(read);
            to = LogIndex.Min(to, disk.LastIndex);
            for (LogIndex i = from; i <= to && bytes < maxBytes; i = i.Next)
            {
                read.Add(disk._entries[(int)(i - disk.FirstIndex)]);
                bytes += read[^1].CostBytes;
            }

            return new(read);
        }

        /// <summary>Group commit: one sync for all that is queued.</summary>
        internal void StartSync()
        {
            lock (_gate)
            {
                if (_isSyncing || disk._isHeld || _queued.Count == 0 || disk._current != this)
                    return;

                _isSyncing = true;
                (_queued, _syncing) = (_syncing, _queued);
            }

            disk._schedule(disk.SyncTime(), FinishSync);
        }

        private void FinishSync()
        {
            if (disk._current != this || disk.IsFailing)
                return;
            if (disk._isHeld)
            {
                _queued.InsertRange(0, _syncing);
                _syncing.Clear();
                _isSyncing = false;
                return;
            }

            disk.SyncCount++;
            List<(PersistRequest? Request, TaskCompletionSource Done)> synced = [.. _syncing];
            _syncing.Clear();
            _isSyncing = false;
            foreach ((PersistRequest? request, TaskCompletionSource done) in synced)
            {
                if (request is not null)
                {
                    disk.Store(request);
                    disk.Synced?.Invoke(request);
                }

                done.SetResult();
            }

            StartSync();
        }

        public int UnderWay => _queued.Count + _syncing.Count;

        internal void StoreFirst(int count)
        {
            foreach ((PersistRequest? request, TaskCompletionSource _) in _syncing.Concat(_queued).Take(count))
            {
                if (request is not null)
                    disk.Store(request);
            }
        }

        internal void FailAll()
        {
            foreach ((PersistRequest? _, TaskCompletionSource done) in _syncing.Concat(_queued))
                done.TrySetException(new IOException("The disk has failed."));
            _syncing.Clear();
            _queued.Clear();
        }
    }
}

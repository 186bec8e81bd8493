using System.Diagnostics;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>
/// The only thread that touches LiteDB, from opening to closing: WAL records in, in large transactions; chunk reads out. It
/// never delays the WAL thread, but that one waits when it is out of segments that are covered.
/// </summary>
internal sealed class DatabaseThread
{
    public const string Name = "raft-database";
    private const int Nice = 10;

    private readonly StorageSettings _settings;
    private readonly StorageMetrics _metrics;
    private readonly FailStop _failStop;
    private readonly ILogger _logger;
    private readonly InlineScheduler _scheduler = new();
    private IStorageLoop? _loop;                    // null before Open
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Func<OpenDatabase>? _open;
    private OpenDatabase _database = null!;         // set on this thread before the loop begins

    private readonly object _gate = new();
    private readonly Queue<WalRecordContent> _records = new();
    private readonly Queue<PendingRead> _reads = new();
    private long _waitingBytes;
    private long _firstWaitsSince;
    private long _lastWork;
    private bool _isIdle;
    private bool _isCheckpointAsked;
    private bool _isLogWaiting;                     // for this thread to catch up
    private bool _isClosing;
    private bool _isEnded;
    private long _covered;
    private long _liveBytes;
    private long _retryAt;                          // of a checkpoint that found no room
    private volatile StorageFailedException? _shortage;
    private readonly List<WalRecordContent> _taken = [];

    /// <summary>What recovery hands over.</summary>
    internal sealed record OpenDatabase(
        ChunkStore Store, CheckpointStream Data, CheckpointCopies Copies, WriteAheadLog Log, Func<string, DurableStorage> Groups, string Directory, string Path);

    private sealed class PendingRead() : TaskCompletionSource<IReadOnlyList<Entry>>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public required DurableStorage Group { get; init; }
        public LogIndex From { get; init; }
        public LogIndex To { get; init; }
        public int MaxBytes { get; init; }
        public long Truncations { get; init; }
        public List<Entry> Entries { get; } = [];
        public long Bytes;

        /// <summary>Set when the whole state is wanted.</summary>
        public TaskCompletionSource<PersistedState>? State { get; init; }

        public long CacheBytes { get; init; }
    }

    public DatabaseThread(StorageSettings settings, StorageMetrics metrics, FailStop failStop, ILogger logger)
    {
        _settings = settings;
        _metrics = metrics;
        _failStop = failStop;
        _logger = logger;
    }

    /// <summary>Records and bytes that the database does not have yet. Any thread.</summary>
    public (long Records, long Bytes) Lag
    {
        get
        {
            lock (_gate)
                return (_records.Count + _taken.Count, _waitingBytes);
        }
    }

    /// <summary>Of the data file, at the last checkpoint; the rest is used again. Any thread.</summary>
    public long LiveBytes => Volatile.Read(ref _liveBytes);

    /// <summary>Set while a checkpoint finds no room on the disk: the write-ahead log keeps everything, until it is full. Any thread.</summary>
    public StorageFailedException? Shortage => _shortage;

    /// <summary>Opens the database on its own thread, and waits for it.</summary>
    public void Open(Func<OpenDatabase> open)
    {
        _open = open;
        _loop = _settings.Threads.Start(Name, RunTurn);
        _settings.Threads.Wait(_opened.Task);
    }

    /// <summary>WAL thread: this is durable. Wakes this thread only when it is time for work.</summary>
    public void Enqueue(WalRecordContent record)
    {
        bool isTime;
        lock (_gate)
        {
            _records.Enqueue(record);
            bool isFirst = _records.Count == 1;
            if (isFirst)
                _firstWaitsSince = NowMs;
            long before = _waitingBytes;
            _waitingBytes += record.Bytes;
            isTime = (isFirst && _isIdle) || (before < _settings.CopyBytes && _waitingBytes >= _settings.CopyBytes);
        }

        if (isTime)
            Wake();
    }

    /// <summary>WAL thread: whether a record of so many bytes may be written. If not, <see cref="WriteAheadLog.RoomMade"/> comes when this
    /// thread has caught up: what the database does not have is in memory.</summary>
    public bool HasRoomFor(long bytes)
    {
        lock (_gate)
        {
            _isLogWaiting = _waitingBytes > 0 && _waitingBytes + bytes > _settings.LagBytesMax;
            return !_isLogWaiting;
        }
    }

    /// <summary>Any thread.</summary>
    public void AskForCheckpoint()
    {
        lock (_gate)
            _isCheckpointAsked = true;
        Wake();
    }

    public Task<IReadOnlyList<Entry>> ReadAsync(DurableStorage group, LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation)
    {
        var read = new PendingRead { Group = group, From = from, To = to, MaxBytes = maxBytes, Truncations = group.Truncations };
        Enqueue(read);
        return read.WaitAsync(cancellation);
    }

    public Task<PersistedState> LoadAsync(DurableStorage group, long cacheBytes, CancellationToken cancellation)
    {
        var state = new TaskCompletionSource<PersistedState>(TaskCreationOptions.RunContinuationsAsynchronously);
        Enqueue(new PendingRead { Group = group, State = state, CacheBytes = cacheBytes });
        return state.WaitAsync(cancellation);
    }

    /// <summary>The store has failed elsewhere.</summary>
    public void Wake() => _loop?.Wake();

    /// <summary>After the WAL thread has ended: takes the rest, checkpoints, closes.</summary>
    public void Close()
    {
        lock (_gate)
            _isClosing = true;
        Wake();
        _loop?.Join();
    }

    private void Enqueue(PendingRead read)
    {
        bool isEnded;
        lock (_gate)
        {
            isEnded = _isEnded;
            if (!isEnded)
                _reads.Enqueue(read);
        }

        if (isEnded)
            Fail(read);
        else
            Wake();
    }

    /// <summary>Copies and checkpoints are due by it.</summary>
    private long NowMs => (long)_settings.Time.GetElapsedTime(0).TotalMilliseconds;

    /// <summary>LiteDB's background queue goes to the current scheduler; this one runs it here and at once.</summary>
    private NextTurn RunTurn()
    {
        var turn = new Task<NextTurn>(_open is null ? DoWhatIsDue : OpenFirst);
        turn.RunSynchronously(_scheduler);
        return turn.GetAwaiter().GetResult();
    }

    private NextTurn OpenFirst()
    {
        try
        {
            _database = _open!();                   // Open sets it before the first turn
            _open = null;
            _covered = _database.Log.Covered;
            if (_covered < _database.Store.Position)
                Checkpoint();                       // recovery found no room for it
            _liveBytes = _database.Store.LiveBytes;
        }
        catch (Exception error)
        {
            _opened.SetException(error);
            return End();
        }

        _settings.Threads.LowerPriorityOfThisThread(Nice);     // the WAL thread's tail is made of CPU more than of disk
        _opened.SetResult();
        return NextTurn.Now;
    }

    private NextTurn DoWhatIsDue()
    {
        if (_failStop.Cause is not null)
            return End();
        try
        {
            NextTurn next = WhatIsDue(out bool isCopyDue, out bool isCheckpointDue, out bool isIdle, out bool isClosing);
            if (next != NextTurn.Now)
                return next;

            ServeReads();
            if (isCopyDue)
                CopyRecords(takeAll: isCheckpointDue);
            if (isIdle)
                DeleteSome();
            if (isCheckpointDue || (_shortage is null && _database.Store.LogBytes >= _settings.DatabaseLogBytes))
                Checkpoint();
            if (!isClosing)
                return NextTurn.Now;
            ServeReads();
            CloseCleanly();
        }
        catch (Exception error)
        {
            Exception cause = _database.Data.Failure ?? error;
            MarkDamage(cause);
            _failStop.Fail(cause, _database.Path);
            _database.Log.RoomMade?.Invoke();       // whoever waits for room waits in vain
        }

        return End();
    }

    /// <summary>Now, or when something may be.</summary>
    private NextTurn WhatIsDue(out bool isCopyDue, out bool isCheckpointDue, out bool isIdle, out bool isClosing)
    {
        lock (_gate)
        {
            long now = NowMs;
            bool hasUncovered = _database.Store.Position > _covered || _database.Store.HasDeletions;
            long copyIn = _records.Count > 0 ? _firstWaitsSince + _settings.CopyDelayMs - now : long.MaxValue;
            long checkpointIn = _records.Count == 0 && hasUncovered ? _lastWork + _settings.IdleCheckpointMs - now : long.MaxValue;
            isClosing = _isClosing;
            isIdle = checkpointIn <= 0;
            isCheckpointDue = _isCheckpointAsked || isIdle || isClosing;
            isCopyDue = _records.Count > 0 && (_waitingBytes >= _settings.CopyBytes || copyIn <= 0 || isCheckpointDue);
            if (_shortage is not null)
            {
                // Records wait in memory, as they do in the log: what a checkpoint must write at once does not grow.
                isIdle = isCopyDue = false;
                copyIn = long.MaxValue;
                checkpointIn = _retryAt - now;
                isCheckpointDue = checkpointIn <= 0 || isClosing;
            }

            if (isCopyDue || isCheckpointDue || isClosing || _reads.Count > 0)
            {
                if (isCheckpointDue)
                    _isCheckpointAsked = false;
                _isIdle = false;
                return NextTurn.Now;
            }

            _isIdle = _records.Count == 0;
            long wait = Math.Min(copyIn, checkpointIn);
            return wait == long.MaxValue ? NextTurn.WhenWoken : NextTurn.After(wait);
        }
    }

    /// <summary>Transaction by transaction, until little or nothing waits.</summary>
    private void CopyRecords(bool takeAll, bool isForLoad = false)
    {
        while (true)
        {
            long bytes = 0, waiting;
            int left;
            lock (_gate)
            {
                while (_records.Count > 0 && (_taken.Count == 0 || bytes + _records.Peek().Bytes <= _settings.TransactionBytes))
                {
                    WalRecordContent record = _records.Dequeue();
                    bytes += record.Bytes;
                    _taken.Add(record);
                }
            }

            if (_taken.Count == 0)
                return;                             // a load has taken them already

            _database.Store.Apply(_taken);
            foreach (WalRecordContent record in _taken)
            {
                foreach (WalPart part in record.Parts)
                    part.Batch.Group?.OnStored(_database.Store.Position);
            }

            bool isLogWaiting;
            lock (_gate)
            {
                _taken.Clear();
                waiting = _waitingBytes -= bytes;
                left = _records.Count;
                _firstWaitsSince = _lastWork = NowMs;
                isLogWaiting = _isLogWaiting;
                _isLogWaiting = false;
            }

            if (isLogWaiting)
                _database.Log.RoomMade?.Invoke();

            if (_shortage is null && _database.Store.LogBytes >= _settings.DatabaseLogBytes)
                Checkpoint();
            if (_shortage is not null && !isForLoad)
                return;
            if (left == 0 || (!takeAll && waiting < _settings.CopyBytes))
                return;
            ServeReads();
        }
    }

    /// <summary>Without inserts nothing else would delete what is below the marks.</summary>
    private void DeleteSome()
    {
        if (!_database.Store.HasDeletions)
            return;
        _database.Store.DeleteMarked(_settings.TransactionBytes);
        _lastWork = NowMs;
    }

    private void Checkpoint()
    {
        if (_database.Store.Position == _covered && _database.Store.LogBytes == 0)
            return;
        long before = Stopwatch.GetTimestamp();
        try
        {
            _database.Store.Checkpoint();
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace && _database.Data.Failure is null)
        {
            Postpone(error);
            return;
        }

        TimeSpan duration = Stopwatch.GetElapsedTime(before);
        if (_shortage is not null)
            _logger.CheckpointHasRoom(_database.Directory);
        _shortage = null;

        // Now, and only now, the log's space may be used again.
        _covered = _database.Store.Position;
        _database.Log.SetCovered(_covered, _database.Data.Number);
        Volatile.Write(ref _liveBytes, _database.Store.LiveBytes);
        _metrics.Checkpointed(duration);
        _logger.Checkpointed(_database.Data.Number, _database.Data.FlushedPages, _covered, (long)duration.TotalMilliseconds);
    }

    /// <summary>No room for a checkpoint. Nothing is lost: the log holds all of it, and keeps it until one succeeds.</summary>
    private void Postpone(StorageFailedException error)
    {
        if (_shortage is null)
            _logger.CheckpointLacksRoom(_database.Directory, error.Message);
        _shortage = error;
        _metrics.CheckpointPostponed();
        lock (_gate)
            _retryAt = NowMs + _settings.SpaceRetryMs;
        _database.Log.RoomMade?.Invoke();           // who waits for room in order to close waits in vain
    }

    private void CloseCleanly()
    {
        Checkpoint();
        _database.Store.Dispose();
        if (_shortage is null)
            _database.Copies.WriteEmpty();
    }

    /// <summary>One turn of each read that waits; what is not through goes to the end of the queue.</summary>
    private void ServeReads()
    {
        int count;
        lock (_gate)
            count = _reads.Count;
        for (; count > 0; count--)
        {
            PendingRead? read;
            bool hasRecords;
            lock (_gate)
            {
                if (!_reads.TryDequeue(out read))
                    return;                         // copying, below, has served it
                hasRecords = _records.Count > 0;
            }

            try
            {
                if (read.State is { } state)
                {
                    // What was completed before, the first configuration above all, must be in what is loaded.
                    if (hasRecords)
                        CopyRecords(takeAll: true, isForLoad: true);
                    state.TrySetResult(_database.Store.Load(read.Group.Id.Value, read.CacheBytes));
                }
                else if (ServeTurn(read))
                {
                    read.TrySetResult(read.Entries);
                }
                else
                {
                    lock (_gate)
                        _reads.Enqueue(read);
                }
            }
            catch
            {
                lock (_gate)
                    _reads.Enqueue(read);           // ends with the others, after the last words
                throw;
            }
        }
    }

    /// <summary>True when the read is through.</summary>
    private bool ServeTurn(PendingRead read)
    {
        DurableStorage group = read.Group;
        LogIndex next = read.From + read.Entries.Count;
        if (group.Truncations != read.Truncations)
        {
            // Entries of two histories must not stand in one answer.
            if (read.Entries.Count > 0)
                return true;
        }

        if (next > read.To || (read.Entries.Count > 0 && read.Bytes >= read.MaxBytes))
            return true;

        LogIndex memoryFirst = group.MemoryFirst;
        int before = read.Entries.Count;
        if (next < memoryFirst)
        {
            _database.Store.Read(group.Id.Value, next, LogIndex.Min(read.To, memoryFirst.Previous), read.MaxBytes, read.Entries, ref read.Bytes);
            if (read.Entries.Count == before)
                return true;                        // no longer in the log
            return read.From + read.Entries.Count > read.To || read.Bytes >= read.MaxBytes;
        }

        group.AddFromMemory(read.Entries, next, read.To, read.MaxBytes, ref read.Bytes);
        return true;
    }

    /// <summary>A checksum that does not fit at run time: the next start goes into quarantine because of this file.</summary>
    private void MarkDamage(Exception error)
    {
        if (error is CorruptStorageException damage)
            DamageMark.TryWrite(_settings.Files, _database.Directory, damage);
    }

    private NextTurn End()
    {
        List<PendingRead> reads;
        lock (_gate)
        {
            _isEnded = true;
            reads = [.. _reads];
            _reads.Clear();
        }

        foreach (PendingRead read in reads)
            Fail(read);
        return NextTurn.Never;
    }

    private void Fail(PendingRead read)
    {
        Exception cause = _failStop.Cause as Exception ?? new ObjectDisposedException(nameof(NodeStore));
        read.State?.TrySetException(cause);
        read.TrySetException(cause);
        _ = read.Task.Exception;
        _ = read.State?.Task.Exception;
    }

    private sealed class InlineScheduler : TaskScheduler
    {
        protected override void QueueTask(Task task) => TryExecuteTask(task);

        protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => TryExecuteTask(task);

        protected override IEnumerable<Task> GetScheduledTasks() => [];
    }
}

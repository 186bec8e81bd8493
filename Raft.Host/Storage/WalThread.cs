using System.Diagnostics;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>
/// The one thread that makes things durable, and does nothing else. It takes all that waits, of all groups; one record; one
/// write; one fdatasync; only then it completes all of it and hands the record on. No timer delays anything.
/// </summary>
internal sealed class WalThread
{
    private readonly WriteAheadLog _log;
    private readonly DatabaseThread _database;
    private readonly StorageMetrics _metrics;
    private readonly FailStop _failStop;
    private readonly int _recordBytes;
    private readonly Action<ClusterUid> _onFormed;
    private readonly IStorageThreads _threads;
    private IStorageLoop _loop = null!;             // set by Start, before anything is queued

    private readonly object _gate = new();
    private List<WalBatch> _incoming = [];
    private bool _isAsleep;
    private bool _isClosed;

    private List<WalBatch> _taken = [];             // the other half of the double buffer
    private readonly List<WalBatch> _backlog = [];
    private readonly List<WalPart> _parts = [];
    private int _payloadBytes;
    private long _selection;
    private bool _hasPartOfLong;                    // the record before this one
    private long _durableSequence;
    private Step _step;
    private int _encodedBytes;                      // of the record under way

    /// <summary>What the next turn does; each is one, so that a simulation can let time pass between them.</summary>
    private enum Step
    {
        Take,
        Write,
        Sync,
        Complete,
    }

    public WalThread(
        WriteAheadLog log, DatabaseThread database, StorageMetrics metrics, FailStop failStop, StorageSettings settings, Action<ClusterUid> onFormed)
    {
        _log = log;
        _database = database;
        _metrics = metrics;
        _failStop = failStop;
        _recordBytes = Math.Min(settings.RecordBytes, log.PayloadBytesMax);
        _onFormed = onFormed;
        _durableSequence = log.Sequence;
        _threads = settings.Threads;
    }

    /// <summary>Any thread.</summary>
    public long DurableSequence => Volatile.Read(ref _durableSequence);

    public void Start()
    {
        _loop = _threads.Start("raft-wal", RunTurn);
        _log.RoomMade = Wake;
    }

    /// <summary>Cheap: no system call while the thread is awake. Hot path. Any thread; batches of one group from one thread.</summary>
    public Task Enqueue(WalBatch batch)
    {
        bool isAsleep;
        lock (_gate)
        {
            if (_failStop.Cause is { } cause)
                return Task.FromException(cause);
            if (_isClosed)
                return Task.FromException(new ObjectDisposedException(nameof(NodeStore)));

            _incoming.Add(batch);
            isAsleep = _isAsleep;
            _isAsleep = false;
        }

        if (isAsleep)
            _loop.Wake();
        return batch.Task;
    }

    /// <summary>Refuses what comes from now on, writes what waits, and ends.</summary>
    public void Close()
    {
        lock (_gate)
            _isClosed = true;
        Wake();
        _loop.Join();
    }

    /// <summary>Room was made in the log, or the store has failed elsewhere. Any thread.</summary>
    private void Wake() => _loop.Wake();

    private NextTurn RunTurn()
    {
        try
        {
            switch (_step)
            {
                case Step.Take:
                    if (!TakeIncoming(out bool isEnd))
                        return isEnd ? End() : NextTurn.WhenWoken;
                    FillRecord();
                    EncodeRecord();
                    goto case Step.Write;
                case Step.Write:
                    _step = Step.Write;
                    if (_failStop.Cause is not null)
                        return End();
                    if (TryWrite())
                        return Then(Step.Sync);
                    return IsClosed && _database.Shortage is not null ? End() : NextTurn.WhenWoken;     // nobody will make room any more
                case Step.Sync:
                    Sync();
                    return Then(Step.Complete);
                default:
                    Complete();
                    return Then(Step.Take);
            }
        }
        catch (Exception error)
        {
            _failStop.Fail(error, _log.CurrentPath);
            _database.Wake();
            return End();
        }
    }

    private bool IsClosed
    {
        get
        {
            lock (_gate)
                return _isClosed;
        }
    }

    private NextTurn Then(Step step)
    {
        _step = step;
        return NextTurn.Now;
    }

    private NextTurn End()
    {
        FailWhatWaits();
        return NextTurn.Never;
    }

    /// <summary>False when there is nothing, for now or for good.</summary>
    private bool TakeIncoming(out bool isEnd)
    {
        lock (_gate)
        {
            bool isEmpty = _incoming.Count == 0 && _backlog.Count == 0;
            isEnd = _failStop.Cause is not null || (isEmpty && _isClosed);
            _isAsleep = isEmpty && !isEnd;
            if (isEmpty || isEnd)
                return false;
            (_incoming, _taken) = (_taken, _incoming);
        }

        _backlog.AddRange(_taken);
        _taken.Clear();
        return true;
    }

    /// <summary>Chooses what goes into the next record: everything, or, when not all fits, first the groups with a term or vote
    /// waiting, each with everything of that group queued before it; then of every group its share, so that one group's flood
    /// delays the others by one record; then what fits. Batches of one group are never reordered.</summary>
    private void FillRecord()
    {
        _parts.Clear();
        _payloadBytes = 0;
        _selection++;

        bool isAllTaken = true;
        foreach (WalBatch batch in _backlog)
        {
            if (!(isAllTaken = TryTake(batch)))
                break;
        }

        if (!isAllTaken)
        {
            Untake();
            MarkVotes();
            foreach (WalBatch batch in _backlog)
            {
                if (batch.Group is not { } group || group.VotesWaiting > 0)
                    TakeUnlessBlocked(batch);
            }

            TakeShares();
            foreach (WalBatch batch in _backlog)
            {
                if (!batch.IsTaken)
                    TakeUnlessBlocked(batch);
            }
        }
    }

    /// <summary>Of every group its share, in the order of the queue. A part of a long batch fills a record alone, so it does not
    /// come twice in a row while others wait.</summary>
    private void TakeShares()
    {
        int groups = 0;
        foreach (WalBatch batch in _backlog)
        {
            if (batch.Group is { } group && group.SharedIn != _selection)
            {
                group.SharedIn = _selection;
                group.SharedBytes = 0;
                groups++;
            }
        }

        int share = _recordBytes / Math.Max(1, groups);
        foreach (WalBatch batch in _backlog)
        {
            if (batch.IsTaken || batch.Group is not { } group || group.BlockedIn == _selection || group.SharedBytes >= share)
                continue;
            if (batch.NextEntry > 0 && _hasPartOfLong)
            {
                group.SharedBytes = share;          // and what comes after it stays after it
                continue;
            }

            int before = _payloadBytes;
            TakeUnlessBlocked(batch);
            group.SharedBytes += _payloadBytes - before;
        }
    }

    private void Untake()
    {
        foreach (WalPart part in _parts)
            part.Batch.IsTaken = false;
        _parts.Clear();
        _payloadBytes = 0;
    }

    private void MarkVotes()
    {
        foreach (WalBatch batch in _backlog)
        {
            if (batch.Group is { } group)
                group.VotesWaiting = 0;
        }

        foreach (WalBatch batch in _backlog)
        {
            if (batch is { Group: { } group, TermAndVote: not null, NextEntry: 0 })
                group.VotesWaiting++;
        }
    }

    private void TakeUnlessBlocked(WalBatch batch)
    {
        DurableStorage? group = batch.Group;
        if (group is not null && group.BlockedIn == _selection)
            return;

        if (TryTake(batch))
        {
            if (group is not null && batch.TermAndVote is not null && group.VotesWaiting > 0)
                group.VotesWaiting--;
        }
        else if (group is not null)
        {
            group.BlockedIn = _selection;           // what comes after it must stay after it
        }
    }

    /// <summary>False when it is not, or not wholly, in the record.</summary>
    private bool TryTake(WalBatch batch)
    {
        IReadOnlyList<Entry> entries = batch.Entries;
        int bytes = WalRecord.FixedBytes(batch), from = batch.NextEntry, next = from;
        while (next < entries.Count && _payloadBytes + bytes + WalRecord.EntryBytes(entries[next]) <= _recordBytes)
            bytes += WalRecord.EntryBytes(entries[next++]);

        bool isWhole = next == entries.Count;
        if (!isWhole)
        {
            if (_payloadBytes > 0)
                return false;                       // it goes first into a record of its own, whole if it fits there
            if (next == from)
                bytes += WalRecord.EntryBytes(entries[next++]);         // one large entry goes alone
            isWhole = next == entries.Count;
        }
        else if (_payloadBytes > 0 && _payloadBytes + bytes > _recordBytes)
        {
            return false;
        }

        _parts.Add(new WalPart(batch, from, next - from));
        _payloadBytes += bytes;
        batch.IsTaken = isWhole;
        return isWhole;
    }

    private void EncodeRecord()
    {
        var writer = new StorageWriter(_log.Payload(_payloadBytes));
        long now = Stopwatch.GetTimestamp();
        foreach (WalPart part in _parts)
        {
            WalRecord.Encode(ref writer, part);
            part.Batch.NextEntry = part.From + part.Count;
            if (part.IsFirst)
                _metrics.Waited(Stopwatch.GetElapsedTime(part.Batch.QueuedAt, now));
        }

        _encodedBytes = writer.Position;
    }

    /// <summary>False when the log has no room: this comes again when some was made.</summary>
    private bool TryWrite()
    {
        if (!_database.HasRoomFor(_encodedBytes))
            return false;

        int written = _log.TryWrite(_encodedBytes, _database.AskForCheckpoint);
        if (written == 0)
            return false;
        _metrics.RecordWritten(_parts.Count, written);
        return true;
    }

    private void Sync()
    {
        long before = Stopwatch.GetTimestamp();
        _log.Sync();
        _metrics.Synced(Stopwatch.GetElapsedTime(before));
    }

    private void Complete()
    {
        long sequence = _log.Sequence;
        WalPart[] parts = [.. _parts];
        _hasPartOfLong = Array.Exists(parts, static part => !part.IsLast);
        foreach (WalPart part in parts)
            part.Batch.Group?.OnDurable(sequence, part);

        Volatile.Write(ref _durableSequence, sequence);
        _database.Enqueue(new WalRecordContent(sequence, parts, _encodedBytes));

        int kept = 0;
        for (int i = 0; i < _backlog.Count; i++)
        {
            if (!_backlog[i].IsTaken)
                _backlog[kept++] = _backlog[i];
        }

        _backlog.RemoveRange(kept, _backlog.Count - kept);
        foreach (WalPart part in parts)
        {
            if (!part.IsLast)
                continue;
            if (part.Batch.ClusterUid is { } uid)
                _onFormed(uid);                     // the record decides; the manifest follows
            part.Batch.TrySetResult();
        }

        _parts.Clear();
    }

    private void FailWhatWaits()
    {
        Exception cause = _failStop.Cause as Exception ?? new ObjectDisposedException(nameof(NodeStore));
        List<WalBatch> waiting;
        lock (_gate)
        {
            _isClosed = true;
            waiting = [.. _backlog, .. _incoming];
            _incoming.Clear();
        }

        foreach (WalPart part in _parts)
            waiting.Add(part.Batch);

        foreach (WalBatch batch in waiting)
        {
            if (batch.TrySetException(cause))
                _ = batch.Task.Exception;           // observed: the caller may have gone
        }
    }
}

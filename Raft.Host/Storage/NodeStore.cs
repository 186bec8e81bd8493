using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <param name="DataDirectory">Where; made when it does not exist.</param>
/// <param name="NodeId">Written into the manifest; a directory of another node is refused.</param>
public sealed record NodeStoreSettings(string DataDirectory, NodeId NodeId)
{
    /// <summary>What the process may use: with little, less waits in memory on its way into the database.</summary>
    public long MemoryBytes { get; init; } = long.MaxValue;
}

/// <summary>One data directory: one write-ahead log and one database for all groups of the node.</summary>
public sealed class NodeStore : IAsyncDisposable
{
    private readonly StorageSettings _settings;
    private readonly ILogger _logger;
    private readonly FailStop _failStop;
    private readonly DataDirectory _directory;
    private readonly StorageMetrics _metrics;
    private readonly ConcurrentDictionary<string, DurableStorage> _groups = new(StringComparer.Ordinal);
    private readonly DurableStorage.WalThreads _threads = new();
    private readonly DatabaseThread _database;
    private readonly DiskReserve _reserve;
    private Recovery _recovery = null!;             // all set by OpenCurrent, before the store is handed out
    private SnapshotFiles? _snapshots;
    private WalThread _wal = null!;
    private Manifest _manifest = null!;
    private DatabaseThread.OpenDatabase? _open;
    private volatile ClusterUidBox? _clusterUid;
    private int _isDisposed;

    /// <summary>What the pages of a small database hold beside chunks.</summary>
    private const long ReusableSlackBytes = 1 << 20;

    private sealed record ClusterUidBox(ClusterUid Value);

    private NodeStore(StorageSettings settings, ILogger logger, DataDirectory directory)
    {
        _settings = settings;
        _logger = logger;
        _directory = directory;
        _reserve = new DiskReserve(directory.Path, settings);
        StartNonce = settings.Random();
        _failStop = new FailStop(settings.OnFailure);
        _metrics = new StorageMetrics(() => _database?.Lag ?? default, FileSizes);
        _database = new DatabaseThread(settings, _metrics, _failStop, logger);
    }

    /// <summary>Opens or makes the directory; nothing is answered before its end.</summary>
    /// <exception cref="DataDirectoryException">In use by another process, of another node, or not usable: names it and the remedy.</exception>
    /// <exception cref="Engine.Errors.CorruptStorageException">Damage: quarantine.</exception>
    public static NodeStore Open(NodeStoreSettings settings, ILoggerFactory logs) => Open(settings, logs, StorageSettings.For(settings.MemoryBytes));

    internal static NodeStore Open(NodeStoreSettings settings, ILoggerFactory logs, StorageSettings storage) =>
        Open(settings, logs, storage, DataDirectory.Take(settings.DataDirectory, storage.Files));

    /// <summary>As <see cref="Open(NodeStoreSettings, ILoggerFactory)"/>, but damage is an answer and the lock stays held: null, and the
    /// directory as far as it can be known.</summary>
    /// <exception cref="DataDirectoryException">In use by another process, of another node, or not usable: names it and the remedy.</exception>
    public static NodeStore? TryOpen(NodeStoreSettings settings, ILoggerFactory logs, out DamagedDirectory? damaged) =>
        TryOpen(settings, logs, StorageSettings.For(settings.MemoryBytes), out damaged);

    internal static NodeStore? TryOpen(NodeStoreSettings settings, ILoggerFactory logs, StorageSettings storage, out DamagedDirectory? damaged)
    {
        DataDirectory directory = DataDirectory.Take(settings.DataDirectory, storage.Files);
        try
        {
            damaged = null;
            return Open(settings, logs, storage, directory, keepsLockOnDamage: true);
        }
        catch (CorruptStorageException damage)
        {
            damaged = new DamagedDirectory(settings, logs, storage, directory, damage);
            return null;
        }
    }

    internal static NodeStore Open(
        NodeStoreSettings settings, ILoggerFactory logs, StorageSettings storage, DataDirectory directory, bool keepsLockOnDamage = false)
    {
        long started = Stopwatch.GetTimestamp();
        var store = new NodeStore(storage, logs.CreateLogger("Raft.Host.Storage"), directory);
        try
        {
            store.OpenCurrent(settings.NodeId);
            store._logger.DirectoryOpened(
                directory.Path, store.StartCount, store.OpeningSequence, store._recovery.Replayed, store._groups.Count, (long)Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            return store;
        }
        catch (Exception error)
        {
            Exception cause = Explain(error, directory.Path);
            store.Abandon(keepsLock: keepsLockOnDamage && cause is CorruptStorageException);
            if (cause == error)
                throw;
            throw cause;
        }
    }

    /// <summary>Only what the bytes prove is damage. Everything else, our own faults and a lack of memory included, ends the start and leaves
    /// the directory alone.</summary>
    private static Exception Explain(Exception error, string path) => error switch
    {
        CorruptStorageException or DataDirectoryException => error,
        StorageFailedException failure when Unreadable.IsProvenBy(failure) => Damage.In(failure.File, failure.Offset, $"it cannot be read: {failure.Message}"),
        StorageFailedException { Errno: not 0 } failure => new DataDirectoryException($"The data directory {path} cannot be opened: {failure.Message}", failure),
        _ => new DataDirectoryException(
            $"The data directory {path} could not be opened, and nothing in it shows damage: {error.GetType().Name}: {error.Message} It stays as it is: start the node again, with more memory if that was missing; if this comes back, report it with this line.", error),
    };

    public StorageId StorageId => _manifest.StorageId;

    /// <summary>How often this directory was started, this start included.</summary>
    public long StartCount { get; private set; }

    /// <summary>A random number of this start, to tell twins apart.</summary>
    public ulong StartNonce { get; }

    /// <summary>The WAL sequence at the end of opening.</summary>
    public long OpeningSequence { get; private set; }

    /// <summary>The highest WAL sequence that is durable now. Any thread.</summary>
    public long DurableSequence => _wal.DurableSequence;

    /// <summary>What the node was before its directory was moved aside; null when that never happened. Together with no
    /// <see cref="ClusterUid"/> it makes the node lost, and not new.</summary>
    public Former? Former { get; private set; }

    /// <summary>The groups of which anything is stored.</summary>
    public IReadOnlyList<GroupId> GroupIds => [.. _groups.Values.Where(group => group.HasState).Select(group => group.Id)];

    /// <summary>Null while the directory never was in a cluster.</summary>
    public ClusterUid? ClusterUid => _clusterUid?.Value;

    /// <summary>Writes, in one WAL record, the cluster uid and the group's first configuration as index 1, term 1, current
    /// term 1 without vote; then the manifest's uid.</summary>
    public Task FormAsync(ClusterUid uid, GroupId group, Configuration first)
    {
        if (ClusterUid is { } known)
            throw new InvalidOperationException($"This directory is in cluster {known} already; it cannot form {uid}.");

        return CreateAsync(GroupOf(group.Value), first, uid);
    }

    /// <summary>Makes a further group: in one WAL record its first configuration as index 1, term 1, current term 1 without vote.
    /// Nothing when anything of the group is stored already. Called before the group's server starts, once at a time.</summary>
    public Task CreateGroupAsync(GroupId group, Configuration first)
    {
        DurableStorage storage = GroupOf(group.Value);
        return storage.HasState ? storage.PersistAsync((PersistRequest?)null) : CreateAsync(storage, first, uid: null);
    }

    /// <summary>As <see cref="FormAsync"/> for a node that joins a cluster and gets the log from others: the uid only.</summary>
    public Task AdoptAsync(ClusterUid uid)
    {
        if (ClusterUid is { } known)
            return known == uid ? Task.CompletedTask : throw new InvalidOperationException($"This directory is in cluster {known} already; it cannot adopt {uid}.");
        return _wal.Enqueue(new WalBatch { ClusterUid = uid });
    }

    /// <summary>The storage of one group; the same object for the same id. Its completions come on the WAL thread.</summary>
    public IRaftStorage Group(GroupId group) => GroupOf(group.Value);

    /// <summary>Faults with the cause when a write, sync or read failed at run time. The process must end; see FailStop.</summary>
    public Task Failed => _failStop.Failed;

    /// <summary>Clean stop: everything into the database, checkpoint, close.</summary>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            Close();
        return ValueTask.CompletedTask;
    }

    /// <summary>Closes a directory that must not be used any more although it is whole, such as an old copy that was put back. The lock
    /// stays held, by the answer. The next start knows of it too: perhaps nobody else does then.</summary>
    public DamagedDirectory CloseAsDamaged(NodeStoreSettings settings, ILoggerFactory logs, CorruptStorageException reason)
    {
        ObjectDisposedException.ThrowIf(Interlocked.Exchange(ref _isDisposed, 1) == 1, this);
        DamageMark.TryWrite(_settings.Files, _directory.Current, reason);
        Close(keepsLock: true);
        return new DamagedDirectory(settings, logs, _settings, _directory, reason);
    }

    /// <summary>What is the matter, while the disk has no room for a checkpoint: writes must be refused, or the write-ahead log fills up and
    /// they hang. Null while all is well. Any thread.</summary>
    public string? Shortage => _database.Shortage?.Message;

    /// <summary>About how many bytes of the data file are free to be used again; its pages hold more than the content alone. Any thread.</summary>
    public long ReusableBytes => Math.Max(0, _open!.Data.FileBytes - (_database.LiveBytes / 4 * 5) - ReusableSlackBytes);      // open before it is handed out

    /// <summary>Bytes of all complete snapshot files. Any thread.</summary>
    public long SnapshotBytes => _snapshots!.FileBytes;         // made before the store is handed out

    /// <summary>Makes the reserve for a start on a full disk as large as it should be, if there is room for it again. Any thread; waits for nothing.</summary>
    public void RefillReserve()
    {
        if (_reserve.FileBytes < _settings.ReserveBytes)
            _ = _snapshots!.RunOnWriterAsync(_reserve.Refill);      // made before the store is handed out
    }

    /// <summary>Records and bytes that the database does not have yet. Any thread.</summary>
    internal (long Records, long Bytes) Lag => _database.Lag;

    /// <summary>The highest sequence that the database has, checkpointed. Any thread.</summary>
    internal long CoveredSequence => _open!.Log.Covered;        // set before the store is handed out

    /// <summary>What is below the marks is not all deleted yet. Any thread; as of the last work of the database thread.</summary>
    internal bool HasDeletions => _open!.Store.HasDeletions;     // set before the store is handed out

    // The time stamp is 0, so that the entry is the same wherever it is made.
    private static Task CreateAsync(DurableStorage storage, Configuration first, ClusterUid? uid) => storage.PersistAsync(new WalBatch
    {
        Group = storage,
        ClusterUid = uid,
        TermAndVote = new TermAndVote(new Term(1), null),
        Entries = [new Entry(new LogIndex(1), new Term(1), EntryKind.Configuration, 0, first.Encode())],
    });

    private DurableStorage GroupOf(string group) =>
        _groups.GetOrAdd(group, static (name, threads) => new DurableStorage(new GroupId(name), threads), _threads);

    private void OpenCurrent(NodeId node)
    {
        IStorageFiles files = _settings.Files;
        if (_directory.DeleteUnfinished(files))
            _logger.UnfinishedDeleted(Path.Combine(_directory.Path, "new"));

        // The manifest first: a directory of a newer release is refused, whatever else it holds.
        bool isThere = files.DirectoryExists(_directory.Current);
        if (isThere)
            _manifest = Manifest.Read(files, _directory.Current);
        Former = Former.Read(files, _directory.Path);
        if (isThere)
        {
            DamageMark.ThrowIfThere(files, _directory.Current);
            Leftovers.Delete(files, _directory.Current, _manifest, _logger);
            ReleaseReserve();
        }
        else
        {
            ReleaseReserve();
            _manifest = _directory.CreateCurrent(node, _settings);
            _logger.DirectoryMade(_directory.Path, StorageId.ToString());
        }

        // Cut off between the two steps of moving aside, and whole after all.
        if (Former is { } former && former.StorageIds.Contains(StorageId))
            Former = former with { StorageIds = [.. former.StorageIds.Where(id => id != StorageId)] };

        if (_manifest.NodeId != node)
            throw new DataDirectoryException($"The data directory {_directory.Path} belongs to node '{_manifest.NodeId}', and this node is '{node}'. Correct Raft:NodeId or Raft:DataDirectory.");

        _snapshots = new SnapshotFiles(_directory.Current, _manifest.Salt, _settings, _metrics, _failStop, _logger);
        _recovery = new Recovery(_directory.Current, _manifest, _snapshots, _settings, _metrics, _logger, GroupOf, () => ReleaseReserve(evenIfNotTight: true));
        _database.Open(() => _open = _recovery.Open());
        _manifest = _recovery.Manifest;             // the data file may be another one now
        RepairManifest(_open!.Store.ClusterUid);    // Open has set it

        _wal = new WalThread(_open.Log, _database, _metrics, _failStop, _settings, OnFormed);
        _threads.FailStop = _failStop;
        _threads.Snapshots = _snapshots;
        _threads.Wal = _wal;
        _threads.Database = _database;
        _threads.EntryBytesMax = _open.Log.PayloadBytesMax / 4 * 3;        // room for what goes with it, and within LiteDB's largest document
        StartCount = _open.Store.StartCount + 1;
        _wal.Start();
        if (_database.Shortage is { } shortage && !_open.Log.HasNextSegment)
            throw new DataDirectoryException($"The data directory {_directory.Path} cannot be opened: its write-ahead log is full, and what it holds finds no room in the database. {shortage.Message}", shortage);
        _settings.Threads.Wait(_wal.Enqueue(new WalBatch { StartCount = StartCount }));
        OpeningSequence = _wal.DurableSequence;
        _reserve.Refill();
    }

    private bool ReleaseReserve(bool evenIfNotTight = false)
    {
        long bytes = evenIfNotTight ? _reserve.Release() : _reserve.ReleaseIfTight();
        if (bytes > 0)
            _logger.ReserveReleased(_directory.Path, bytes);
        return bytes > 0;
    }

    /// <summary>The WAL decides whether this directory is in a cluster; the manifest follows.</summary>
    private void RepairManifest(ClusterUid? uid)
    {
        if (uid is not null && _manifest.ClusterUid != uid)
        {
            WriteManifest(uid.Value);
            _logger.ManifestRepaired(uid.Value.ToString());
        }
        else if (uid is null && _manifest.ClusterUid is { } claimed)
        {
            throw Damage.In(Path.Combine(_directory.Current, Manifest.FileName), 0, $"it names cluster {claimed}, of which the database knows nothing");
        }

        _clusterUid = uid is { } known ? new ClusterUidBox(known) : null;
    }

    private void OnFormed(ClusterUid uid)
    {
        WriteManifest(uid);
        _clusterUid = new ClusterUidBox(uid);
    }

    private void WriteManifest(ClusterUid uid)
    {
        _manifest = _manifest with { ClusterUid = uid };
        try
        {
            _manifest.Write(_settings.Files, _directory.Current);
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            _logger.ManifestLacksRoom(error.Message);       // the log has the uid: a start with more room repairs it
        }
    }

    private IEnumerable<Measurement<long>> FileSizes()
    {
        if (_open is not { } open)
            return [];
        return
        [
            new Measurement<long>(open.Log.FileBytes, new KeyValuePair<string, object?>("kind", "wal")),
            new Measurement<long>(open.Copies.FileBytes, new KeyValuePair<string, object?>("kind", "copy")),
            new Measurement<long>(open.Data.FileBytes, new KeyValuePair<string, object?>("kind", "data")),
            new Measurement<long>(_database.LiveBytes, new KeyValuePair<string, object?>("kind", "live")),
            new Measurement<long>(_reserve.FileBytes, new KeyValuePair<string, object?>("kind", "reserve")),
            new Measurement<long>(_snapshots!.FileBytes, new KeyValuePair<string, object?>("kind", "snapshot")),      // made before it was open
        ];
    }

    private void Close(bool keepsLock = false)
    {
        _wal.Close();
        _database.Close();
        long sequence = _wal.DurableSequence;
        Release(keepsLock);
        _logger.DirectoryClosed(_directory.Path, sequence);
    }

    /// <summary>Opening failed: nothing is written any more.</summary>
    private void Abandon(bool keepsLock)
    {
        if (_wal is not null)
            Close();
        else
            Release(keepsLock);
    }

    private void Release(bool keepsLock = false)
    {
        _snapshots?.Dispose();
        _open?.Log.Dispose();
        _recovery?.Dispose();
        _metrics.Dispose();
        if (!keepsLock)
            _directory.Dispose();
    }
}

/// <summary>The data directory cannot be used; says which, why and what to do. Exit, no quarantine.</summary>
public sealed class DataDirectoryException(string message, Exception? inner = null) : Exception(message, inner);

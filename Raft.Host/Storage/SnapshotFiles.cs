using System.IO.Hashing;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>
/// The directory <c>snapshots/</c>: one file per snapshot. On its way it is called <c>.tmp</c> (being taken) or <c>.part</c>
/// (being received); complete, it is synced, renamed to <c>.snap</c> and the directory synced; in force it is once the log
/// names it. Each id begins with a hash of the group's name: names are arbitrary text. Rule 6.
/// </summary>
internal sealed class SnapshotFiles : IDisposable
{
    /// <summary>So many are written at once, each with a buffer of 1 MiB; the others wait their turn.</summary>
    private const int WritersMax = 4;

    /// <summary>So many are received at once, each with a buffer and a descriptor; the leaders of the others are told to ask again.</summary>
    internal const int ReceiversMax = 4;

    /// <summary>One that nothing came of for so long makes way for another.</summary>
    internal const int IdleReceptionMs = 10_000;

    /// <summary>The same shortage of one group is logged once in this time.</summary>
    private const int AlarmMs = 60_000;
    internal const string DirectoryName = "snapshots", Complete = ".snap";
    private const string Taken = ".tmp", Part = ".part";

    private readonly StorageSettings _settings;
    private readonly IStorageFiles _files;
    private readonly string _directory;
    private readonly ulong _salt;
    private readonly StorageMetrics _metrics;
    private readonly ILogger _logger;
    private readonly SnapshotThread _writing;
    private readonly SnapshotThread _reading;
    private readonly Slots _writers = new(WritersMax);
    private readonly Dictionary<DurableStorage, GroupFiles> _groups = [];
    private readonly object _gate = new();
    private int _order;
    private long _bytes;

    /// <summary>The files of one group.</summary>
    private sealed class GroupFiles
    {
        public Dictionary<string, KnownFile> Complete { get; } = new(StringComparer.Ordinal);
        public PartialSnapshot? Partial { get; set; }
        public long? LastAlarmMs { get; set; }
    }

    /// <param name="id">Its snapshot id.</param>
    /// <param name="bytes">Of the file.</param>
    /// <param name="order">Of completion.</param>
    /// <param name="index">Known for what was received.</param>
    private sealed class KnownFile(string id, long bytes, int order, LogIndex? index)
    {
        public string Id { get; } = id;
        public long Bytes { get; } = bytes;
        public int Order { get; } = order;
        public LogIndex? Index { get; } = index;
        public int Readers { get; set; }
        public bool IsUnwanted { get; set; }
    }

    public SnapshotFiles(string current, ulong salt, StorageSettings settings, StorageMetrics metrics, FailStop failStop, ILogger logger)
    {
        _settings = settings;
        _files = settings.Files;
        _directory = Path.Combine(current, DirectoryName);
        _salt = salt;
        _metrics = metrics;
        _logger = logger;
        _writing = new SnapshotThread("raft-snap-out", _directory, settings.Threads, failStop, MarkDamage);
        _reading = new SnapshotThread("raft-snap-in", _directory, settings.Threads, failStop, MarkDamage);

        // A checksum that does not fit at run time: the next start goes into quarantine because of it.
        void MarkDamage(CorruptStorageException damage) => DamageMark.TryWrite(settings.Files, current, damage);
    }

    /// <summary>Bytes of all complete files. Any thread.</summary>
    public long FileBytes => Interlocked.Read(ref _bytes);

    /// <summary>Step 5 of opening: each descriptor has its file, verified to its last byte; every other file goes.</summary>
    /// <exception cref="CorruptStorageException">A descriptor without its file, or one that is not what it says.</exception>
    public void Recover(IEnumerable<(DurableStorage Group, SnapshotDescriptor Descriptor)> inForce)
    {
        if (!_files.DirectoryExists(_directory))
            throw Damage.In(_directory, 0, "the directory is missing beside its manifest");

        var unnamed = new HashSet<string>(_files.List(_directory), StringComparer.Ordinal);
        foreach ((DurableStorage group, SnapshotDescriptor descriptor) in inForce)
        {
            string path = PathOf(descriptor.SnapshotId, Complete);
            if (!unnamed.Remove(Path.GetFileName(path)))
                throw Damage.In(path, 0, $"the snapshot of group {group.Id} at entry {descriptor.Index} is missing");
            using (SnapshotFileReader file = OpenFile(descriptor))
                file.VerifyAll();
            Add(group, descriptor.SnapshotId, SnapshotFormat.FileBytes(descriptor.SizeBytes), index: null);
        }

        foreach (string name in unnamed)
            _files.Delete(Path.Combine(_directory, name));
    }

    /// <summary>Takes a snapshot, aside: a state machine may write without awaiting anything.</summary>
    /// <exception cref="OutOfSpaceException">There is no room for it; nothing is left of it.</exception>
    public async Task<SnapshotFile> WriteAsync(DurableStorage group, IStateSnapshot picture, CancellationToken cancellation)
    {
        await _writers.TakeAsync(cancellation);
        try
        {
            return await _settings.Threads.RunAsideAsync(() => WriteOneAsync(group, picture, cancellation), cancellation);
        }
        finally
        {
            _writers.Release();
        }
    }

    /// <summary>Begins to receive, or goes on; the receiver before this one is through.</summary>
    /// <exception cref="OutOfSpaceException">There is no room for it; nothing is left of it.</exception>
    /// <exception cref="OverloadedException">As many as may are being received.</exception>
    public async ValueTask<ISnapshotReceiver> ReceiveAsync(DurableStorage group, SnapshotDescriptor descriptor, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        SnapshotReceiver receiver;
        PartialSnapshot partial;
        Task ready;
        lock (_gate)
        {
            GroupFiles files = FilesOf(group);
            if (files.Partial?.IsOf(descriptor) != true)
            {
                Abandon(files);
                MakeWay();
            }

            partial = files.Partial ??= new PartialSnapshot(descriptor, NewId(group));
            partial.Owner = receiver = new SnapshotReceiver(this, _writing, group, partial);
            Touch(partial);

            // In the order of the requests: what the receiver before still has under way is written when this is through.
            ready = _writing.RunAsync(() => partial.Writer ??= Create(partial.Id, Part, descriptor.SizeBytes, isExact: true), mayLackRoom: true);
        }

        try
        {
            await ready;
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            throw GiveUp(group, partial, error);
        }

        return receiver;
    }

    /// <summary>Something came of it.</summary>
    internal void Touch(PartialSnapshot partial) => partial.LastCameMs = NowMs;

    /// <summary>There is no room for the rest of it: what came is deleted.</summary>
    internal OutOfSpaceException GiveUp(DurableStorage group, PartialSnapshot partial, StorageFailedException error)
    {
        lock (_gate)
        {
            GroupFiles files = FilesOf(group);
            if (files.Partial == partial)
                Abandon(files);
        }

        return Alarm(group, error);
    }

    public async ValueTask<ISnapshotReader> OpenAsync(DurableStorage group, SnapshotDescriptor descriptor, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        KnownFile? known;
        lock (_gate)
        {
            known = FilesOf(group).Complete.GetValueOrDefault(descriptor.SnapshotId);
            if (known is null || known.IsUnwanted)
                throw new CorruptStorageException(_directory, 0, $"there is no snapshot {descriptor.SnapshotId} of group {group.Id}", "A newer one may have taken its place: begin with that.");
            known.Readers++;
        }

        try
        {
            SnapshotFileReader file = await _reading.RunAsync(() => OpenFile(descriptor));
            return new SnapshotReader(file, _reading, () => _ = _reading.RunAsync(() =>
            {
                file.Dispose();
                Release(group, known);
            }));
        }
        catch
        {
            Release(group, known);
            throw;
        }
    }

    /// <summary>Whether a request may name it.</summary>
    public bool IsComplete(DurableStorage group, string id)
    {
        lock (_gate)
            return FilesOf(group).Complete.TryGetValue(id, out KnownFile? known) && !known.IsUnwanted;
    }

    /// <summary>WAL thread: the descriptor is durable. What was complete before its file will never be named again, unless it was
    /// received and covers more. Nobody waits for the deletions.</summary>
    public void PutInForce(DurableStorage group, SnapshotDescriptor descriptor)
    {
        lock (_gate)
        {
            GroupFiles files = FilesOf(group);
            if (!files.Complete.TryGetValue(descriptor.SnapshotId, out KnownFile? inForce))
                return;                             // PersistAsync has checked it
            foreach (KnownFile file in files.Complete.Values.ToArray())
            {
                if (file.Order >= inForce.Order || file.Index > descriptor.Index)
                    continue;
                file.IsUnwanted = true;
                DeleteIfFree(files, file);
            }

            if (files.Partial is { } partial && partial.Descriptor.Index <= descriptor.Index)
                Abandon(files);
        }
    }

    /// <summary>Snapshot writer thread: the content is there; true when it is what its descriptor says, and complete now.</summary>
    internal bool TryComplete(DurableStorage group, PartialSnapshot partial)
    {
        SnapshotFileWriter writer = partial.Writer!;        // made when the receiver was
        SnapshotDescriptor descriptor = partial.Descriptor;
        bool isRight = writer.Size == descriptor.SizeBytes && writer.Hash == descriptor.Hash;
        if (isRight)
        {
            FinishFile(writer, partial.Id, Part);
            Add(group, partial.Id, SnapshotFormat.FileBytes(writer.Size), descriptor.Index);
        }
        else
        {
            writer.Dispose();
            _files.TryDelete(PathOf(partial.Id, Part));
        }

        lock (_gate)
        {
            GroupFiles files = FilesOf(group);
            if (files.Partial == partial)
                files.Partial = null;
            partial.Owner = null;
        }

        return isRight;
    }

    /// <summary>Runs on the thread that writes snapshots; a failure ends the node.</summary>
    public Task RunOnWriterAsync(Action work) => _writing.RunAsync(work);

    /// <summary>After everybody who writes has stopped.</summary>
    public void Dispose()
    {
        _writing.Close();
        _reading.Close();
        lock (_gate)
        {
            foreach (GroupFiles files in _groups.Values)
                files.Partial?.Writer?.Dispose();
        }
    }

    private async Task<SnapshotFile> WriteOneAsync(DurableStorage group, IStateSnapshot picture, CancellationToken cancellation)
    {
        string id = NewId(group);
        SnapshotFileWriter? writer = null;
        SnapshotStream? stream = null;
        try
        {
            writer = await _writing.RunAsync(() => Create(id, Taken, picture.EstimatedBytes, isExact: false), mayLackRoom: true);
            await using (stream = new SnapshotStream(writer, _writing))
                await picture.WriteAsync(stream, cancellation);
            cancellation.ThrowIfCancellationRequested();
            if (stream.Shortage is { } shortage)
                throw shortage;
            return await _writing.RunAsync(() =>
            {
                FinishFile(writer, id, Taken);
                Add(group, id, SnapshotFormat.FileBytes(writer.Size), index: null);
                return new SnapshotFile(id, writer.Size, writer.Hash);
            }, mayLackRoom: true);
        }
        catch (Exception error)
        {
            if (writer is not null)
            {
                _ = _writing.RunAsync(() =>
                {
                    writer.Dispose();
                    _files.TryDelete(PathOf(id, Taken));
                });
            }

            // The state machine may have made another exception of it.
            if ((stream?.Shortage ?? error) is StorageFailedException { IsOutOfSpace: true } shortage)
                throw Alarm(group, shortage);
            throw;
        }
    }

    /// <summary>Snapshot writer thread. A new file; for what is known of its size there is room.</summary>
    private SnapshotFileWriter Create(string id, string kind, long contentBytes, bool isExact)
    {
        string path = PathOf(id, kind);
        long bytes = SnapshotFormat.FileBytes(contentBytes);
        if (_files.FreeBytes(_directory) is { } free && free < bytes + (2L * _settings.DatabaseLogBytes))       // for the next checkpoint
            throw new StorageFailedException("reserve", path, bytes, StorageFailedException.NoSpaceErrno);

        IStorageFile file = _files.Open(path, create: true);
        try
        {
            if (isExact)
                file.Reserve(0, bytes);
            return new SnapshotFileWriter(file, SnapshotFormat.Seed(id, _salt), _settings.SnapshotPieceBlocks);
        }
        catch
        {
            file.Dispose();
            _files.TryDelete(path);
            throw;
        }
    }

    private void FinishFile(SnapshotFileWriter writer, string id, string kind)
    {
        try
        {
            writer.Finish();
            writer.Dispose();
            _files.Rename(PathOf(id, kind), PathOf(id, Complete));
            _files.SyncDirectory(_directory);
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            writer.Dispose();
            _files.TryDelete(PathOf(id, kind));
            _files.TryDelete(PathOf(id, Complete));
            throw;
        }

        _metrics.SnapshotWritten(SnapshotFormat.FileBytes(writer.Size));
    }

    private OutOfSpaceException Alarm(DurableStorage group, StorageFailedException error)
    {
        _metrics.SnapshotAbandoned();
        bool isDue;
        lock (_gate)
        {
            GroupFiles files = FilesOf(group);
            isDue = files.LastAlarmMs is not { } last || NowMs - last >= AlarmMs;
            if (isDue)
                files.LastAlarmMs = NowMs;
        }

        if (isDue)
            _logger.SnapshotAbandoned(group.Id.Value, error.Message);
        return new OutOfSpaceException($"There is no room for the snapshot of group {group.Id}: {error.Message}");
    }

    /// <summary>Under the lock: a further one may be received.</summary>
    private void MakeWay()
    {
        int count = 0;
        (DurableStorage Group, GroupFiles Files, PartialSnapshot Partial)? idle = null;
        foreach ((DurableStorage group, GroupFiles files) in _groups)
        {
            if (files.Partial is not { } partial)
                continue;
            count++;
            if (idle is null || partial.LastCameMs < idle.Value.Partial.LastCameMs)
                idle = (group, files, partial);
        }

        if (count < ReceiversMax || idle is not { } oldest)
            return;
        long silentMs = NowMs - oldest.Partial.LastCameMs;
        if (silentMs < IdleReceptionMs)
            throw new OverloadedException($"{count} snapshots are being received; this one is asked for again.");
        _logger.ReceptionGivenUp(oldest.Group.Id.Value, silentMs / 1000);
        Abandon(oldest.Files);
    }

    private long NowMs => (long)_settings.Time.GetElapsedTime(0).TotalMilliseconds;

    private SnapshotFileReader OpenFile(SnapshotDescriptor descriptor)
    {
        IStorageFile file = _files.Open(PathOf(descriptor.SnapshotId, Complete), create: false);
        try
        {
            return new SnapshotFileReader(file, descriptor, SnapshotFormat.Seed(descriptor.SnapshotId, _salt));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void Add(DurableStorage group, string id, long bytes, LogIndex? index)
    {
        lock (_gate)
            FilesOf(group).Complete.Add(id, new KnownFile(id, bytes, ++_order, index));
        Interlocked.Add(ref _bytes, bytes);
    }

    private void Release(DurableStorage group, KnownFile file)
    {
        lock (_gate)
        {
            file.Readers--;
            DeleteIfFree(FilesOf(group), file);
        }
    }

    private void DeleteIfFree(GroupFiles files, KnownFile file)
    {
        if (!file.IsUnwanted || file.Readers > 0 || !files.Complete.Remove(file.Id))
            return;
        Interlocked.Add(ref _bytes, -file.Bytes);
        _ = _writing.RunAsync(() => _files.Delete(PathOf(file.Id, Complete)));
    }

    private void Abandon(GroupFiles files)
    {
        if (files.Partial is not { } partial)
            return;
        files.Partial = null;
        partial.Owner = null;
        _ = _writing.RunAsync(() =>
        {
            if (partial.Writer is not { } writer)
                return;                             // it could not be made
            writer.Dispose();
            _files.TryDelete(PathOf(partial.Id, Part));
        });
    }

    private GroupFiles FilesOf(DurableStorage group)
    {
        if (!_groups.TryGetValue(group, out GroupFiles? files))
            _groups.Add(group, files = new GroupFiles());
        return files;
    }

    private string NewId(DurableStorage group) => $"{group.SnapshotPrefix}-{_settings.Random():x16}";

    private string PathOf(string id, string kind) => Path.Combine(_directory, id + kind);

    /// <summary>What the ids of a group's snapshots begin with.</summary>
    public static string PrefixOf(ReadOnlySpan<byte> groupName) => Convert.ToHexStringLower(XxHash128.Hash(groupName));
}

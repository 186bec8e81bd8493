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
    private const string Complete = ".snap", Taken = ".tmp", Part = ".part";

    private readonly StorageSettings _settings;
    private readonly IStorageFiles _files;
    private readonly string _directory;
    private readonly ulong _salt;
    private readonly StorageMetrics _metrics;
    private readonly FailStop _failStop;
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

    public SnapshotFiles(string current, ulong salt, StorageSettings settings, StorageMetrics metrics, FailStop failStop)
    {
        _settings = settings;
        _files = settings.Files;
        _directory = Path.Combine(current, "snapshots");
        _salt = salt;
        _metrics = metrics;
        _failStop = failStop;
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
    public async ValueTask<ISnapshotReceiver> ReceiveAsync(DurableStorage group, SnapshotDescriptor descriptor, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        SnapshotReceiver receiver;
        Task ready;
        lock (_gate)
        {
            GroupFiles files = FilesOf(group);
            if (files.Partial?.IsOf(descriptor) != true)
                Abandon(files);
            PartialSnapshot partial = files.Partial ??= new PartialSnapshot(descriptor, NewId(group));
            partial.Owner = receiver = new SnapshotReceiver(this, _writing, group, partial);

            // In the order of the requests: what the receiver before still has under way is written when this is through.
            ready = _writing.RunAsync(() => partial.Writer ??= Create(partial.Id, Part));
        }

        await ready;
        return receiver;
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
            _files.Delete(PathOf(partial.Id, Part));
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
        SnapshotFileWriter writer = await _writing.RunAsync(() => Create(id, Taken));
        try
        {
            await using (var stream = new SnapshotStream(writer, _writing))
                await picture.WriteAsync(stream, cancellation);
            cancellation.ThrowIfCancellationRequested();
        }
        catch
        {
            _ = _writing.RunAsync(() =>
            {
                writer.Dispose();
                _files.Delete(PathOf(id, Taken));
            });
            throw;
        }

        return await _writing.RunAsync(() =>
        {
            FinishFile(writer, id, Taken);
            Add(group, id, SnapshotFormat.FileBytes(writer.Size), index: null);
            return new SnapshotFile(id, writer.Size, writer.Hash);
        });
    }

    private SnapshotFileWriter Create(string id, string kind) =>
        new(_files.Open(PathOf(id, kind), create: true), SnapshotFormat.Seed(id, _salt), _settings.SnapshotPieceBlocks);

    private void FinishFile(SnapshotFileWriter writer, string id, string kind)
    {
        writer.Finish();
        writer.Dispose();
        _files.Rename(PathOf(id, kind), PathOf(id, Complete));
        _files.SyncDirectory(_directory);
        _metrics.SnapshotWritten(SnapshotFormat.FileBytes(writer.Size));
    }

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
            partial.Writer?.Dispose();
            _files.Delete(PathOf(partial.Id, Part));
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

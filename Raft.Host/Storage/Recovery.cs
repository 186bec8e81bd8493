using Raft.Engine.Errors;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>
/// Opens <c>current/</c>: what is kept, replayed, refused. Nothing is answered before its end, and to repeat it after another
/// crash is harmless. Runs on the database thread, which is the only one to touch LiteDB.
/// </summary>
internal sealed class Recovery(
    string current, Manifest manifest, SnapshotFiles snapshots, StorageSettings settings, StorageMetrics metrics, ILogger logger, Func<string, DurableStorage> groups) : IDisposable
{
    private readonly List<IDisposable> _open = [];
    private Manifest _manifest = manifest;
    private ChunkStore? _store;

    /// <summary>As it is now: the data file may be another one.</summary>
    public Manifest Manifest => _manifest;

    /// <summary>Records that the database did not have.</summary>
    public int Replayed { get; private set; }

    /// <exception cref="CorruptStorageException">Damage.</exception>
    public DatabaseThread.OpenDatabase Open()
    {
        try
        {
            return OpenFiles();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Closes the files; LiteDB's objects stay, unless they were disposed or the settings say otherwise.</summary>
    public void Dispose()
    {
        if (settings.ForgetsFailedStores)
            _store?.Forget();
        foreach (IDisposable file in _open)
            file.Dispose();
        _open.Clear();
    }

    private DatabaseThread.OpenDatabase OpenFiles()
    {
        // 1. The last checkpoint, whole.
        IStorageFile data = OpenFile(_manifest.DataFileName);
        var copies = new CheckpointCopies(OpenFile("copy0"), OpenFile("copy1"), _manifest.DataId, _manifest.Salt, settings.CheckpointPieceBytes);
        var stream = CheckpointStream.Open(data, copies, settings.CheckpointPieceBytes, OnWritten, out int repeated);
        if (repeated > 0)
            logger.CheckpointRepeated(copies.Number, repeated);

        // 2. The database, with an empty log.
        ChunkStore store = OpenStore(stream, data);

        // 3. and 4. The records that it does not have.
        var segments = new IStorageFile[Manifest.SegmentCount];
        for (int segment = 0; segment < segments.Length; segment++)
        {
            segments[segment] = OpenFile(Manifest.SegmentFileName(segment));
            if (segments[segment].Length != _manifest.SegmentBytes)
                throw Damage.In(segments[segment].Path, segments[segment].Length, $"the file has {segments[segment].Length} bytes, and not {_manifest.SegmentBytes}");
        }

        var log = new WriteAheadLog(segments, _manifest.SegmentBytes, settings.RecordBytes, _manifest.Salt);
        Replay(log, store, stream, data.Path);

        // 5. Only now is judged what all of it amounts to.
        Explained(stream, data.Path, store.Verify);
        var rewrite = new DataFileRewrite(current, _manifest, settings, logger, OnWritten);
        rewrite.DeleteOthers();
        Manifest? built = null;
        if (rewrite.IsDue(stream.FileBytes, store.LiveBytes))
            Explained(stream, data.Path, () => built = rewrite.Build(store, stream.FileBytes));
        if (built is { } next)
        {
            store.Dispose();
            _open.Remove(data);
            data.Dispose();                         // a file that is open keeps its room
            copies = copies.HandOver(next.DataId);
            next.Write(settings.Files, current);
            _manifest = next;
            data = OpenFile(next.DataFileName);
            stream = CheckpointStream.Open(data, copies, settings.CheckpointPieceBytes, OnWritten, out _);
            store = OpenStore(stream, data);
            Explained(stream, data.Path, store.Verify);
            new DataFileRewrite(current, next, settings, logger, OnWritten).DeleteOthers();
        }

        var inForce = new List<(DurableStorage, SnapshotDescriptor)>();
        foreach (string name in store.GroupNames)
        {
            GroupRecord record = store.RecordOf(name)!;             // it has just named it
            groups(name).SetFound(record);
            if (record.Descriptor is { } descriptor)
                inForce.Add((groups(name), descriptor));
            else if (record.DeletedThrough > LogIndex.Zero)
                throw Damage.In(data.Path, 0, $"group {name}: its log begins after entry {record.DeletedThrough}, and no snapshot holds what was before");
        }

        snapshots.Recover(inForce);
        return new DatabaseThread.OpenDatabase(store, stream, copies, log, groups, current, data.Path);
    }

    private ChunkStore OpenStore(CheckpointStream stream, IStorageFile data)
    {
        Explained(stream, data.Path, () =>
        {
            _store = new ChunkStore(stream, data.Path, _manifest.Salt, settings);
            _store.Read();
        });
        return _store!;         // made, or it has thrown
    }

    private static void Explained(CheckpointStream stream, string dataPath, Action work)
    {
        try
        {
            work();
        }
        catch (Exception error)
        {
            throw Explain(error, stream, dataPath);
        }
    }

    /// <summary>LiteDB wraps what its stream told it, or stumbles over what it got.</summary>
    private static Exception Explain(Exception error, CheckpointStream stream, string dataPath) => (stream.Failure ?? error) switch
    {
        CorruptStorageException damage => damage,
        StorageFailedException { Errno: not 0 } failure => failure,
        var other => Damage.In(dataPath, 0, $"it cannot be opened: {other.Message}"),
    };

    private void Replay(WriteAheadLog log, ChunkStore store, CheckpointStream stream, string dataPath)
    {
        List<WriteAheadLog.Found> found = log.Recover(store.Position);
        var batch = new List<WalRecordContent>();
        long bytes = 0;
        try
        {
            foreach (WriteAheadLog.Found record in found)
            {
                batch.Add(Decode(record));
                bytes += record.Bytes.Length;
                if (bytes < settings.TransactionBytes)
                    continue;
                Store();
                if (store.LogBytes >= settings.DatabaseLogBytes)
                    store.Checkpoint();
            }

            if (batch.Count > 0)
                Store();
            if (store.LogBytes > 0)
                store.Checkpoint();
        }
        catch (Exception error)
        {
            throw Explain(error, stream, dataPath);
        }

        log.SetCovered(store.Position);
        Replayed = found.Count;

        void Store()
        {
            store.Apply(batch);
            batch.Clear();
            bytes = 0;
        }
    }

    private WalRecordContent Decode(WriteAheadLog.Found record)
    {
        try
        {
            return WalRecord.Decode(record.Sequence, record.Bytes.AsMemory(WalRecord.HeaderBytes), groups);
        }
        catch (InvalidDataException error)
        {
            throw Damage.In(Path.Combine(current, Manifest.SegmentFileName(record.Segment)), record.Offset, $"record {record.Sequence}: {error.Message}");
        }
    }

    private IStorageFile OpenFile(string name)
    {
        string path = Path.Combine(current, name);
        if (!settings.Files.FileExists(path))
            throw Damage.In(path, 0, "the file is missing beside its manifest");
        IStorageFile file = settings.Files.Open(path, create: false);
        _open.Add(file);
        return file;
    }

    private void OnWritten(long copyBytes, long dataBytes)
    {
        if (copyBytes > 0)
            metrics.CopyWritten(copyBytes);
        if (dataBytes > 0)
            metrics.DataWritten(dataBytes);
    }
}

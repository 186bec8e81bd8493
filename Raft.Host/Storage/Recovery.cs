using Raft.Engine.Errors;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>
/// Opens <c>current/</c>: what is kept, replayed, refused. Nothing is answered before its end, and to repeat it after another
/// crash is harmless. Runs on the database thread, which is the only one to touch LiteDB.
/// </summary>
internal sealed class Recovery(
    string current, Manifest manifest, SnapshotFiles snapshots, StorageSettings settings, StorageMetrics metrics, ILogger logger, Func<string, DurableStorage> groups,
    Func<bool> giveRoom) : IDisposable
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
        WriteAheadLog log = ReadLog();

        // 1. The last checkpoint, whole.
        IStorageFile data = OpenFile(_manifest.DataFileName), copy0 = OpenFile("copy0"), copy1 = OpenFile("copy1");
        var copies = new CheckpointCopies(copy0, copy1, _manifest.DataId, _manifest.Salt, settings.CheckpointPieceBytes);
        CheckpointStream stream = _manifest.DatabaseFormat == Manifest.DatabaseFormatNow ? OpenData(data, copies, log) : UpgradeData(data, copies, copy0, copy1);

        // 2. The database, with an empty log.
        ChunkStore store = OpenStore(stream, data);

        // 3. and 4. The records that it does not have.
        Replay(log, store, stream);
        log.Opened(isOld: _manifest.WalFormat != Manifest.WalFormatNow);
        if (_manifest.WalFormat != Manifest.WalFormatNow)
            WriteManifest(_manifest with { WalFormat = Manifest.WalFormatNow });

        // 5. Only now is judged what all of it amounts to.
        Explained(stream, store.Verify);
        var rewrite = new DataFileRewrite(current, _manifest, settings, logger, OnWritten);
        rewrite.DeleteOthers();
        (Manifest Manifest, PageHashes Pages)? built = null;
        if (!stream.HasCollected && rewrite.IsDue(stream.FileBytes, store.LiveBytes))
            Explained(stream, () => built = rewrite.Build(store, stream.FileBytes));
        if (built is ({ } next, { } pages))
        {
            store.Dispose();
            _open.Remove(data);
            data.Dispose();                         // a file that is open keeps its room
            copies = copies.HandOver(next.DataId, pages);
            next.Write(settings.Files, current);
            _manifest = next;
            data = OpenFile(next.DataFileName);
            stream = CheckpointStream.Open(data, copies, settings.CheckpointPieceBytes, OnWritten, out _);
            store = OpenStore(stream, data);
            Explained(stream, store.Verify);
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

    /// <summary>Before anything is written: what it knows of checkpoints is proof against copies that are older.</summary>
    private WriteAheadLog ReadLog()
    {
        var segments = new IStorageFile[Manifest.SegmentCount];
        for (int segment = 0; segment < segments.Length; segment++)
        {
            segments[segment] = OpenFile(Manifest.SegmentFileName(segment));
            if (segments[segment].Length != _manifest.SegmentBytes)
                throw Damage.In(segments[segment].Path, segments[segment].Length, $"the file has {segments[segment].Length} bytes, and not {_manifest.SegmentBytes}");
        }

        return new WriteAheadLog(segments, _manifest.SegmentBytes, settings.RecordBytes, _manifest.Salt);
    }

    private CheckpointStream OpenData(IStorageFile data, CheckpointCopies copies, WriteAheadLog log)
    {
        copies.Load();
        if (copies.Number < log.CheckpointSeen)
            throw Damage.In(copies.CurrentPath, 0, $"the last checkpoint of both copies is {copies.Number}, and the write-ahead log knows of checkpoint {log.CheckpointSeen}");
        var stream = CheckpointStream.Open(data, copies, settings.CheckpointPieceBytes, OnWritten, out int repeated);
        if (repeated > 0)
            logger.CheckpointRepeated(copies.Number, repeated);
        return stream;
    }

    /// <summary>The previous format. An older release refuses the directory from here on, by the manifest; before, its own headers count.</summary>
    private CheckpointStream UpgradeData(IStorageFile data, CheckpointCopies copies, IStorageFile copy0, IStorageFile copy1)
    {
        var last = OldCheckpointCopies.Load(copy0, copy1, _manifest.DataId, _manifest.Salt);
        var stream = CheckpointStream.Upgrade(data, copies, last, settings.CheckpointPieceBytes, OnWritten);
        WriteManifest(_manifest with { DatabaseFormat = Manifest.DatabaseFormatNow });
        logger.FormatUpgraded(current, Manifest.DatabaseFormatNow, Manifest.WalFormatNow);
        return stream;
    }

    private void WriteManifest(Manifest next)
    {
        next.Write(settings.Files, current);
        _manifest = next;
    }

    private ChunkStore OpenStore(CheckpointStream stream, IStorageFile data)
    {
        Explained(stream, () =>
        {
            _store = new ChunkStore(stream, data.Path, _manifest.Salt, settings);
            _store.Read();
        });
        return _store!;         // made, or it has thrown
    }

    /// <summary>LiteDB wraps what its stream told it, and that is what counts. What it throws itself is no proof of damage: each page is the
    /// one that was written there.</summary>
    private static void Explained(CheckpointStream stream, Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (stream.Failure is { } cause && cause != error)
        {
            throw stream.Failure;
        }
    }

    private void Replay(WriteAheadLog log, ChunkStore store, CheckpointStream stream)
    {
        long covered = store.Position;
        bool isOld = _manifest.WalFormat != Manifest.WalFormatNow;
        List<WalReader.Found> found = log.Recover(covered, isOld);
        var batch = new List<WalRecordContent>();
        long bytes = 0;
        Explained(stream, () =>
        {
            foreach (WalReader.Found record in found)
            {
                batch.Add(WalRecord.Decode(record.Sequence, record.Payload, groups));
                bytes += record.Payload.Length;
                if (bytes < settings.TransactionBytes)
                    continue;
                Store();
                if (store.LogBytes >= settings.DatabaseLogBytes)
                    Checkpoint();
            }

            if (batch.Count > 0)
                Store();
            if (store.LogBytes > 0)
                Checkpoint();
        });

        log.SetCovered(covered, stream.Number);
        Replayed = found.Count;

        void Checkpoint()
        {
            StorageFailedException? shortage = TryCheckpoint();
            if (shortage is not null && giveRoom())
                shortage = TryCheckpoint();
            if (shortage is null)
                covered = store.Position;
            else if (isOld)
                throw shortage;         // an upgrade of the log relies on it

            // Else the log keeps what it holds, and the database thread tries again: this start only reads.
        }

        StorageFailedException? TryCheckpoint()
        {
            try
            {
                store.Checkpoint();
                return null;
            }
            catch (StorageFailedException error) when (error.IsOutOfSpace && stream.Failure is null)
            {
                return error;
            }
        }

        void Store()
        {
            store.Apply(batch);
            batch.Clear();
            bytes = 0;
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

using System.Diagnostics;

namespace Raft.Host.Storage;

/// <summary>
/// LiteDB's file never gets smaller by itself. At a start, when nothing waits for this node and it leads nothing, what lives is
/// copied into a new file when it is less than a quarter of the old one.
/// </summary>
/// <remarks>
/// The new file is whole and durable before anything speaks of it. Then a header makes the copies its own, then the manifest
/// names it; only then the old one is deleted. Cut off before the manifest, the old file counts, with its own headers in the
/// other copy; behind it the new one, with nothing to repeat. Whichever file the manifest does not name is deleted.
/// </remarks>
internal sealed class DataFileRewrite(string current, Manifest manifest, StorageSettings settings, ILogger logger, Action<long, long> onWritten)
{
    private const int LiveOneIn = 4;

    public bool IsDue(long fileBytes, long liveBytes) => fileBytes >= settings.RewriteFromBytes && liveBytes < fileBytes / LiveOneIn;

    /// <summary>What a cut has left.</summary>
    public void DeleteOthers()
    {
        foreach (string name in settings.Files.List(current))
        {
            if (name.StartsWith(Manifest.DataFilePrefix, StringComparison.Ordinal) && name != manifest.DataFileName)
                settings.Files.Delete(Path.Combine(current, name));
        }
    }

    /// <summary>Builds the new file beside the old one.</summary>
    /// <returns>Its manifest, not written yet, and its pages; null when it cannot be built: the old file is as good as before.</returns>
    public (Manifest Manifest, PageHashes Pages)? Build(ChunkStore store, long oldBytes)
    {
        long before = Stopwatch.GetTimestamp(), liveBytes = store.LiveBytes;
        Manifest next = manifest with { DataId = settings.Random() };
        string path = Path.Combine(current, next.DataFileName);
        CheckpointStream? stream = null;
        ChunkStore? target = null;
        try
        {
            using IStorageFile file = settings.Files.Open(path, create: true);
            stream = CheckpointStream.Aside(file, settings.CheckpointPieceBytes, onWritten);
            target = new ChunkStore(stream, path, manifest.Salt, settings);
            store.CopyTo(target);
            target.Dispose();
            settings.Files.SyncDirectory(current);
            logger.DataFileRewritten(liveBytes, oldBytes, stream.FileBytes, (long)Stopwatch.GetElapsedTime(before).TotalMilliseconds);
            return (next, stream.Hashes);
        }
        catch (Exception error) when (error is StorageFailedException || stream?.Failure is StorageFailedException)
        {
            // No room, above all. Nobody relies on it.
            target?.Forget();
            logger.DataFileNotRewritten(oldBytes, liveBytes, (stream?.Failure ?? error).Message);
            if (settings.Files.FileExists(path))
                settings.Files.Delete(path);
            return null;
        }
    }
}

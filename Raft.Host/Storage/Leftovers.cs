namespace Raft.Host.Storage;

/// <summary>What a run that was cut off has left in <c>current/</c>, and nothing relies on. It goes before anything else of a start:
/// on a full disk it is what keeps the start from its room.</summary>
internal static class Leftovers
{
    public static void Delete(IStorageFiles files, string current, Manifest manifest, ILogger logger)
    {
        foreach (string name in files.List(current))
        {
            bool isOtherData = name.StartsWith(Manifest.DataFilePrefix, StringComparison.Ordinal) && name != manifest.DataFileName;
            if (isOtherData || name.EndsWith(".tmp", StringComparison.Ordinal))
                Delete(files, Path.Combine(current, name), logger);
        }

        string snapshots = Path.Combine(current, SnapshotFiles.DirectoryName);
        if (!files.DirectoryExists(snapshots))
            return;                                 // damage: recovery says so
        foreach (string name in files.List(snapshots))
        {
            // Those that are complete may be named by the log: recovery knows.
            if (!name.EndsWith(SnapshotFiles.Complete, StringComparison.Ordinal))
                Delete(files, Path.Combine(snapshots, name), logger);
        }
    }

    private static void Delete(IStorageFiles files, string path, ILogger logger)
    {
        long bytes;
        using (IStorageFile file = files.Open(path, create: false))
            bytes = file.Length;
        files.Delete(path);
        logger.LeftoverDeleted(path, bytes);
    }
}

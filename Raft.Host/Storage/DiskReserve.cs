namespace Raft.Host.Storage;

/// <summary>
/// The file <c>reserve</c> above <c>current/</c>: room kept so that a node can start on a full disk. A start repeats up to a whole
/// write-ahead log in the database, which grows; it also may write a manifest, or a whole new directory.
/// </summary>
/// <remarks>A start on a tight disk deletes it before anything else, and takes at its end what is left: never more than a quarter of the
/// free space, so that a small disk is not filled by it. It is made of allocated blocks, not of zeros; on a file system that
/// cannot allocate there is none.</remarks>
internal sealed class DiskReserve(string directory, StorageSettings settings)
{
    public const string FileName = "reserve";
    private const int PageBytes = 4096;
    private const int OneIn = 4;                    // of the free space
    private const long SmallestBytes = 64 << 10;

    private readonly IStorageFiles _files = settings.Files;
    private long _bytes;

    private string FilePath => Path.Combine(directory, FileName);

    /// <summary>Of the file. Any thread.</summary>
    public long FileBytes => Interlocked.Read(ref _bytes);

    /// <summary>Gives the room back when a start may need it.</summary>
    /// <returns>How many bytes; 0 when there is room enough, or no reserve.</returns>
    public long ReleaseIfTight()
    {
        if (!_files.FileExists(FilePath))
            return 0;

        long bytes;
        using (IStorageFile file = _files.Open(FilePath, create: false))
            bytes = file.Length;
        if (_files.FreeBytes(directory) is not { } free || free >= settings.ReserveBytes)
        {
            Interlocked.Exchange(ref _bytes, bytes);
            return 0;
        }

        Delete();
        return bytes;
    }

    /// <summary>Gives the room back whatever is said to be free: there was not enough, or a quota says so.</summary>
    /// <returns>How many bytes; 0 when there was nothing to give.</returns>
    public long Release()
    {
        long bytes = FileBytes;
        if (bytes > 0)
            Delete();
        return bytes;
    }

    private void Delete()
    {
        _files.Delete(FilePath);
        _files.SyncDirectory(directory);            // freed blocks can be used once this is on the disk
        Interlocked.Exchange(ref _bytes, 0);
    }

    /// <summary>Takes what is missing, if there is room. Never fails: what is not there is not needed now.</summary>
    public void Refill()
    {
        long bytes = FileBytes;
        if (bytes >= settings.ReserveBytes || _files.FreeBytes(directory) is not { } free)
            return;
        long wanted = Math.Min(settings.ReserveBytes, bytes + (free / OneIn)) / PageBytes * PageBytes;
        if (wanted < SmallestBytes || wanted < settings.ReserveBytes && wanted - bytes < SmallestBytes)
            return;

        try
        {
            using IStorageFile file = _files.Open(FilePath, create: !_files.FileExists(FilePath));
            if (!file.Reserve(0, wanted))
                return;
            file.Write(wanted - PageBytes, new byte[PageBytes]);        // its length says how much it is
            file.Sync();
            Interlocked.Exchange(ref _bytes, wanted);
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            _files.TryDelete(FilePath);
            Interlocked.Exchange(ref _bytes, 0);
        }
    }
}

namespace Raft.Host.Storage;

/// <summary>The file system as the store uses it, so that a simulation can lose power, tear writes and fail. Every call that
/// fails throws <see cref="StorageFailedException"/>; nothing is retried.</summary>
internal interface IStorageFiles
{
    bool DirectoryExists(string path);

    bool FileExists(string path);

    /// <summary>The names of files and directories in it.</summary>
    IReadOnlyList<string> List(string directory);

    void CreateDirectory(string path);

    void DeleteDirectory(string path);

    /// <param name="path">Which.</param>
    /// <param name="create">True: it must not exist yet. False: it must.</param>
    IStorageFile Open(string path, bool create);

    /// <summary>Atomic; replaces a file that has the new name.</summary>
    void Rename(string from, string to);

    void Delete(string path);

    /// <summary>Makes what was created, renamed and deleted in it durable.</summary>
    void SyncDirectory(string path);

    /// <summary>Takes the exclusive lock of a file, made when missing; null when somebody holds it.</summary>
    IDisposable? TryLock(string path);

    /// <summary>Bytes that this process may still write on the file system of a directory; null when it cannot be known.</summary>
    long? FreeBytes(string directory) => null;
}

/// <summary>One open file. Used by one thread at a time.</summary>
internal interface IStorageFile : IDisposable
{
    string Path { get; }

    long Length { get; }

    /// <summary>Reads until the buffer is full or the file ends; says how much.</summary>
    int Read(long offset, Span<byte> buffer);

    void Write(long offset, ReadOnlySpan<byte> bytes);

    /// <summary>fdatasync: what was written is on the disk when this returns.</summary>
    void Sync();

    /// <summary>Allocates the room for later writes, without changing content or length, so that they cannot fail for lack of it.</summary>
    /// <returns>False on a file system that cannot: then nothing is promised.</returns>
    bool Reserve(long offset, long bytes) => false;
}

internal static class StorageFilesExtensions
{
    /// <summary>The whole file, with one handle for the length and the content.</summary>
    public static byte[] ReadAll(this IStorageFiles files, string path)
    {
        using IStorageFile file = files.Open(path, create: false);
        var bytes = new byte[file.Length];
        int count = file.Read(0, bytes);
        return count == bytes.Length ? bytes : bytes[..count];
    }

    /// <summary>Replaces a small file as a whole: temp, sync, rename, sync of the directory.</summary>
    public static void ReplaceFile(this IStorageFiles files, string path, ReadOnlySpan<byte> content)
    {
        string temp = path + ".tmp";
        if (files.FileExists(temp))
            files.Delete(temp);

        try
        {
            using (IStorageFile file = files.Open(temp, create: true))
            {
                file.Write(0, content);
                file.Sync();
            }

            files.Rename(temp, path);
        }
        catch (StorageFailedException error) when (error.IsOutOfSpace)
        {
            files.TryDelete(temp);                           // the file of before counts, and the room is needed
            throw;
        }

        files.SyncDirectory(Path.GetDirectoryName(path)!);   // a path that we made always has a directory
    }

    /// <summary>Deletes a file that nothing relies on, if it is there and can be deleted.</summary>
    public static void TryDelete(this IStorageFiles files, string path)
    {
        try
        {
            if (files.FileExists(path))
                files.Delete(path);
        }
        catch (StorageFailedException)
        {
            // The next start deletes it.
        }
    }
}

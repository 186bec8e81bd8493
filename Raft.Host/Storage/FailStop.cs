using Raft.Host.Memory;

namespace Raft.Host.Storage;

/// <summary>A system call of the store failed, or the database did what it must not. The store is finished, and so is the process.</summary>
public sealed class StorageFailedException : IOException
{
    internal StorageFailedException(string operation, string file, long offset, int errno, Exception? inner = null)
        : base(Describe(operation, file, offset, errno, inner), inner)
    {
        Operation = operation;
        File = file;
        Offset = offset;
        Errno = errno;
    }

    public string Operation { get; }
    public string File { get; }
    public long Offset { get; }

    /// <summary>0 when the operating system was not what failed.</summary>
    public int Errno { get; }

    /// <summary>No room on the file system, or in the quota. What of it may be given up is given up; see docs/storage.md, "Full disks".</summary>
    internal bool IsOutOfSpace => Errno is NoSpaceErrno or QuotaErrno;

    internal const int NoSpaceErrno = 28, QuotaErrno = 122;

    private static string Describe(string operation, string file, long offset, int errno, Exception? inner)
    {
        string cause = errno != 0 ? SystemErrors.CauseOf(errno) : inner?.Message ?? "a claim about it turned out false";
        return $"{operation} of {file} at offset {offset} failed: {cause}. {SystemErrors.RemedyOf(errno)}";
    }
}

/// <summary>The end of a node whose storage failed: first the last words and the exit, then nothing is acknowledged any more.</summary>
internal sealed class FailStop(Action<StorageFailedException> end)
{
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private StorageFailedException? _cause;

    public Task Failed => _failed.Task;

    /// <summary>Null while all is well. Any thread.</summary>
    public StorageFailedException? Cause => Volatile.Read(ref _cause);

    /// <summary>Only the first failure counts; later ones are its consequences.</summary>
    public StorageFailedException Fail(Exception error, string file)
    {
        StorageFailedException cause = error as StorageFailedException ?? new StorageFailedException("use", file, 0, 0, error);
        if (Interlocked.CompareExchange(ref _cause, cause, null) is { } earlier)
            return earlier;

        end(cause);
        _failed.TrySetException(cause);
        _ = _failed.Task.Exception;         // observed: whether somebody waits is not our business
        return cause;
    }

    /// <summary>What a node does unless a test says otherwise.</summary>
    public static void EndProcess(StorageFailedException cause)
    {
        if (OutOfMemory.IsCauseOf(cause))
            OutOfMemory.End();

        // Not through the logger: that writes later, and there is no later.
        ProcessOutput.LastWords($"crit: Raft.Host.Storage[2090] Storage failed, the node ends now. {cause.Message}");
        Native.Exit(70);
    }
}

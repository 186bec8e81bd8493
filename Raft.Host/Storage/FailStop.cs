using System.Runtime.InteropServices;
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

    private static string Describe(string operation, string file, long offset, int errno, Exception? inner)
    {
        string cause = errno != 0 ? $"errno {errno} ({Marshal.GetPInvokeErrorMessage(errno)})" : inner?.Message ?? "a claim about it turned out false";
        return $"{operation} of {file} at offset {offset} failed: {cause}. {RemedyFor(errno)}";
    }

    private static string RemedyFor(int errno) => errno switch
    {
        28 or 122 => "Make room on its file system (or raise the quota), then start the node again: nothing acknowledged is lost.",
        13 or 1 or 30 => "Make it writable for the user of this process, then start the node again.",
        24 or 23 => "Raise the limit of open files, then start the node again.",
        0 => "Start the node again; what it finds on its disk is verified. If this comes back, report it with this line.",
        _ => "Check the disk (kernel log, SMART) and start the node again only on a sound one; on a new, empty one it comes back as a new member.",
    };
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
        Console.Error.WriteLine($"crit: Raft.Host.Storage[2090] Storage failed, the node ends now. {cause.Message}");
        Console.Error.Flush();
        Native.Exit(70);
    }
}

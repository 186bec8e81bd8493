using System.Runtime.InteropServices;

namespace Raft.Host.Storage;

/// <summary>One file through system calls whose results are checked: .NET 10 on Linux swallows the error of a sync.</summary>
internal sealed unsafe partial class NativeFile : IStorageFile
{
    private const int InterruptedErrno = 4;
    private readonly int _descriptor;
    private bool _isClosed;

    private NativeFile(string path, int descriptor)
    {
        Path = path;
        _descriptor = descriptor;
    }

    ~NativeFile() => Close();

    public string Path { get; }

    public long Length => Checked(Native.Seek(_descriptor, 0, Native.SeekEnd), "lseek", Path, 0);

    public static NativeFile Open(string path, int flags)
    {
        int descriptor = (int)Checked(Native.Open(path, flags | Native.CloseOnExec, Convert.ToInt32("640", 8)), "open", path, 0);
        return new NativeFile(path, descriptor);
    }

    public int Read(long offset, Span<byte> buffer)
    {
        int done = 0;
        fixed (byte* start = buffer)
        {
            while (done < buffer.Length)
            {
                nint count = Native.Read(_descriptor, start + done, (nuint)(buffer.Length - done), offset + done);
                if (count < 0 && Marshal.GetLastPInvokeError() == InterruptedErrno)
                    continue;
                Checked(count, "pread", Path, offset + done);
                if (count == 0)
                    break;
                done += (int)count;
            }
        }

        return done;
    }

    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        int done = 0;
        fixed (byte* start = bytes)
        {
            while (done < bytes.Length)
            {
                nint count = Native.Write(_descriptor, start + done, (nuint)(bytes.Length - done), offset + done);
                if (count < 0 && Marshal.GetLastPInvokeError() == InterruptedErrno)
                    continue;                                  // nothing was written yet: not a failure
                Checked(count, "pwrite", Path, offset + done);
                done += (int)count;
            }
        }
    }

    // Never again after a failure: the kernel may have dropped the dirty pages, and a second sync can "succeed".
    public void Sync() => Checked(Native.SyncData(_descriptor), "fdatasync", Path, 0);

    public bool Reserve(long offset, long bytes)
    {
        while (Native.Allocate(_descriptor, Native.KeepSize, offset, bytes) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error is Native.NotSupportedErrno or Native.NotImplementedErrno)
                return false;
            if (error != InterruptedErrno)
                throw Failure("fallocate", Path, offset);
        }

        return true;
    }

    /// <summary>fsync, for directories.</summary>
    public void SyncAll() => Checked(Native.Sync(_descriptor), "fsync", Path, 0);

    /// <summary>False when somebody else holds the lock.</summary>
    public bool TryLock()
    {
        if (Native.Lock(_descriptor, Native.LockExclusive | Native.LockNoWait) == 0)
            return true;
        if (Marshal.GetLastPInvokeError() == Native.WouldBlockErrno)
            return false;
        throw Failure("flock", Path, 0);
    }

    /// <summary>Gives the lock back, whoever else has the descriptor: a process that was just forked holds a copy of it until it runs
    /// its own program, and to close ours alone would leave the lock with it.</summary>
    public void Unlock() => Checked(Native.Lock(_descriptor, Native.LockRelease), "flock", Path, 0);

    public void Dispose()
    {
        Close();
        GC.SuppressFinalize(this);
    }

    internal static long Checked(long result, string operation, string path, long offset) =>
        result >= 0 ? result : throw Failure(operation, path, offset);

    private static StorageFailedException Failure(string operation, string path, long offset) =>
        new(operation, path, offset, Marshal.GetLastPInvokeError());

    private void Close()
    {
        if (_isClosed)
            return;
        _isClosed = true;
        _ = Native.Close(_descriptor);      // all that matters was synced before
    }
}

/// <summary>The file system itself.</summary>
internal sealed class NativeFiles : IStorageFiles
{
    public static readonly NativeFiles Instance = new();
    private const int NotThereErrno = 2, AccessErrno = 13, NoDirectoryErrno = 20;

    public bool DirectoryExists(string path) => Exists(path) && Directory.Exists(path);

    public bool FileExists(string path) => Exists(path) && !Directory.Exists(path);

    public IReadOnlyList<string> List(string directory)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(directory).Select(path => System.IO.Path.GetFileName(path))];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new StorageFailedException("list", directory, 0, error is UnauthorizedAccessException ? AccessErrno : error.HResult & 0xFFFF, error);
        }
    }

    public void CreateDirectory(string path)
    {
        int made = Native.MakeDirectory(path, Convert.ToInt32("750", 8));
        int error = Marshal.GetLastPInvokeError();
        if (made != 0 && Directory.Exists(path))
            return;                                 // another node made the parent of both meanwhile
        Marshal.SetLastPInvokeError(error);
        NativeFile.Checked(made, "mkdir", path, 0);
    }

    public void DeleteDirectory(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new StorageFailedException("rmdir", path, 0, Marshal.GetLastPInvokeError(), error);
        }
    }

    public IStorageFile Open(string path, bool create) =>
        NativeFile.Open(path, create ? Native.ReadWrite | Native.Create | Native.Exclusive : Native.ReadWrite);

    public void Rename(string from, string to) => NativeFile.Checked(Native.Rename(from, to), "rename", from, 0);

    public void Delete(string path) => NativeFile.Checked(Native.Unlink(path), "unlink", path, 0);

    public void SyncDirectory(string path)
    {
        using var directory = NativeFile.Open(path, Native.ReadOnly);
        directory.SyncAll();
    }

    public IDisposable? TryLock(string path)
    {
        var file = NativeFile.Open(path, Native.ReadWrite | Native.Create);
        if (file.TryLock())
            return new FileLock(file);
        file.Dispose();
        return null;
    }

    /// <summary>.NET says "it is not there" also when it could not look: a missing right must not look like a missing file.</summary>
    private static bool Exists(string path)
    {
        if (Native.Access(path, Native.ExistsMode) == 0)
            return true;
        return Marshal.GetLastPInvokeError() is NotThereErrno or NoDirectoryErrno
            ? false
            : throw new StorageFailedException("stat", path, 0, Marshal.GetLastPInvokeError());
    }

    public long? FreeBytes(string directory)
    {
        try
        {
            return new DriveInfo(directory).AvailableFreeSpace;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private sealed class FileLock(NativeFile file) : IDisposable
    {
        private NativeFile? _file = file;

        public void Dispose()
        {
            _file?.Unlock();
            _file?.Dispose();
            _file = null;
        }
    }
}

/// <summary>The system calls.</summary>
internal static unsafe partial class Native
{
    public const int ReadOnly = 0, ReadWrite = 2, Create = 0x40, Exclusive = 0x80, CloseOnExec = 0x80000;
    public const int SeekEnd = 2, ExistsMode = 0;
    public const int KeepSize = 1, NotSupportedErrno = 95, NotImplementedErrno = 38;
    public const int LockExclusive = 2, LockNoWait = 4, LockRelease = 8, WouldBlockErrno = 11;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Access(string path, int mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint Read(int descriptor, byte* buffer, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    public static partial nint Write(int descriptor, byte* buffer, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint WriteTo(int descriptor, byte* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(int descriptor, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int SyncData(int descriptor);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(int descriptor, int mode, long offset, long bytes);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(int descriptor, int operation);

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MakeDirectory(string path, int mode);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Rename(string from, string to);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unlink(string path);

    [LibraryImport("libc", EntryPoint = "setpriority", SetLastError = true)]
    public static partial int SetPriority(int which, int id, int priority);

    public const int LimitOfDescriptors = 7;

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    public static partial int GetLimit(int resource, out ResourceLimit limit);

    public struct ResourceLimit
    {
        public ulong Current;
        public ulong Max;
    }

    [LibraryImport("libc", EntryPoint = "gettid", SetLastError = true)]
    public static partial int ThreadId();

    /// <summary>Ends the process at once: no handlers, no finalizers, nothing that could wait or still write.</summary>
    [LibraryImport("libc", EntryPoint = "_exit")]
    public static partial void Exit(int code);

    /// <summary>.NET does not apply Thread.Priority on Linux; a thread's nice value is set by its own id.</summary>
    public static void LowerPriorityOfThisThread(int nice)
    {
        _ = SetPriority(which: 0, ThreadId(), nice);       // a wish: nothing depends on it
    }
}

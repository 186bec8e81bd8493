using Raft.Host.Storage;

namespace Raft.Simulator;

/// <summary>
/// A file system in memory that knows what is not synced. A power cut loses any subset of it: writes whole or torn at sectors,
/// and names from some point on. Reads see the page cache, as on a real machine.
/// </summary>
internal sealed partial class SimulatedFiles : IStorageFiles
{
    private const int IoErrorErrno = 5;
    private const int NoDeviceErrno = 19;       // of calls that a process without power never makes: no proof of an unreadable sector
    private readonly object _gate = new();
    private readonly HashSet<string> _locks = [];
    private readonly List<NameChange> _unsyncedNames = [];
    private SortedDictionary<string, Inode?> _names = Root();
    private SortedDictionary<string, Inode?> _durableNames = Root();
    private int _generation;
    private int _callsLeft = int.MaxValue;
    private bool _areSyncsHeld;
    private TimeSpan _cost;

    /// <summary>The power is off: every call fails until <see cref="PowerOn"/>.</summary>
    public bool IsOff { get; private set; }

    /// <summary>Hears that the power goes, while the call during which it goes has not returned: the process must do nothing more.</summary>
    public Action? PowerGone { get; set; }

    /// <summary>How long a call takes: its operation (by its system call: "pwrite", "fdatasync", "rename", ...) and path. Whoever
    /// runs the calls takes the sum with <see cref="TakeCost"/> and lets the time pass.</summary>
    public Func<string, string, TimeSpan> Cost { get; set; } = (_, _) => TimeSpan.Zero;

    /// <summary>Fails a sync of these; the dirty pages stay readable and never reach the disk.</summary>
    public Func<string, bool> FailsSync { get; set; } = _ => false;

    public Func<string, bool> FailsWrite { get; set; } = _ => false;

    public Func<string, bool> FailsRead { get; set; } = _ => false;

    /// <summary>Bytes that the disk has; null: without end. Less than is used: no byte can be added.</summary>
    public long? Capacity { get; set; }

    /// <summary>False: a file system that cannot allocate room before it is written to.</summary>
    public bool CanReserve { get; set; } = true;

    /// <summary>Bytes that all files take, what is reserved for them included.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_gate)
                return _names.Values.OfType<Inode>().Sum(file => file.AllocatedBytes);
        }
    }

    /// <summary>The planted bug: a sync of these does nothing.</summary>
    public Func<string, bool> OmitsSync { get; set; } = _ => false;

    /// <summary>Syncs of files whose name begins so.</summary>
    public int SyncsOf(string prefix)
    {
        lock (_gate)
            return _syncs.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal)).Sum(pair => pair.Value);
    }

    public bool HasUnsynced(string prefix)
    {
        lock (_gate)
            return _names.Any(pair => System.IO.Path.GetFileName(pair.Key).StartsWith(prefix, StringComparison.Ordinal) && pair.Value?.Unsynced.Count > 0);
    }

    private readonly Dictionary<string, int> _syncs = [];

    public byte[] Content(string path)
    {
        lock (_gate)
            return [.. _names[path]!.Live];         // the test knows that it is there
    }

    /// <summary>What the calls since the last time have cost.</summary>
    public TimeSpan TakeCost()
    {
        lock (_gate)
        {
            TimeSpan cost = _cost;
            _cost = TimeSpan.Zero;
            return cost;
        }
    }

    /// <summary>Changes bytes on the disk itself.</summary>
    public void Flip(string path, long offset, byte mask = 0x10)
    {
        lock (_gate)
        {
            Inode file = _names[path]!;             // the test knows that it is there
            file.Live[(int)offset] ^= mask;
            file.Disk[(int)offset] ^= mask;
            file.Forget();
        }
    }

    public bool IsFile(string path)
    {
        lock (_gate)
            return _names.GetValueOrDefault(path) is not null;
    }

    public IEnumerable<string> Paths
    {
        get
        {
            lock (_gate)
                return [.. _names.Keys];
        }
    }

    public void Remove(string path)
    {
        lock (_gate)
        {
            _names.Remove(path);
            _durableNames.Remove(path);
        }
    }

    /// <summary>The power goes in the last of so many further calls: it happens, in part if it is a write, and nobody hears of it.</summary>
    public void CutAfter(int calls)
    {
        lock (_gate)
            _callsLeft = calls;
    }

    /// <summary>The power goes now, between two calls.</summary>
    public void Cut()
    {
        lock (_gate)
            IsOff = true;
        PowerGone?.Invoke();
    }

    /// <summary>After a cut: what the disk has, with any subset of what was not synced. Old handles are dead.</summary>
    public void PowerOn(Random random)
    {
        lock (_gate)
        {
            int kept = random.Next(_unsyncedNames.Count + 1);
            for (int i = 0; i < kept; i++)
                _unsyncedNames[i].Apply(_durableNames);
            _unsyncedNames.Clear();
            foreach (Inode file in _durableNames.Values.OfType<Inode>())
                file.LosePower(random);
            _names = new SortedDictionary<string, Inode?>(_durableNames, StringComparer.Ordinal);
            Restart();
        }
    }

    /// <summary>After the process was killed: the page cache is still there. Old handles are dead.</summary>
    public void Restart()
    {
        lock (_gate)
        {
            _generation++;
            _locks.Clear();
            _callsLeft = int.MaxValue;
            IsOff = false;
        }
    }

    public void HoldSyncs()
    {
        lock (_gate)
            _areSyncsHeld = true;
    }

    public void ReleaseSyncs()
    {
        lock (_gate)
        {
            _areSyncsHeld = false;
            Monitor.PulseAll(_gate);
        }
    }

    public bool DirectoryExists(string path) => Call("stat", path, () => _names.TryGetValue(path, out Inode? file) && file is null);

    public bool FileExists(string path) => Call("stat", path, () => _names.TryGetValue(path, out Inode? file) && file is not null);

    public IReadOnlyList<string> List(string directory) =>
        Call("list", directory, () => (IReadOnlyList<string>)[.. _names.Keys.Where(path => System.IO.Path.GetDirectoryName(path) == directory).Select(path => System.IO.Path.GetFileName(path))]);

    public void CreateDirectory(string path) => ChangeNames("mkdir", path, names => names[path] = null);

    public void DeleteDirectory(string path) => ChangeNames("rmdir", path, names =>
    {
        foreach (string name in names.Keys.Where(name => name == path || name.StartsWith(path + "/", StringComparison.Ordinal)).ToArray())
            names.Remove(name);
    });

    public IStorageFile Open(string path, bool create)
    {
        if (create)
        {
            var inode = new Inode();
            ChangeNames("create", path, names => names[path] = inode, inode);
        }

        return Call("open", path, () =>
            _names.GetValueOrDefault(path) is { } file ? new Handle(this, path, file, _generation) : throw new StorageFailedException("open", path, 0, 2));
    }

    public void Rename(string from, string to) => ChangeNames("rename", from, names =>
    {
        foreach ((string name, Inode? file) in names.Where(pair => pair.Key == from || pair.Key.StartsWith(from + "/", StringComparison.Ordinal)).ToArray())
        {
            names.Remove(name);
            names[to + name[from.Length..]] = file;
        }
    });

    public void Delete(string path) => ChangeNames("unlink", path, names => names.Remove(path));

    public void SyncDirectory(string path) => Call("fsync", path, () =>
    {
        if (OmitsSync(path))
            return 0;

        // Names become durable in order, as by a journal.
        foreach (NameChange change in _unsyncedNames)
            change.Apply(_durableNames);
        _unsyncedNames.Clear();
        return 0;
    });

    public IDisposable? TryLock(string path) => Call("flock", path, () => _locks.Add(path) ? new Unlock(this, path, _generation) : null);

    public long? FreeBytes(string directory) => Capacity is { } capacity ? Math.Max(0, capacity - UsedBytes) : null;

    /// <summary>A file is to have so many bytes.</summary>
    private void TakeRoom(string operation, string path, Inode file, long end)
    {
        long more = end - file.AllocatedBytes;
        if (more > 0 && Capacity is { } capacity && UsedBytes + more > capacity)
            throw new StorageFailedException(operation, path, end, StorageFailedException.NoSpaceErrno);
    }

    private void WaitUntilSyncsMayRun()
    {
        lock (_gate)
        {
            while (_areSyncsHeld)
                Monitor.Wait(_gate);
        }
    }

    private static SortedDictionary<string, Inode?> Root() => new(StringComparer.Ordinal) { ["/"] = null };

    private void ChangeNames(string operation, string path, Action<SortedDictionary<string, Inode?>> change, Inode? created = null) => Call(operation, path, () =>
    {
        change(_names);
        _unsyncedNames.Add(new NameChange(change, created));
        return 0;
    });

    private T Call<T>(string operation, string path, Func<T> action, int generation = -1)
    {
        if (Changing is not null && IsChange(operation))
            Changing(operation, path);
        lock (_gate)
        {
            if (IsOff || (generation >= 0 && generation != _generation))
                throw new StorageFailedException(operation, path, 0, NoDeviceErrno);
            _cost += Cost(operation, path);
            T result = action();
            if (--_callsLeft <= 0)
            {
                IsOff = true;
                PowerGone?.Invoke();
                throw new StorageFailedException(operation, path, 0, NoDeviceErrno);
            }

            return result;
        }
    }

    private sealed class Unlock(SimulatedFiles files, string path, int generation) : IDisposable
    {
        public void Dispose()
        {
            lock (files._gate)
            {
                if (generation == files._generation)
                    files._locks.Remove(path);
            }
        }
    }

    private sealed partial class Inode
    {
        public List<byte> Live { get; } = [];
        public List<byte> Disk { get; } = [];
        public List<(long Offset, byte[] Bytes)> Unsynced { get; } = [];

        public long ReservedBytes { get; set; }

        public long AllocatedBytes => Math.Max(Live.Count, ReservedBytes);

        public void Write(long offset, ReadOnlySpan<byte> bytes)
        {
            Put(Live, offset, bytes);
            long end = offset + bytes.Length;
            Unreadable.RemoveAll(range => range.From >= offset && range.To <= end);
            Unsynced.Add((offset, bytes.ToArray()));
        }

        public void Sync()
        {
            foreach ((long offset, byte[] bytes) in Unsynced)
                Put(Disk, offset, bytes);
            Unsynced.Clear();
            _captured = null;
        }

        public void LosePower(Random random)
        {
            foreach ((long offset, byte[] bytes) in Unsynced)
                PutFate(offset, bytes, random.Next(4) switch { 0 => Fate.Lost, 1 => Fate.Whole, _ => Fate.Torn }, random);
            Unsynced.Clear();
            _captured = null;
            Live.Clear();
            Live.AddRange(Disk);
        }

        public static void Put(List<byte> content, long offset, ReadOnlySpan<byte> bytes)
        {
            int end = (int)offset + bytes.Length;
            if (content.Count < end)
                System.Runtime.InteropServices.CollectionsMarshal.SetCount(content, end);
            bytes.CopyTo(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(content)[(int)offset..]);
        }
    }

    private sealed class Handle(SimulatedFiles files, string path, Inode file, int generation) : IStorageFile
    {
        public string Path => path;

        public long Length => files.Call("lseek", path, () => file.Live.Count, generation);

        public int Read(long offset, Span<byte> buffer)
        {
            int wanted = buffer.Length;
            byte[] bytes = files.Call("pread", path, () =>
            {
                if (files.FailsRead(path) || file.Unreadable.Exists(range => range.From < offset + wanted && range.To > offset))
                    throw new StorageFailedException("pread", path, offset, IoErrorErrno);
                int count = (int)Math.Clamp(file.Live.Count - offset, 0, wanted);
                return count == 0 ? [] : file.Live.GetRange((int)offset, count).ToArray();
            }, generation);
            bytes.CopyTo(buffer);
            return bytes.Length;
        }

        public void Write(long offset, ReadOnlySpan<byte> bytes)
        {
            byte[] copy = bytes.ToArray();
            files.Call("pwrite", path, () =>
            {
                if (files.FailsWrite(path))
                    throw new StorageFailedException("pwrite", path, offset, IoErrorErrno);
                files.TakeRoom("pwrite", path, file, offset + copy.Length);
                file.Write(offset, copy);
                return 0;
            }, generation);
        }

        public bool Reserve(long offset, long bytes) => files is { Capacity: not null, CanReserve: true } && files.Call("fallocate", path, () =>
        {
            files.TakeRoom("fallocate", path, file, offset + bytes);
            file.ReservedBytes = Math.Max(file.ReservedBytes, offset + bytes);
            return true;
        }, generation);

        public void Sync()
        {
            files.WaitUntilSyncsMayRun();
            files.Call("fdatasync", path, () =>
            {
                if (files.FailsSync(path))
                {
                    file.Unsynced.Clear();
                    throw new StorageFailedException("fdatasync", path, 0, IoErrorErrno);
                }

                string name = System.IO.Path.GetFileName(path);
                files._syncs[name] = files._syncs.GetValueOrDefault(name) + 1;
                if (!files.OmitsSync(path))
                {
                    files.Remember(path, file);
                    file.Sync();
                }

                return 0;
            }, generation);
        }

        public void Dispose()
        {
        }
    }
}

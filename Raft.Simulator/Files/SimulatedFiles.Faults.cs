using Raft.Host.Storage;

namespace Raft.Simulator;

// A disk that acknowledges a write and a sync, and later returns something else.
internal sealed partial class SimulatedFiles
{
    private const int SectorBytes = 512;
    private const int BlockBytes = 4096;
    private const int PageBytes = 8192;
    private const int Attempts = 64;
    private const string LogPrefix = "wal-";
    private (Inode File, long From, long To)? _lastLogWrite;

    /// <summary>Keeps what synced writes have overwritten, which the faults about old content need. Costs memory and time.</summary>
    public bool RemembersOverwritten { get; set; }

    /// <summary>Puts one fault on the disk itself, as if the device had lied about one synced write. Call it while no store is open: between
    /// a stop, kill or power cut and the next start, and at most once for each start.</summary>
    /// <remarks>
    /// What must hold at the next start: either it finds proof of damage (<see cref="Engine.Errors.CorruptStorageException"/>, so the node
    /// goes to quarantine), or the store is unharmed: everything acknowledged is there, and it works and opens again later. Any other exception, a lost
    /// acknowledged write, or a failure after a successful start is a bug of the store.
    /// The last write into the log is left alone: of the very last record nobody can tell a lost sector from a write that was cut off
    /// (docs/storage.md). All faults but <see cref="DiskFault.LostPage"/> need <see cref="RemembersOverwritten"/> from the beginning.
    /// </remarks>
    /// <param name="fault">The kind of fault.</param>
    /// <param name="random">Chooses the file and the place.</param>
    /// <param name="among">Which paths may be hit; null: all.</param>
    /// <returns>A description of the fault; null when the disk holds nothing that this fault could change.</returns>
    public string? InjectFault(DiskFault fault, Random random, Func<string, bool>? among = null)
    {
        lock (_gate)
        {
            (string Path, Inode File)[] files = [.. _durableNames
                .Where(pair => pair.Value is { Disk.Count: > 0 } && among?.Invoke(pair.Key) != false)
                .Select(pair => (pair.Key, pair.Value!))];      // Where has left directories out
            for (int attempt = 0; attempt < Attempts && files.Length > 0; attempt++)
            {
                (string path, Inode file) = files[random.Next(files.Length)];
                if (TryInject(fault, file, random) is { } place)
                {
                    // The machine was restarted meanwhile, or the page was dropped from the cache: reads see the disk.
                    file.Live.Clear();
                    file.Live.AddRange(file.Disk);
                    file.Forget();
                    return $"{fault} in {path} at {place}";
                }
            }

            return null;
        }
    }

    /// <summary>What synced writes have overwritten here: the old contents of a range that no write crosses the edge of.</summary>
    public IReadOnlyList<byte[]> OldContents(string path, int offset, int bytes)
    {
        lock (_gate)
        {
            return [.. _names[path]!.Overwritten        // the test knows that it is there
                .Where(old => old.Offset <= offset && old.Offset + old.Bytes.Length >= offset + bytes)
                .Select(old => old.Bytes.AsSpan((int)(offset - old.Offset), bytes).ToArray())];
        }
    }

    /// <summary>Puts these bytes on the disk itself; false when they are there already, or when it would change the last write into the log.</summary>
    public bool TryReplace(string path, int offset, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            Inode file = _names[path]!;             // as above
            if (!Replace(file, offset, bytes))
                return false;
            file.Live.Clear();
            file.Live.AddRange(file.Disk);
            file.Forget();
            return true;
        }
    }

    /// <summary>Where the last synced write into the log stands; null when there was none.</summary>
    public (string Path, int Offset, int Bytes)? LastLogWrite
    {
        get
        {
            lock (_gate)
            {
                return _lastLogWrite is { } last && _names.FirstOrDefault(pair => pair.Value == last.File) is { Key: { } path }
                    ? (path, (int)last.From, (int)(last.To - last.From)) : null;
            }
        }
    }

    /// <summary>Fails every read that touches this range with EIO, as an unreadable sector does; until written again, as on a real disk.</summary>
    public void MakeUnreadable(string path, long offset, int bytes)
    {
        lock (_gate)
            _names[path]!.Unreadable.Add((offset, offset + bytes));     // the test knows that it is there
    }

    private string? TryInject(DiskFault fault, Inode file, Random random)
    {
        if (fault == DiskFault.LostPage)
        {
            int bytes = random.Next(2) == 0 ? BlockBytes : PageBytes;
            long at = random.NextInt64((file.Disk.Count + bytes - 1) / bytes) * bytes;
            return Replace(file, at, new byte[Math.Min(bytes, file.Disk.Count - at)]) ? $"{at}" : null;
        }

        if (file.Overwritten.Count == 0)
            return null;
        (long offset, byte[] old) = file.Overwritten[random.Next(file.Overwritten.Count)];
        int unit = fault switch { DiskFault.StaleSector => SectorBytes, DiskFault.StalePage => PageBytes, DiskFault.MisdirectedWrite => BlockBytes, _ => old.Length };
        int within = random.Next((old.Length + unit - 1) / unit) * unit, count = Math.Min(unit, old.Length - within);
        if (fault != DiskFault.MisdirectedWrite)
            return Replace(file, offset + within, old.AsSpan(within, count)) ? $"{offset + within}, {count} bytes" : null;

        // What was written here stands elsewhere, and here is what was before.
        byte[] written = file.Disk.GetRange((int)(offset + within), count).ToArray();
        long target = random.NextInt64((file.Disk.Count + BlockBytes - 1) / BlockBytes) * BlockBytes;
        count = (int)Math.Min(count, file.Disk.Count - target);
        if (target == offset + within || IsLastLogWrite(file, target, count) || !Replace(file, offset + within, old.AsSpan(within, written.Length)))
            return null;
        Replace(file, target, written.AsSpan(0, count));
        return $"{offset + within}, written to {target}";
    }

    private bool IsLastLogWrite(Inode file, long at, int count) =>
        _lastLogWrite is { } last && last.File == file && at < last.To && at + count > last.From;

    /// <summary>False when nothing changes, or must not.</summary>
    private bool Replace(Inode file, long at, ReadOnlySpan<byte> bytes)
    {
        if (IsLastLogWrite(file, at, bytes.Length)
            || System.Runtime.InteropServices.CollectionsMarshal.AsSpan(file.Disk).Slice((int)at, bytes.Length).SequenceEqual(bytes))
            return false;
        Inode.Put(file.Disk, at, bytes);
        return true;
    }

    private void Remember(string path, Inode file)
    {
        if (Path.GetFileName(path).StartsWith(LogPrefix, StringComparison.Ordinal) && file.Unsynced.Count > 0)
        {
            (long offset, byte[] bytes) = file.Unsynced[^1];
            _lastLogWrite = (file, offset, offset + bytes.Length);
        }

        if (RemembersOverwritten)
            file.RememberOverwritten();
    }

    private sealed partial class Inode
    {
        private const int RememberedMax = 2 << 20;
        private int _rememberedBytes;

        /// <summary>What synced writes have overwritten, oldest first; beyond the end of the file it was zeros.</summary>
        public List<(long Offset, byte[] Bytes)> Overwritten { get; } = [];

        /// <summary>From, to: reads of it fail.</summary>
        public List<(long From, long To)> Unreadable { get; } = [];

        /// <summary>Before a sync puts the writes on the disk.</summary>
        public void RememberOverwritten()
        {
            foreach ((long offset, byte[] bytes) in Unsynced.Where(write => write.Bytes.Length > 0))
            {
                var old = new byte[bytes.Length];
                int there = (int)Math.Clamp(Disk.Count - offset, 0, bytes.Length);
                if (there > 0)
                    Disk.CopyTo((int)offset, old, 0, there);
                Overwritten.Add((offset, old));
                _rememberedBytes += old.Length;
            }

            while (_rememberedBytes > RememberedMax)
            {
                _rememberedBytes -= Overwritten[0].Bytes.Length;
                Overwritten.RemoveAt(0);
            }
        }
    }
}

/// <summary>Kinds of <see cref="SimulatedFiles.InjectFault"/>.</summary>
internal enum DiskFault
{
    /// <summary>A block of 4 or 8 KiB reads as zeros.</summary>
    LostPage,

    /// <summary>A page of 8 KiB is what it was before a write to it.</summary>
    StalePage,

    /// <summary>A sector of 512 bytes is what it was before a write to it.</summary>
    StaleSector,

    /// <summary>A whole synced write never reached the disk.</summary>
    LostWrite,

    /// <summary>A block was written to another place of the same file.</summary>
    MisdirectedWrite,
}

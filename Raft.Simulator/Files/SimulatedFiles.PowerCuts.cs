namespace Raft.Simulator;

// Power cuts at a chosen call and with a chosen outcome. A capture is what a cut at that moment would leave to chance.
internal sealed partial class SimulatedFiles
{
    /// <summary>Called before each call that changes something, with its operation and path, before anything of it has happened.</summary>
    public Action<string, string>? Changing { get; set; }

    /// <summary>What becomes of a write that was not synced.</summary>
    internal enum Fate
    {
        Lost,
        Whole,

        /// <summary>Some of its sectors.</summary>
        Torn,
    }

    /// <summary>The disk as it is now; this one goes on.</summary>
    public Capture CaptureDisk()
    {
        lock (_gate)
            return new Capture(this);
    }

    private static bool IsChange(string operation) =>
        operation is "pwrite" or "fdatasync" or "fsync" or "create" or "rename" or "unlink" or "mkdir" or "rmdir";

    /// <param name="Apply">To the names.</param>
    /// <param name="Created">The new file; null when the change makes none.</param>
    private sealed record NameChange(Action<SortedDictionary<string, Inode?>> Apply, Inode? Created);

    /// <summary>A disk at a moment.</summary>
    internal sealed class Capture
    {
        private readonly SortedDictionary<string, Inode?> _durableNames;
        private readonly NameChange[] _names;
        private readonly (Inode File, long From, long To)? _lastLogWrite;
        private readonly Dictionary<Inode, (byte[] Disk, (long Offset, byte[] Bytes)[] Unsynced, (long Offset, byte[] Bytes)[] Overwritten)> _files = [];

        public Capture(SimulatedFiles disk)
        {
            _durableNames = new SortedDictionary<string, Inode?>(disk._durableNames, StringComparer.Ordinal);
            _names = [.. disk._unsyncedNames];
            _lastLogWrite = disk._lastLogWrite;
            foreach (Inode? file in disk._durableNames.Values.Concat(disk._names.Values).Concat(_names.Select(change => change.Created)))
            {
                if (file is not null)
                    _files.TryAdd(file, (file.Captured, [.. file.Unsynced], [.. file.Overwritten]));
            }

            Writes = _files.Values.Sum(file => file.Unsynced.Length);
        }

        /// <summary>Writes that are not synced.</summary>
        public int Writes { get; }

        /// <summary>Names that were made, changed or deleted, and whose directory is not synced.</summary>
        public int Names => _names.Length;

        /// <summary>The disk after a power cut at that moment.</summary>
        /// <param name="names">How many of the changes of names it has, in their order.</param>
        /// <param name="fates">What became of each write, in an order that is always the same.</param>
        /// <param name="random">For torn writes.</param>
        public SimulatedFiles PowerOn(int names, IReadOnlyList<Fate> fates, Random random)
        {
            var found = new SimulatedFiles();
            var kept = new SortedDictionary<string, Inode?>(_durableNames, StringComparer.Ordinal);
            foreach (NameChange change in _names.Take(names))
                change.Apply(kept);

            int write = 0;
            var copies = new Dictionary<Inode, Inode>();
            foreach ((Inode file, (byte[] disk, (long Offset, byte[] Bytes)[] unsynced, (long Offset, byte[] Bytes)[] overwritten)) in _files)
            {
                var copy = new Inode();
                copy.Disk.AddRange(disk);
                copy.Overwritten.AddRange(overwritten);
                foreach ((long offset, byte[] bytes) in unsynced)
                    copy.PutFate(offset, bytes, fates[write++], random);
                copy.Live.AddRange(copy.Disk);
                copies.Add(file, copy);
            }

            if (_lastLogWrite is { } last && copies.TryGetValue(last.File, out Inode? log))
                found._lastLogWrite = last with { File = log };
            foreach ((string name, Inode? file) in kept)
                found._names[name] = found._durableNames[name] = file is null ? null : copies[file];
            return found;
        }
    }

    private sealed partial class Inode
    {
        private byte[]? _captured;

        /// <summary>What is on the disk for certain; shared by captures until it changes.</summary>
        public byte[] Captured => _captured ??= [.. Disk];

        public void Forget() => _captured = null;

        /// <summary>A power cut does that to a write that was not synced.</summary>
        public void PutFate(long offset, byte[] bytes, Fate fate, Random random)
        {
            if (fate == Fate.Whole)
                Put(Disk, offset, bytes);
            if (fate != Fate.Torn)
                return;
            int sector = random.Next(2) == 0 ? 512 : 4096;
            for (int at = 0; at < bytes.Length; at += sector)
            {
                if (random.Next(2) == 0)
                    Put(Disk, offset + at, bytes.AsSpan(at, Math.Min(sector, bytes.Length - at)));
            }
        }
    }
}

using System.IO.Hashing;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Embedded;

/// <summary>The storage of one group: a disk that is as safe as this process. It outlives the server that is killed on it.</summary>
/// <remarks>Every request takes effect, whole, before the call returns. A real disk completes the task when its sync is done.</remarks>
public sealed class MemoryDisk : IRaftStorage
{
    private readonly Lock _lock = new();
    private readonly List<Entry> _entries = [];
    private readonly Dictionary<string, byte[]> _files = [];
    private TermAndVote _termAndVote;
    private SnapshotDescriptor? _snapshot;
    private LogIndex _firstIndex = new(1);
    private Partial? _partial;       // what came of a snapshot so far

    private LogIndex LastIndex => _firstIndex + (_entries.Count - 1);

    public ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation)
    {
        lock (_lock)
        {
            DeleteFilesNotInForce();
            List<TermRun> runs = [];
            foreach (Entry entry in _entries)
            {
                if (runs.Count == 0 || runs[^1].Term != entry.Term)
                    runs.Add(new TermRun(entry.Index, entry.Term));
            }

            int recent = _entries.Count;
            for (long bytes = 0; recent > 0 && ((bytes += _entries[recent - 1].CostBytes) <= cacheBytes || recent == _entries.Count);)
                recent--;           // the last entry in any case
            return new(new PersistedState(
                _termAndVote, _snapshot, _firstIndex, LastIndex, runs, _entries[recent..],
                [.. _entries.Where(entry => entry.Kind == EntryKind.Configuration)]));
        }
    }

    public Task PersistAsync(PersistRequest? request)
    {
        if (request is null)
            return Task.CompletedTask;

        // The order of effect is that of the record's documentation.
        lock (_lock)
        {
            if (request.Snapshot?.Index < _snapshot?.Index)
                throw new ArgumentException("The snapshot is older than the one in force.", nameof(request));
            if (request.DeleteThrough > ((request.Snapshot ?? _snapshot)?.Index ?? LogIndex.Zero))
                throw new ArgumentException("No snapshot covers what is to be deleted.", nameof(request));

            if (request.TermAndVote is { } termAndVote)
                _termAndVote = termAndVote;
            if (request.TruncateFrom is { } from && from <= LastIndex)
                RemoveEntries(LogIndex.Max(from, _firstIndex), LastIndex);
            _entries.AddRange(request.Entries);
            if (request.Snapshot is { } snapshot)
            {
                _snapshot = snapshot;
                DeleteFilesNotInForce();
            }

            if (request.DeleteThrough is { } mark && mark >= _firstIndex)
            {
                RemoveEntries(_firstIndex, LogIndex.Min(mark, LastIndex));
                _firstIndex = mark.Next;
            }
        }

        return Task.CompletedTask;
    }

    public ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation)
    {
        List<Entry> read = [];
        lock (_lock)
        {
            int bytes = 0;
            for (LogIndex index = from; from >= _firstIndex && index <= LogIndex.Min(to, LastIndex) && bytes < maxBytes; index = index.Next)
            {
                read.Add(_entries[(int)(index - _firstIndex)]);
                bytes += read[^1].CostBytes;
            }
        }

        return new(read);
    }

    public Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation) => Task.Run(
        async () =>
        {
            using var content = new MemoryStream();
            await picture.WriteAsync(content, cancellation);
            return AddFile(content.ToArray());
        },
        cancellation);

    public ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation)
    {
        lock (_lock)
        {
            // What came of the same content before a break is kept.
            _partial = new Partial(descriptor, _partial?.IsOf(descriptor) == true ? _partial.Bytes : []);
            return new(new Receiver(this, _partial));
        }
    }

    public ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation)
    {
        lock (_lock)
        {
            return _files.TryGetValue(descriptor.SnapshotId, out byte[]? bytes)
                ? new(new Reader(bytes))
                : throw new CorruptStorageException(descriptor.SnapshotId, 0, "the snapshot is not there", "Take it from another server.");
        }
    }

    private void RemoveEntries(LogIndex from, LogIndex to)
    {
        if (from <= to)
            _entries.RemoveRange((int)(from - _firstIndex), (int)(to - from) + 1);
    }

    private SnapshotFile AddFile(byte[] bytes)
    {
        string id = Guid.NewGuid().ToString("n");
        lock (_lock)
            _files.Add(id, bytes);
        return new SnapshotFile(id, bytes.Length, XxHash128.HashToUInt128(bytes));
    }

    // Whoever reads one of them holds its bytes.
    private void DeleteFilesNotInForce()
    {
        foreach (string id in _files.Keys.Where(id => id != _snapshot?.SnapshotId).ToArray())
            _files.Remove(id);
    }

    private sealed class Partial(SnapshotDescriptor descriptor, List<byte> bytes)
    {
        public SnapshotDescriptor Descriptor { get; } = descriptor;
        public List<byte> Bytes { get; } = bytes;

        public bool IsOf(SnapshotDescriptor other) =>
            (Descriptor.Index, Descriptor.Term, Descriptor.SizeBytes, Descriptor.Hash) == (other.Index, other.Term, other.SizeBytes, other.Hash);
    }

    private sealed class Receiver(MemoryDisk disk, Partial partial) : ISnapshotReceiver
    {
        public long NextOffset => partial.Bytes.Count;

        public ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellation)
        {
            ThrowUnlessCurrent();
            if (partial.Bytes.Count + chunk.Length > partial.Descriptor.SizeBytes)
                throw Refuse("More bytes came than the descriptor says.");
            partial.Bytes.AddRange(chunk.Span);
            return ValueTask.CompletedTask;
        }

        public Task<SnapshotFile> CompleteAsync(CancellationToken cancellation)
        {
            ThrowUnlessCurrent();
            byte[] bytes = [.. partial.Bytes];
            if (bytes.Length != partial.Descriptor.SizeBytes || XxHash128.HashToUInt128(bytes) != partial.Descriptor.Hash)
                throw Refuse("Size or hash differ from what the descriptor says.");
            disk._partial = null;
            return Task.FromResult(disk.AddFile(bytes));
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private InvalidDataException Refuse(string why)
        {
            disk._partial = null;
            return new InvalidDataException(why);
        }

        private void ThrowUnlessCurrent()
        {
            if (disk._partial != partial)
                throw new OperationCanceledException("Nothing is left to receive, or another receiver has taken over.");
        }
    }

    private sealed class Reader(byte[] bytes) : ISnapshotReader
    {
        public long SizeBytes => bytes.Length;

        public ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellation)
        {
            int count = (int)Math.Clamp(bytes.Length - offset, 0, buffer.Length);
            bytes.AsMemory(bytes.Length - (int)Math.Clamp(bytes.Length - offset, 0, bytes.Length), count).CopyTo(buffer);
            return new(count);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

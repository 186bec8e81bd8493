using System.IO.Hashing;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

// The disk's snapshot files. Rule 6: whole and synced before the log names them, gone at the next start when it does not.
internal sealed partial class SimulatedDisk
{
    private readonly Dictionary<string, Stored> _files = [];
    private readonly List<Action> _heldSnapshots = [];
    private Received? _partial;
    private int _fileNumber;

    /// <summary>There is no room for a snapshot, own or received.</summary>
    public bool LacksRoom { get; set; }

    /// <param name="Order">Of completion.</param>
    /// <param name="Bytes">The content.</param>
    /// <param name="Index">Known for what was received.</param>
    private sealed record Stored(int Order, byte[] Bytes, LogIndex? Index);

    /// <summary>What came of a snapshot that is on its way in. Only its newest receiver may go on with it.</summary>
    private sealed class Received(SnapshotDescriptor descriptor)
    {
        public SnapshotDescriptor Descriptor { get; } = descriptor;
        public MemoryStream Bytes { get; } = new();
        public object? Owner { get; set; }

        public bool IsOf(SnapshotDescriptor other) =>
            (Descriptor.Index, Descriptor.Term, Descriptor.SizeBytes, Descriptor.Hash) == (other.Index, other.Term, other.SizeBytes, other.Hash);
    }

    /// <summary>How long a snapshot takes to be written and synced; the same for the end of receiving one.</summary>
    public Func<TimeSpan> SnapshotTime { get; set; } = () => TimeSpan.Zero;

    /// <summary>Whether what came of a snapshot is still there after a crash: both are allowed.</summary>
    public bool KeepsPartAfterCrash { get; set; }

    /// <summary>In force; null when none was taken.</summary>
    public SnapshotDescriptor? Snapshot { get; private set; }

    /// <summary>The ids of all files that are complete, in force or not.</summary>
    public IReadOnlyCollection<string> SnapshotFiles => _files.Keys;

    /// <summary>How many bytes of a snapshot on its way in are there; null when there is none.</summary>
    public long? PartBytes => _partial?.Bytes.Length;

    /// <summary>Changes a byte of a stored snapshot.</summary>
    public void DamageSnapshot(string id, int offset) => _files[id].Bytes[offset] ^= 0x10;

    /// <summary>A complete file without any server's doing, for <see cref="Store"/> to name.</summary>
    public SnapshotFile StoreSnapshotFile(byte[] content) => new(AddFile(content, index: null), content.Length, XxHash128.HashToUInt128(content));

    /// <summary>At a start: a file that the log does not name is deleted.</summary>
    private void DeleteUnnamedFiles()
    {
        foreach (string id in _files.Keys.Where(id => id != Snapshot?.SnapshotId).ToArray())
            _files.Remove(id);
        if (!KeepsPartAfterCrash)
            _partial = null;
    }

    /// <summary>The descriptor is durable: what was complete before its file will never be named again.</summary>
    private void PutInForce(SnapshotDescriptor descriptor)
    {
        if (!_files.TryGetValue(descriptor.SnapshotId, out Stored? named))
            throw new InvalidOperationException($"Snapshot {descriptor.SnapshotId} is in force without a file.");

        Snapshot = descriptor;
        foreach ((string id, Stored file) in _files.ToArray())
        {
            if (file.Order < named.Order && !(file.Index > descriptor.Index))
                _files.Remove(id);
        }

        if (_partial?.Descriptor.Index <= descriptor.Index)
            AbandonPart();
    }

    /// <summary>Nothing is left of what came, and its receiver finds out.</summary>
    public void AbandonPart()
    {
        if (_partial is { } part)
            part.Owner = null;
        _partial = null;
    }

    private string AddFile(byte[] bytes, LogIndex? index)
    {
        int order = ++_fileNumber;
        string id = $"snapshot-{order}";
        _files.Add(id, new Stored(order, bytes, index));
        return id;
    }

    internal sealed partial class SimulatedStorage
    {
        public async Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation)
        {
            if (disk.LacksRoom)
                throw new OutOfSpaceException("The disk has no room for a snapshot.");
            using var content = new MemoryStream();
            await picture.WriteAsync(content, cancellation);
            cancellation.ThrowIfCancellationRequested();
            return await AddFileAsync(content.ToArray(), index: null);
        }

        public ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation)
        {
            ThrowIfGone();
            if (disk.LacksRoom)
                return ValueTask.FromException<ISnapshotReceiver>(new OutOfSpaceException("The disk has no room for a snapshot."));
            if (disk._partial?.IsOf(descriptor) != true)
                disk._partial = new Received(descriptor);
            return new(new Receiver(this, disk._partial));
        }

        public ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation)
        {
            ThrowIfGone();
            if (!disk._files.TryGetValue(descriptor.SnapshotId, out Stored? file) || file.Bytes.Length != descriptor.SizeBytes)
                throw Damaged(descriptor.SnapshotId, "it is not there, or not whole");
            return new(new Reader(descriptor, file.Bytes));
        }

        /// <summary>After the time that a disk takes, unless the power goes first.</summary>
        private Task<SnapshotFile> AddFileAsync(byte[] bytes, LogIndex? index, Action? andThen = null)
        {
            var done = new TaskCompletionSource<SnapshotFile>(TaskCreationOptions.RunContinuationsAsynchronously);
            disk._schedule(disk.SnapshotTime(), Finish);
            return done.Task;

            void Finish()
            {
                if (disk._current != this)
                    return;                         // lost with the crash: nobody is there to be told
                if (disk._isHeld)
                {
                    disk._heldSnapshots.Add(Finish);
                    return;
                }

                if (disk.IsFailing)
                {
                    done.SetException(new IOException("The disk has failed."));
                    return;
                }

                andThen?.Invoke();
                done.SetResult(new SnapshotFile(disk.AddFile(bytes, index), bytes.Length, XxHash128.HashToUInt128(bytes)));
            }
        }

        /// <summary>The engine's mistakes are refused when they are made.</summary>
        private void Check(PersistRequest? request)
        {
            if (request?.Snapshot is { } snapshot)
            {
                if (snapshot.Index < _newestSnapshot)
                    throw new ArgumentException($"The snapshot at {snapshot.Index} is older than the one at {_newestSnapshot}.", nameof(request));
                _newestSnapshot = snapshot.Index;
            }

            if (request?.DeleteThrough > _newestSnapshot)
                throw new ArgumentException($"No snapshot covers the log up to {request.DeleteThrough}.", nameof(request));
        }

        private void ThrowIfGone()
        {
            if (disk.IsFailing || disk._current != this)
                throw new IOException("The disk has failed.");
        }

        private static CorruptStorageException Damaged(string id, string detail) => new(id, 0, detail, "Take it from another server.");

        private sealed class Receiver : ISnapshotReceiver
        {
            private readonly SimulatedStorage _storage;
            private readonly Received _part;

            public Receiver(SimulatedStorage storage, Received part)
            {
                (_storage, _part) = (storage, part);
                part.Owner = this;
            }

            public long NextOffset => _part.Bytes.Length;

            public ValueTask WriteAsync(ReadOnlyMemory<byte> chunk, CancellationToken cancellation)
            {
                ThrowUnlessOwned();
                if (_part.Bytes.Length + chunk.Length > _part.Descriptor.SizeBytes)
                    throw new InvalidDataException($"More than its {_part.Descriptor.SizeBytes} bytes came.");
                _part.Bytes.Write(chunk.Span);
                return ValueTask.CompletedTask;
            }

            public async Task<SnapshotFile> CompleteAsync(CancellationToken cancellation)
            {
                ThrowUnlessOwned();
                byte[] bytes = _part.Bytes.ToArray();
                if (bytes.Length != _part.Descriptor.SizeBytes || XxHash128.HashToUInt128(bytes) != _part.Descriptor.Hash)
                    throw Refuse("Size or hash differ from what the descriptor says.");
                return await _storage.AddFileAsync(bytes, _part.Descriptor.Index, andThen: Forget);
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;

            private InvalidDataException Refuse(string why)
            {
                Forget();
                return new InvalidDataException(why);
            }

            private void Forget()
            {
                if (_storage.Disk._partial == _part)
                    _storage.Disk._partial = null;
                _part.Owner = null;
            }

            private void ThrowUnlessOwned()
            {
                _storage.ThrowIfGone();
                if (_part.Owner != this || _storage.Disk._partial != _part)
                    throw new OperationCanceledException("Another receiver has taken over, or nothing is left to receive.");
            }
        }

        private sealed class Reader(SnapshotDescriptor descriptor, byte[] bytes) : ISnapshotReader
        {
            public long SizeBytes => bytes.Length;

            public ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellation)
            {
                if (XxHash128.HashToUInt128(bytes) != descriptor.Hash)
                    throw Damaged(descriptor.SnapshotId, "its hash does not fit");
                int count = (int)Math.Clamp(bytes.Length - offset, 0, buffer.Length);
                bytes.AsMemory((int)Math.Min(offset, bytes.Length), count).CopyTo(buffer);
                return new(count);
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}

using System.Buffers.Binary;
using System.IO.Hashing;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>Reads one snapshot file and verifies what it reads. One thread at a time.</summary>
internal sealed class SnapshotFileReader : IDisposable
{
    private readonly IStorageFile _file;
    private readonly ulong _seed;
    private readonly byte[] _block = GC.AllocateUninitializedArray<byte>(SnapshotFormat.StoredBlockBytes);
    private readonly SnapshotDescriptor _descriptor;

    /// <exception cref="Engine.Errors.CorruptStorageException">Header or footer do not fit the descriptor.</exception>
    public SnapshotFileReader(IStorageFile file, SnapshotDescriptor descriptor, ulong seed)
    {
        _file = file;
        _descriptor = descriptor;
        _seed = seed;
        long wanted = SnapshotFormat.FileBytes(Size), length = file.Length;
        if (length != wanted)
            throw Damage.In(file.Path, length, $"the file has {length} bytes, and not {wanted}");
        Compare(0, SnapshotFormat.Header(seed), "header");
        Compare(SnapshotFormat.OffsetOfFooter(Size), SnapshotFormat.Footer(Size, descriptor.Hash, seed), "footer");
    }

    public long Size => _descriptor.SizeBytes;

    /// <exception cref="Engine.Errors.CorruptStorageException">A block's hash does not fit.</exception>
    public int Read(long offset, Span<byte> buffer)
    {
        int done = 0;
        while (done < buffer.Length && offset + done < Size)
        {
            (long block, long within) = Math.DivRem(offset + done, SnapshotFormat.BlockBytes);
            ReadOnlySpan<byte> content = ReadBlock(block)[(int)within..];
            int count = Math.Min(content.Length, buffer.Length - done);
            content[..count].CopyTo(buffer[done..]);
            done += count;
        }

        return done;
    }

    /// <summary>Reads all of it once. The hash of the whole is compared too: it is what other servers go by.</summary>
    public void VerifyAll()
    {
        var hash = new XxHash128();
        for (long block = 0; block < SnapshotFormat.BlocksOf(Size); block++)
            hash.Append(ReadBlock(block));
        if (hash.GetCurrentHashAsUInt128() != _descriptor.Hash)
            throw Damage.In(_file.Path, 0, "the hash of the content does not fit");
    }

    public void Dispose() => _file.Dispose();

    private ReadOnlySpan<byte> ReadBlock(long block)
    {
        int count = (int)Math.Min(SnapshotFormat.BlockBytes, Size - block * SnapshotFormat.BlockBytes) + SnapshotFormat.HashBytes;
        long offset = SnapshotFormat.OffsetOfBlock(block);
        Span<byte> stored = _block.AsSpan(0, count);
        if (_file.Read(offset, stored) != count
            || BinaryPrimitives.ReadUInt64LittleEndian(stored) != SnapshotFormat.HashOfBlock(stored[SnapshotFormat.HashBytes..], block, _seed))
            throw Damage.In(_file.Path, offset, $"block {block} of the snapshot does not fit its hash");
        return stored[SnapshotFormat.HashBytes..];
    }

    private void Compare(long offset, byte[] wanted, string what)
    {
        byte[] found = new byte[wanted.Length];
        if (_file.Read(offset, found) != found.Length || !found.AsSpan().SequenceEqual(wanted))
            throw Damage.In(_file.Path, offset, $"the snapshot's {what} is not what it should be");
    }
}

/// <summary>An open snapshot; its file stays until this is disposed.</summary>
internal sealed class SnapshotReader(SnapshotFileReader file, SnapshotThread thread, Action onDisposed) : ISnapshotReader
{
    private int _isDisposed;

    public long SizeBytes => file.Size;

    public async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellation)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        cancellation.ThrowIfCancellationRequested();
        return await thread.RunAsync(() => file.Read(offset, buffer.Span));     // the buffer is ours until then
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            onDisposed();
        return ValueTask.CompletedTask;
    }
}

using System.Buffers.Binary;
using System.IO.Hashing;

namespace Raft.Host.Storage;

/// <summary>Writes one snapshot file in pieces of 1 MiB, each synced: one long sync would hold up the write-ahead log's.
/// Filling is anybody's, one call at a time; writing is the snapshot writer thread's.</summary>
internal sealed class SnapshotFileWriter : IDisposable
{
    private readonly IStorageFile _file;
    private readonly ulong _seed;
    private readonly XxHash128 _hash = new();
    private readonly byte[] _piece;
    private readonly int _pieceBytes;               // of content
    private int _filled;                            // bytes of content in the piece
    private long _written;                          // and before it, in the file

    public SnapshotFileWriter(IStorageFile file, ulong seed, int pieceBlocks)
    {
        _piece = GC.AllocateUninitializedArray<byte>(pieceBlocks * SnapshotFormat.StoredBlockBytes);
        _pieceBytes = pieceBlocks * SnapshotFormat.BlockBytes;
        _file = file;
        _seed = seed;
        file.Write(0, SnapshotFormat.Header(seed));
    }

    /// <summary>Bytes of content so far.</summary>
    public long Size => _written + _filled;

    public UInt128 Hash => _hash.GetCurrentHashAsUInt128();

    /// <summary>The piece must be written before more is filled in.</summary>
    public bool IsFull => _filled == _pieceBytes;

    /// <summary>Takes as much as the piece has room for; says how much.</summary>
    public int Fill(ReadOnlySpan<byte> bytes)
    {
        int done = 0;
        while (done < bytes.Length && !IsFull)
        {
            (int block, int within) = Math.DivRem(_filled, SnapshotFormat.BlockBytes);
            int count = Math.Min(bytes.Length - done, SnapshotFormat.BlockBytes - within);
            bytes.Slice(done, count).CopyTo(_piece.AsSpan(block * SnapshotFormat.StoredBlockBytes + SnapshotFormat.HashBytes + within));
            done += count;
            _filled += count;
        }

        _hash.Append(bytes[..done]);
        return done;
    }

    /// <summary>Writes and syncs what was filled in; only the last piece may be partly full.</summary>
    public void WritePiece()
    {
        if (_filled == 0)
            return;
        long firstBlock = _written / SnapshotFormat.BlockBytes;
        int stored = 0;
        for (int block = 0, done = 0; done < _filled; block++)
        {
            int count = Math.Min(SnapshotFormat.BlockBytes, _filled - done), at = block * SnapshotFormat.StoredBlockBytes;
            ulong hash = SnapshotFormat.HashOfBlock(_piece.AsSpan(at + SnapshotFormat.HashBytes, count), firstBlock + block, _seed);
            BinaryPrimitives.WriteUInt64LittleEndian(_piece.AsSpan(at), hash);
            done += count;
            stored = at + SnapshotFormat.HashBytes + count;
        }

        _file.Write(SnapshotFormat.OffsetOfBlock(firstBlock), _piece.AsSpan(0, stored));
        _file.Sync();
        _written += _filled;
        _filled = 0;
    }

    /// <summary>The end: the rest and the footer, synced.</summary>
    public void Finish()
    {
        WritePiece();
        _file.Write(SnapshotFormat.OffsetOfFooter(_written), SnapshotFormat.Footer(_written, Hash, _seed));
        _file.Sync();
    }

    public void Dispose() => _file.Dispose();
}

/// <summary>What a picture of a state machine writes into: a piece is filled on the caller's thread, and written on the snapshot
/// writer thread while the caller waits.</summary>
internal sealed class SnapshotStream(SnapshotFileWriter writer, SnapshotThread thread) : Stream
{
    /// <summary>Set when there was no room for what was written: the file is worth nothing then, whatever the state machine makes of
    /// the exception.</summary>
    public StorageFailedException? Shortage { get; private set; }

    public override bool CanRead => false;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => writer.Size;

    public override long Position
    {
        get => writer.Size;
        set => throw new NotSupportedException();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Shortage is { } shortage)
                throw shortage;
            buffer = buffer[writer.Fill(buffer.Span)..];
            if (!writer.IsFull)
                continue;
            try
            {
                await thread.RunAsync(writer.WritePiece, mayLackRoom: true);
            }
            catch (StorageFailedException error) when (error.IsOutOfSpace)
            {
                Shortage = error;
                throw;
            }
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            if (Shortage is { } shortage)
                throw shortage;
            buffer = buffer[writer.Fill(buffer)..];
            if (!writer.IsFull)
                continue;
            try
            {
                thread.Run(writer.WritePiece, mayLackRoom: true);       // aside: see SnapshotFiles.WriteAsync
            }
            catch (StorageFailedException error) when (error.IsOutOfSpace)
            {
                Shortage = error;
                throw;
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Nothing to do: a piece is written when it is full, the last one at the end.</summary>
    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}

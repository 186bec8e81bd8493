using Raft.Engine.Plugins;
using Raft.Engine.Shards;

namespace Raft.Engine.Server;

/// <summary>A snapshot file as the stream that a state machine loads: forward only, read only.</summary>
internal sealed class SnapshotStream(ISnapshotReader reader, IShard shard) : Stream
{
    private long _position;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count = await reader.ReadAsync(_position, buffer, cancellationToken);
        _position += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count)
    {
        // A state machine that loads on a thread of its own may block there. On the shard everybody would stand still, and
        // what the read waits for may need the shard.
        ValueTask<int> read = reader.ReadAsync(_position, buffer.AsMemory(offset, count), CancellationToken.None);
        if (!read.IsCompleted && shard.IsCurrent)
            throw new NotSupportedException("A state machine that loads on the shard's thread must read asynchronously.");

        int done = read.AsTask().GetAwaiter().GetResult();
        _position += done;
        return done;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

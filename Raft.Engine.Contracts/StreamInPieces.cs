namespace Raft.Engine.Contracts;

/// <summary>As a network or a disk: a piece at a time, and something else happens in between. Neither length nor position is known.</summary>
internal sealed class StreamInPieces : Stream
{
    private readonly MemoryStream _bytes;
    private readonly Func<Task> _between;
    private readonly Random? _random;

    /// <summary>To be written.</summary>
    public StreamInPieces(Func<Task> between)
    {
        _bytes = new MemoryStream();
        _between = between;
    }

    /// <summary>To be read.</summary>
    public StreamInPieces(byte[] content, Random random)
    {
        _bytes = new MemoryStream(content, writable: false);
        _between = () => Task.CompletedTask;
        _random = random;
    }

    public override bool CanRead => _random is not null;
    public override bool CanWrite => _random is null;
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public byte[] ToArray() => _bytes.ToArray();

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await _between();
        cancellationToken.ThrowIfCancellationRequested();
        _bytes.Write(buffer.Span);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(Read(buffer.Span));

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        Task.FromResult(Read(buffer.AsSpan(offset, count)));

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer) =>
        _bytes.Read(buffer.Length == 0 ? buffer : buffer[..(_random ?? throw new NotSupportedException()).Next(1, Math.Min(buffer.Length, 700) + 1)]);

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}

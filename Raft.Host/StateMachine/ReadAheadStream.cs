namespace Raft.Host.StateMachine;

/// <summary>Reads a stream in larger pieces than it is asked for; forward only. Not BufferedStream: that one goes on on the thread
/// pool after each wait, where a simulation cannot follow.</summary>
internal sealed class ReadAheadStream(Stream content, int bytes) : Stream
{
    private readonly byte[] _buffer = new byte[bytes];
    private int _next;
    private int _end;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_next == _end)
        {
            if (buffer.Length >= _buffer.Length)
                return await content.ReadAsync(buffer, cancellationToken);
            _next = 0;
            _end = await content.ReadAsync(_buffer, cancellationToken);
        }

        int count = Math.Min(buffer.Length, _end - _next);
        _buffer.AsSpan(_next, count).CopyTo(buffer.Span);
        _next += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

namespace Raft.Engine.Server;

/// <summary>So many bytes a second for all who send, in order: a bucket that is filled at ticks. Only on the shard.</summary>
/// <remarks>Whoever finds something in the bucket may overdraw it; the next one waits until that is paid back.</remarks>
internal sealed class SendThrottle
{
    private const int ChunkBytesMin = 4 << 10;

    private readonly long _bytesPerSecond;
    private readonly double _bucketBytes;
    private readonly Queue<Turn> _waiting = new();
    private double _bytes;

    /// <param name="bytesPerSecond">0: no limit.</param>
    /// <param name="tick">How often it is filled; it holds what comes in two of these.</param>
    public SendThrottle(long bytesPerSecond, TimeSpan tick)
    {
        _bytesPerSecond = bytesPerSecond;
        _bucketBytes = _bytes = Math.Max(1, bytesPerSecond * 2 * tick.TotalSeconds);
    }

    /// <summary>A chunk should not take longer than a quarter of a second of what is allowed.</summary>
    public int Limit(int chunkBytes) => _bytesPerSecond == 0
        ? chunkBytes
        : (int)Math.Clamp(_bytesPerSecond / 4, Math.Min(ChunkBytesMin, chunkBytes), chunkBytes);

    public Task TakeAsync(int bytes, CancellationToken cancellation)
    {
        if (_bytesPerSecond == 0)
            return Task.CompletedTask;
        if (_waiting.Count > 0 || _bytes <= 0)
            return WaitAsync(bytes, cancellation);

        _bytes -= bytes;
        return Task.CompletedTask;
    }

    public void Refill(TimeSpan elapsed)
    {
        _bytes = Math.Min(_bucketBytes, _bytes + (_bytesPerSecond * elapsed.TotalSeconds));
        while (_bytes > 0 && _waiting.TryDequeue(out Turn? turn))
        {
            if (turn.TrySetResult())
                _bytes -= turn.Bytes;
        }
    }

    private async Task WaitAsync(int bytes, CancellationToken cancellation)
    {
        var turn = new Turn(bytes);
        _waiting.Enqueue(turn);
        using CancellationTokenRegistration gaveUp = cancellation.UnsafeRegister(static state => ((Turn)state!).TrySetCanceled(), turn);
        await turn.Task;
    }

    private sealed class Turn(int bytes) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public int Bytes { get; } = bytes;
    }
}

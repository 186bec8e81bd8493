namespace Raft.Host.StateMachine;

/// <summary>The lines of a batch: ended by LF or CRLF; blanks after the last one are no line. The state machine and whoever
/// checks a batch before must cut alike, so both use this.</summary>
internal ref struct Lines(ReadOnlySpan<byte> batch)
{
    private readonly ReadOnlySpan<byte> _batch = batch.TrimEnd(" \t\r\n"u8);
    private int _next;

    /// <summary>Where the line is within the batch.</summary>
    public Range Current { get; private set; }

    public bool MoveNext()
    {
        if (_next > _batch.Length || (_next == 0 && _batch.IsEmpty))
            return false;

        int length = _batch[_next..].IndexOf((byte)'\n');
        int end = length < 0 ? _batch.Length : _next + length;
        int lineEnd = end > _next && _batch[end - 1] == (byte)'\r' ? end - 1 : end;
        Current = _next..lineEnd;
        _next = end + 1;
        return true;
    }
}

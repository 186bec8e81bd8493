namespace Raft.Host.Peers;

/// <summary>Frames of one group that leave together.</summary>
internal sealed class SendSegment(FrameWriter writer)
{
    private volatile bool _isTaken;

    public FrameWriter Writer => writer;

    /// <summary>It may have left. What waits when its connection ends never does.</summary>
    public bool IsTaken
    {
        get => _isTaken;
        set => _isTaken = value;
    }
}

/// <summary>What one group has in a <see cref="SendQueue"/>, in order. Under the queue's lock.</summary>
internal sealed class SendLane
{
    private readonly Queue<SendSegment> _segments = new();

    public long Bytes { get; private set; }

    /// <summary>It stands in the queue of turns.</summary>
    public bool HasTurn { get; set; }

    /// <summary>What is being filled; null: nothing waits.</summary>
    public SendSegment? Last { get; private set; }

    public int FirstBytes => _segments.TryPeek(out SendSegment? first) ? first.Writer.Length : 0;

    /// <summary>A frame was written to the segment, which may be a new one.</summary>
    public void Added(SendSegment segment, int bytes)
    {
        Bytes += bytes;
        if (segment == Last)
            return;

        _segments.Enqueue(segment);
        Last = segment;
    }

    public SendSegment? TryTake()
    {
        if (!_segments.TryDequeue(out SendSegment? first))
            return null;

        Bytes -= first.Writer.Length;
        if (_segments.Count == 0)
            Last = null;
        return first;
    }
}

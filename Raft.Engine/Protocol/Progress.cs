namespace Raft.Engine.Protocol;

internal enum ProgressState
{
    /// <summary>Where the logs meet is not known: one message, then wait for an answer or a tick.</summary>
    Probe,

    /// <summary>Optimistic: many appends under way, bounded by number and bytes.</summary>
    Pipeline,

    /// <summary>The log no longer holds what this peer needs.</summary>
    Snapshot,
}

/// <summary>One member as the leader sees it. Rule 5.</summary>
internal sealed class Progress(ServerId id)
{
    private readonly Queue<(LogIndex Last, long Bytes)> _inFlight = new();

    public ServerId Id { get; } = id;

    /// <summary>A voter of either set of the configuration in force.</summary>
    public bool CanVote { get; set; }

    public ProgressState State { get; private set; }

    /// <summary>Known to match our log and durable there; never falls.</summary>
    public LogIndex MatchIndex { get; private set; }

    /// <summary>The next index to send; always above <see cref="MatchIndex"/>.</summary>
    public LogIndex NextIndex { get; private set; }

    /// <summary>The highest commit index that an append to this peer carried, and that it has confirmed.</summary>
    public LogIndex CommitSent { get; set; }
    public LogIndex CommitKnown { get; set; }

    /// <summary>The start count of what was heard of it last. A later start knows of no commit but its snapshot's.</summary>
    public long HeardStart { get; private set; }

    /// <summary>Forwarded calls wait there for this commit index.</summary>
    public LogIndex WaitsFor { get; set; }

    public int InFlightCount => _inFlight.Count;
    public long InFlightBytes { get; private set; }

    /// <summary>PROBE: a message is under way; cleared by an answer or a tick.</summary>
    public bool IsProbeUnderWay { get; set; }

    /// <summary>An empty append is due at the next poll, unless entries go out anyway.</summary>
    public bool IsEmptyAppendDue { get; set; }

    /// <summary>Nothing was acknowledged for a tick although something is under way: it may be lost.</summary>
    public bool IsLossCheckDue { get; set; }

    /// <summary>Older entries are being read from our disk for this peer; it is paused.</summary>
    public bool IsReading { get; set; }
    public LogIndex ReadFrom { get; set; }

    /// <summary>The last read failed; the next one is tried after a tick.</summary>
    public bool IsReadBlocked { get; set; }

    /// <summary>Something was sent that has not been answered by anything yet.</summary>
    public bool IsAnswerDue { get; set; }
    public bool WasHeard { get; set; }
    public bool HasAcknowledged { get; set; }

    /// <summary>Since the last tick nothing says that it still follows us: no message, no fresh frame.</summary>
    public bool IsInDoubt { get; set; }

    /// <summary>For how many ticks it was not alive, or silent although an answer was due. Rule 4.</summary>
    public long DeadTicks { get; set; }

    /// <summary>The last read round that it confirmed.</summary>
    public ReadId ReadConfirmed { get; set; }

    /// <summary>SNAPSHOT: a transfer is under way; or the last one failed, and the next one is tried after a tick.</summary>
    public bool IsSnapshotUnderWay { get; set; }
    public bool IsSnapshotBlocked { get; set; }

    /// <summary>It becomes a voter when it has caught up.</summary>
    public bool IsJoining { get; set; }

    /// <summary>Joining: a round ends when it has what the log held when the round began. Rule 8, PhD 4.2.1</summary>
    public LogIndex RoundEnd { get; set; }
    public long RoundTicks { get; set; }

    /// <summary>Joining: so many rounds in a row were short and ended close behind the commit index.</summary>
    public int CaughtUpRounds { get; set; }

    /// <summary>The start count of its last acknowledgement, and what that one said is durable. Rule 13.</summary>
    public long AcknowledgedStart { get; set; }
    public LogIndex AcknowledgedIndex { get; set; }

    /// <summary>After a restart it lacked what it had acknowledged: its disk has lost data, perhaps votes as well. What it
    /// acknowledged counts in no quorum any more. Rule 13.</summary>
    public bool HasLostData { get; set; }

    /// <summary>So often it was asked to take leadership over, in this leadership, and did not. Rule 10</summary>
    public int FailedTransfers { get; set; }

    /// <summary>No member any more: for so many ticks it is still told so. Rule 8.</summary>
    public long DepartingTicks { get; set; }

    /// <summary>When it knows this index committed, it knows of its removal.</summary>
    public LogIndex DepartedAt { get; set; }

    /// <summary>It answered what was asked of it.</summary>
    public void OnAnswer()
    {
        WasHeard = true;
        IsAnswerDue = false;
    }

    /// <summary>A message of any kind came from this start of it.</summary>
    public void OnStart(long start)
    {
        if (start <= HeardStart)
            return;
        HeardStart = start;
        CommitKnown = LogIndex.Zero;
    }

    public void StartProbing(LogIndex next)
    {
        Invariant.Holds(next > MatchIndex);
        State = ProgressState.Probe;
        NextIndex = next;
        IsProbeUnderWay = false;
        IsReading = false;
        _inFlight.Clear();
        InFlightBytes = 0;
    }

    public void StartPipeline(LogIndex next)
    {
        Invariant.Holds(next > MatchIndex);
        State = ProgressState.Pipeline;
        NextIndex = next;
        IsProbeUnderWay = false;
    }

    public void WaitForSnapshot()
    {
        State = ProgressState.Snapshot;
        NextIndex = MatchIndex.Next;
        IsSnapshotUnderWay = false;
        IsSnapshotBlocked = false;
        IsReading = false;
        IsAnswerDue = false;
        _inFlight.Clear();
        InFlightBytes = 0;
    }

    /// <summary>PIPELINE: these are under way, go on behind them.</summary>
    public void OnSent(LogIndex last, long bytes)
    {
        Invariant.Holds(last >= NextIndex);
        NextIndex = last.Next;
        _inFlight.Enqueue((last, bytes));
        InFlightBytes += bytes;
    }

    /// <summary>Raises the match index and frees what it covers; an older acknowledgement changes nothing.</summary>
    public bool Acknowledge(LogIndex match)
    {
        if (match <= MatchIndex)
            return false;

        MatchIndex = match;
        NextIndex = LogIndex.Max(NextIndex, match.Next);
        while (_inFlight.TryPeek(out (LogIndex Last, long Bytes) oldest) && oldest.Last <= match)
        {
            InFlightBytes -= oldest.Bytes;
            _inFlight.Dequeue();
        }

        return true;
    }
}

using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>The time of a group's log: what the leader stamps the next entry with. Decision 11.</summary>
/// <remarks>
/// The log's time runs by the monotonic clock from the last stamp, and is moved only as far as somebody confirms: up to where the
/// clocks of a quorum of voters have come at least, down to where a quorum has come at most. The leader's own clock may differ
/// from that by <see cref="RaftServerSettings.MaxClockLeap"/>, and does not count beyond that. Where no quorum of clocks is known (a
/// sole voter, peers of an older release) the own clock counts once it ran evenly for <see cref="RaftServerSettings.ClockConfirmation"/>;
/// that of a sole voter counts at once at its start, where nothing but that clock knows how long it was down.
/// Stamps never fall. A log that is ahead of the confirmed time goes on at half speed, so that ages go on and real time catches up.
/// Only on the shard.
/// </remarks>
internal sealed class LogClock(TimeProvider time, TimeSpan maxLeap, TimeSpan confirmation)
{
    private const long EvenMs = 1_000;                      // by so much an even clock may stray from the monotonic one

    private static readonly TimeSpan ReviewInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(1);

    private readonly long _maxLeapMs = (long)maxLeap.TotalMilliseconds;

    private long? _anchorMs;        // where the log's time was at _anchorAt; null: the log is empty
    private long _anchorAt;
    private long _offsetMs;
    private long _lastMs;           // the last stamp of the log
    private long _lastAt;
    private bool _isFirst = true;   // nothing but the disk has spoken yet
    private bool _isConfirmed;      // as of the last review
    private bool _isSole;
    private Term? _term;            // that this server leads in, as of the last review
    private long _leadsAt;
    private long _reviewedAt;
    private long? _evenDifferenceMs;
    private long _evenSince;
    private long? _differsSince;
    private long? _aheadSince;
    private bool _isSlow;           // the next stamp is that of a log that is ahead
    private readonly List<long> _clocks = [];

    /// <summary>By how much the log's stamps are ahead of the clock on purpose: a correction that the log holds.</summary>
    public long OffsetMs
    {
        get => _offsetMs;
        set
        {
            if (value == _offsetMs)
                return;

            // What was measured under the former offset says nothing any more.
            _offsetMs = value;
            _aheadSince = null;
            AheadMs = 0;
        }
    }

    /// <summary>By how much the own clock is ahead of (below 0: behind) what is confirmed, when that is more than is allowed; else 0.</summary>
    public long RefusedMs { get; private set; }

    /// <summary>By how much the log is ahead of the confirmed time, once it was for as long as a clock takes to be confirmed; else 0.</summary>
    public long AheadMs { get; private set; }

    /// <summary>Looks at the log: entries of others came, or were truncated.</summary>
    public void Observe(long lastTimeMs)
    {
        if (lastTimeMs == _lastMs)
            return;

        _isFirst &= _lastMs == 0 && _anchorMs is null;      // the state that was loaded is no news
        _lastMs = lastTimeMs;
        _lastAt = _anchorAt = time.GetTimestamp();
        _anchorMs = lastTimeMs;
    }

    /// <summary>The server does not lead: whatever is refused is no longer its business.</summary>
    public void Rest()
    {
        _term = null;
        _evenDifferenceMs = null;
        _differsSince = _aheadSince = null;
        (RefusedMs, AheadMs) = (0, 0);
    }

    public bool IsReviewDue(Term term) => _term != term || time.GetElapsedTime(_reviewedAt) >= ReviewInterval;

    /// <summary>On the leader, now and then: asks the clocks. True when a leap is refused that was not before.</summary>
    public bool Review(Term term, Configuration configuration, ServerId self, IPeerLiveness liveness)
    {
        long now = time.GetTimestamp();
        if (_term != term)
            (_term, _leadsAt) = (term, now);
        if (time.GetElapsedTime(_reviewedAt, now) > 2 * ReviewInterval)
            _evenDifferenceMs = null;   // this process stood still: nothing has shown that its clock ran evenly
        _reviewedAt = now;
        long own = Own();
        NoteEvenness(own - OffsetMs, now);

        bool isTrusted = time.GetElapsedTime(_evenSince, now) >= confirmation;
        _isSole = !configuration.IsJoint && VotersIn(configuration.Current) == 1;
        (long atLeast, long atMost) = (long.MinValue, long.MaxValue);
        _isConfirmed = !_isSole && TryAsk(configuration, self, own, liveness, out atLeast, out atMost);
        if (_isConfirmed && (own > atMost + _maxLeapMs || own < atLeast - _maxLeapMs))
            _evenSince = now;           // a clock that a quorum denies is not believed once that quorum is silent for a moment
        if (!_isConfirmed)
        {
            _isConfirmed = isTrusted;
            if (isTrusted || (_isSole && _isFirst))
                atLeast = atMost = own;
            else
                (atLeast, atMost) = (long.MinValue, long.MaxValue);
        }

        _isFirst = false;
        long anchor = Math.Clamp(Anchor(now) ?? own, atLeast, atMost);
        if (_anchorMs is not null || atLeast != long.MinValue)
            (_anchorMs, _anchorAt) = (anchor, now);     // an empty log waits for the first clocks
        return Judge(own - anchor, _lastMs - anchor, now);
    }

    /// <summary>False: the clocks that must confirm it have not been heard yet, and will be within a moment.</summary>
    public bool TryNext(out long stampMs)
    {
        long now = time.GetTimestamp();
        long own = Own();
        long anchor = Anchor(now) ?? own;
        long allowed = Math.Abs(own - anchor) <= _maxLeapMs ? own : anchor;
        _isSlow = allowed < _lastMs;
        stampMs = _isSlow ? _lastMs + (Milliseconds(_lastAt, now) / 2) : allowed;
        return (_anchorMs is not null && allowed == own) || _isConfirmed || _isSole || time.GetElapsedTime(_leadsAt, now) >= FirstWait;
    }

    /// <summary>An entry with that stamp is in the log.</summary>
    public void Stamped(long stampMs)
    {
        if (stampMs <= _lastMs)
            return;

        long now = time.GetTimestamp();
        _lastAt = _isSlow ? _lastAt + (2 * (stampMs - _lastMs) * time.TimestampFrequency / 1000) : now;   // halves of a millisecond add up
        _lastMs = stampMs;
        if (_anchorMs is null)
            (_anchorMs, _anchorAt) = (stampMs, now);
    }

    private long Own() => time.GetUtcNow().ToUnixTimeMilliseconds() + OffsetMs;

    private long? Anchor(long now) => _anchorMs is { } anchor ? anchor + Milliseconds(_anchorAt, now) : null;

    private long Milliseconds(long since, long now) => (long)time.GetElapsedTime(since, now).TotalMilliseconds;

    private void NoteEvenness(long ownMs, long now)
    {
        long difference = ownMs - Milliseconds(0, now);
        if (_evenDifferenceMs is { } before && Math.Abs(difference - before) <= EvenMs)
            return;

        _evenDifferenceMs = difference;
        _evenSince = now;
    }

    private bool Judge(long ownAheadMs, long logAheadMs, long now)
    {
        bool isKnown = _isConfirmed || _isSole || time.GetElapsedTime(_leadsAt, now) >= FirstWait;
        if (!isKnown || Math.Abs(ownAheadMs) <= _maxLeapMs)
            _differsSince = null;
        else
            _differsSince ??= now;

        // Frames that lay in a socket while this process stood still tell what a clock said before: the next ones tell better.
        long refused = _differsSince is { } differs && time.GetElapsedTime(differs, now) >= FirstWait ? ownAheadMs : 0;
        bool isNews = refused != 0 && RefusedMs == 0;
        RefusedMs = refused;

        if (!_isConfirmed || logAheadMs <= _maxLeapMs)
            _aheadSince = null;
        else
            _aheadSince ??= now;
        AheadMs = _aheadSince is { } since && time.GetElapsedTime(since, now) >= confirmation ? logAheadMs : 0;
        return isNews;
    }

    /// <summary>Of the clocks of the voters, of both sets while joint: where a quorum has come at least, and where at most.</summary>
    private bool TryAsk(Configuration configuration, ServerId self, long own, IPeerLiveness liveness, out long atLeast, out long atMost)
    {
        bool isKnown = TryAsk(configuration.Current, self, own, liveness, out atLeast, out atMost);
        if (!configuration.IsJoint || !isKnown)
            return isKnown;

        isKnown = TryAsk(configuration.Previous, self, own, liveness, out long least, out long most);
        atLeast = Math.Min(atLeast, least);
        atMost = Math.Max(atMost, most);
        return isKnown;
    }

    private bool TryAsk(IReadOnlyList<Member> members, ServerId self, long own, IPeerLiveness liveness, out long atLeast, out long atMost)
    {
        _clocks.Clear();
        for (int i = 0; i < members.Count; i++)
        {
            if (members[i].Kind != MemberKind.Voter)
                continue;
            if (members[i].Id == self)
                _clocks.Add(own);
            else if (liveness.ClockOf(members[i].Id) is { } clock)
                _clocks.Add(clock + OffsetMs);
        }

        int quorum = (VotersIn(members) / 2) + 1;
        (atLeast, atMost) = (long.MinValue, long.MaxValue);
        if (_clocks.Count < quorum)
            return false;

        _clocks.Sort();
        atLeast = _clocks[^quorum];
        atMost = _clocks[quorum - 1];
        return true;
    }

    private static int VotersIn(IReadOnlyList<Member> members)
    {
        int voters = 0;
        for (int i = 0; i < members.Count; i++)
            voters += members[i].Kind == MemberKind.Voter ? 1 : 0;
        return voters;
    }
}

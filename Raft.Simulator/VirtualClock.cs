namespace Raft.Simulator;

/// <summary>The clocks of one node: they run at a rate of their own, and the wall clock may be wrong by any time.</summary>
internal sealed class VirtualClock(VirtualTime time) : TimeProvider
{
    private double _rate = 1;
    private long _trueAt = time.Ticks;
    private long _ownAt = time.Ticks;

    /// <summary>Called before the wall clock is set, and after.</summary>
    public Action? Changing { get; set; }

    /// <summary>How much of its time passes in a true second.</summary>
    public double Rate
    {
        get => _rate;
        set
        {
            (_ownAt, _trueAt) = (GetTimestamp(), time.Ticks);
            _rate = value;
        }
    }

    /// <summary>By how much the wall clock is ahead.</summary>
    public TimeSpan WallOffset
    {
        get;
        set
        {
            Changing?.Invoke();
            field = value;
            Changing?.Invoke();
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => _rate == 1 && _ownAt == _trueAt ? time.Ticks : _ownAt + (long)((time.Ticks - _trueAt) * _rate);

    public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + WallOffset + TimeSpan.FromTicks(GetTimestamp() - time.Ticks);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        time.CreateTimer(callback, state, dueTime, period);

    public TimeSpan InTrueTime(TimeSpan own) => _rate == 1 ? own : TimeSpan.FromTicks((long)(own.Ticks / _rate));
}

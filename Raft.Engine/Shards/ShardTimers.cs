namespace Raft.Engine.Shards;

/// <summary>The timers of one shard. A group has one, so a plain list beats a wheel until there are thousands.</summary>
/// <remarks>All of one period tick together: three hundred groups wake the shard as often as one does. Only on the shard, but for Dispose, which may come from anywhere.</remarks>
internal sealed class ShardTimers(TimeProvider time)
{
    private readonly List<Timer> _timers = [];
    private long _nextDue = long.MaxValue;

    public IDisposable Start(TimeSpan period, Action work)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(period, TimeSpan.Zero);

        // A period beyond any life: the next one is due before the time stamps end.
        long ticks = (long)Math.Clamp(period.TotalSeconds * time.TimestampFrequency, 1, long.MaxValue / 4);
        Timer? other = _timers.Find(timer => timer.Period == ticks && !timer.IsDisposed);
        var timer = new Timer(work, ticks) { Due = other?.Due ?? time.GetTimestamp() + ticks };
        _timers.Add(timer);
        _nextDue = Math.Min(_nextDue, timer.Due);
        return timer;
    }

    /// <summary>How long until the next one is due; a bound when there is none.</summary>
    public TimeSpan UntilNext(TimeSpan bound)
    {
        if (_nextDue == long.MaxValue)
            return bound;

        long left = _nextDue - time.GetTimestamp();
        if (left <= 0)
            return TimeSpan.Zero;

        // Rounded up to a millisecond: the wait counts in milliseconds, and one that ends early would spin.
        TimeSpan wait = TimeSpan.FromMilliseconds(Math.Ceiling(left * 1000.0 / time.TimestampFrequency));
        return wait < bound ? wait : bound;
    }

    public void RunDue()
    {
        if (_nextDue == long.MaxValue)
            return;

        long now = time.GetTimestamp();
        if (now < _nextDue)
            return;

        _nextDue = long.MaxValue;
        for (int i = 0; i < _timers.Count; i++)
        {
            Timer timer = _timers[i];
            if (timer.IsDisposed)
            {
                _timers.RemoveAt(i--);
                continue;
            }

            if (timer.Due <= now)
            {
                // Missed ticks are not made up for: a paused process must not see ten ticks in a row.
                timer.Due += timer.Period;
                if (timer.Due <= now)
                    timer.Due = now + timer.Period;
                timer.Work();
            }

            _nextDue = Math.Min(_nextDue, timer.Due);
        }
    }

    private sealed class Timer(Action work, long period) : IDisposable
    {
        private volatile bool _isDisposed;

        public Action Work { get; } = work;
        public long Period { get; } = period;
        public long Due { get; set; }
        public bool IsDisposed => _isDisposed;

        public void Dispose() => _isDisposed = true;
    }
}

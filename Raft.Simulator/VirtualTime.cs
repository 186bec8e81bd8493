namespace Raft.Simulator;

/// <summary>Time that moves only when nothing else is left to do.</summary>
internal sealed class VirtualTime : TimeProvider
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public long Ticks { get; private set; } = TimeSpan.TicksPerSecond;
    public TimeSpan Now => TimeSpan.FromTicks(Ticks);
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    public override long GetTimestamp() => Ticks;
    public override DateTimeOffset GetUtcNow() => Start + Now;
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        throw new NotSupportedException("Timers come from IShard.");

    public void AdvanceTo(long ticks) => Ticks = Math.Max(Ticks, ticks);
}

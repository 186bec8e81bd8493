using Raft.Engine.Server;

namespace Raft.Engine.Tests.Server;

public sealed class SendThrottleTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);

    [Fact]
    public void Without_a_limit_nobody_waits()
    {
        var throttle = new SendThrottle(0, Tick);

        Assert.True(throttle.TakeAsync(1 << 30, default).IsCompletedSuccessfully);
        Assert.Equal(1 << 20, throttle.Limit(1 << 20));
    }

    [Fact]
    public async Task What_was_overdrawn_is_paid_back_before_the_next_turn()
    {
        var throttle = new SendThrottle(1_000, Tick);
        Assert.True(throttle.TakeAsync(350, default).IsCompleted);     // 100 are there
        Task first = throttle.TakeAsync(10, default);
        Task second = throttle.TakeAsync(10, default);

        for (int tick = 0; tick < 5; tick++)
            throttle.Refill(Tick);
        Assert.False(first.IsCompleted);
        throttle.Refill(Tick);

        await first;
        await second;
    }

    [Fact]
    public async Task Who_gives_up_costs_nothing()
    {
        var throttle = new SendThrottle(1_000, Tick);
        await throttle.TakeAsync(100, default);
        using var cancellation = new CancellationTokenSource();
        Task gone = throttle.TakeAsync(1_000_000, cancellation.Token);
        Task next = throttle.TakeAsync(10, default);

        await cancellation.CancelAsync();
        await Assert.ThrowsAsync<TaskCanceledException>(() => gone);
        throttle.Refill(Tick);

        await next;
    }

    [Fact]
    public void A_chunk_is_a_fraction_of_a_second() => Assert.Equal(4 << 10, new SendThrottle(1_000, Tick).Limit(512 << 10));
}

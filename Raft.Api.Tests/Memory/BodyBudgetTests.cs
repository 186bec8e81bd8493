using Raft.Host.Memory;

namespace Raft.Api.Tests.Memory;

public sealed class BodyBudgetTests
{
    private readonly BodyBudget _budget = new(maxBytes: 100);

    [Fact]
    public async Task Whoever_finds_no_room_waits_in_order_and_a_later_small_one_does_not_overtake()
    {
        IDisposable first = await _budget.TakeAsync(60, CancellationToken.None);
        Task<IDisposable> large = _budget.TakeAsync(80, CancellationToken.None);
        Task<IDisposable> small = _budget.TakeAsync(10, CancellationToken.None);
        Assert.False(large.IsCompleted);
        Assert.False(small.IsCompleted);

        first.Dispose();
        first.Dispose();    // once more does nothing

        using IDisposable second = await large;
        using IDisposable third = await small;
        Assert.Equal(90, _budget.HeldBytes);
    }

    [Fact]
    public async Task One_that_gives_up_lets_those_behind_it_in()
    {
        using IDisposable first = await _budget.TakeAsync(60, CancellationToken.None);
        using var cancellation = new CancellationTokenSource();
        Task<IDisposable> large = _budget.TakeAsync(80, cancellation.Token);
        Task<IDisposable> small = _budget.TakeAsync(40, CancellationToken.None);

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => large);
        (await small).Dispose();
        Assert.Equal(60, _budget.HeldBytes);
    }

    [Fact]
    public async Task A_body_larger_than_the_budget_passes_alone()
    {
        (await _budget.TakeAsync(500, CancellationToken.None)).Dispose();
        Assert.Equal(0, _budget.HeldBytes);
    }
}

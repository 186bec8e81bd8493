namespace Raft.Api.Tests.Peers;

/// <summary>Waits for a condition, never for a time.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    public static async Task HoldsAsync(Func<bool> condition, string what, Func<string>? explain = null)
    {
        long end = Environment.TickCount64 + (long)Bound.TotalMilliseconds;
        while (!condition())
        {
            Assert.True(Environment.TickCount64 < end, $"Waited {Bound.TotalSeconds} s for: {what}. {explain?.Invoke()}");
            await Task.Delay(10);
        }
    }
}

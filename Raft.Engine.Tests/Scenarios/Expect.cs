namespace Raft.Engine.Tests.Scenarios;

/// <summary>What would leave the world's thread when it came from the framework.</summary>
internal static class Expect
{
    /// <summary>As Task.WhenAll, whose continuations would leave the world's thread.</summary>
    public static async Task<T[]> AllAsync<T>(IEnumerable<Task<T>> tasks)
    {
        Task<T>[] all = [.. tasks];         // all begin before the first is awaited
        var results = new T[all.Length];
        for (int i = 0; i < all.Length; i++)
            results[i] = await all[i];
        return results;
    }

    /// <summary>As Assert.ThrowsAsync, but the continuation stays in the world.</summary>
    public static async Task<T> FailsAsync<T>(Task task)
        where T : Exception
    {
        try
        {
            await task;
        }
        catch (T error)
        {
            return error;
        }

        throw new Xunit.Sdk.XunitException($"Expected {typeof(T).Name}, but the call succeeded.");
    }
}

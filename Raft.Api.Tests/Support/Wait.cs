using System.Diagnostics;
using System.Net.Sockets;

namespace Raft.Api.Tests.Support;

/// <summary>Waits for conditions, within a bound that only a broken system meets.</summary>
internal static class Wait
{
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    /// <summary>Asks again and again. An exception of the network means "not yet" and is shown when the time is up.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition, string what, Func<string>? details = null, TimeSpan? bound = null)
    {
        var watch = Stopwatch.StartNew();
        Exception? last = null;
        while (true)
        {
            try
            {
                if (await condition())
                    return;
                last = null;
            }
            catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException)
            {
                last = error;
            }

            if (watch.Elapsed > (bound ?? Bound))
            {
                throw new TimeoutException(
                    $"Waited {watch.Elapsed.TotalSeconds:f0} s for: {what}. {last?.Message}{Environment.NewLine}{details?.Invoke()}");
            }

            await Task.Delay(20);
        }
    }

    public static Task UntilAsync(Func<bool> condition, string what, Func<string>? details = null, TimeSpan? bound = null) =>
        UntilAsync(() => Task.FromResult(condition()), what, details, bound);
}

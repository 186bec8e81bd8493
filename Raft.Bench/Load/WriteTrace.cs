using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Raft.Bench.Load;

/// <summary>Writes through whichever nodes there are just now, every key once, and when each was acknowledged: what matters here
/// is the longest time without any.</summary>
/// <remarks>A write that fails is not tried again: the next one goes to the next node.</remarks>
internal sealed class WriteTrace(Func<string[]> urls, int bytes)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<string, int> _errors = new();
    private readonly Lock _lock = new();
    private readonly Operation _put = Operations.Put(keys: int.MaxValue, bytes, prefix: "trace");
    private long _last = Stopwatch.GetTimestamp();
    private TimeSpan _longest;
    private long _next;
    private long _acknowledged;

    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    public string Errors => _errors.IsEmpty ? "none" : string.Join("; ", _errors.OrderByDescending(error => error.Value).Select(error => $"{error.Value} x {error.Key}"));

    /// <summary>As an operation of a load; the url that it is given is not used.</summary>
    public async Task<int> WriteAsync(HttpMessageInvoker http, string _, long number, CancellationToken cancellation)
    {
        string[] now = urls();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(Patience);
        try
        {
            await _put(http, now[number % now.Length], Interlocked.Increment(ref _next), patience.Token);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or InvalidOperationException)
        {
            _errors.AddOrUpdate(KindOf(error), 1, static (_, count) => count + 1);
            throw;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            _errors.AddOrUpdate("no answer within 10 s", 1, static (_, count) => count + 1);
            throw new InvalidOperationException("no answer within 10 s");
        }

        Interlocked.Increment(ref _acknowledged);
        lock (_lock)
        {
            Measure();
            _last = Stopwatch.GetTimestamp();
        }

        return 1;
    }

    /// <summary>The longest time without an acknowledged write since the last call.</summary>
    public TimeSpan TakeLongestGap()
    {
        lock (_lock)
        {
            Measure();
            TimeSpan longest = _longest;
            _longest = TimeSpan.Zero;
            return longest;
        }
    }

    private void Measure()
    {
        TimeSpan gap = Stopwatch.GetElapsedTime(_last);
        if (gap > _longest)
            _longest = gap;
    }

    /// <summary>Status and type of the problem, or the kind of a failed connection.</summary>
    private static string KindOf(Exception error)
    {
        if (error is HttpRequestException request)
            return string.Create(CultureInfo.InvariantCulture, $"{request.HttpRequestError}");

        const string TypeMark = "/problems#";
        int type = error.Message.IndexOf(TypeMark, StringComparison.Ordinal);
        string status = error.Message[..Math.Min(3, error.Message.Length)];
        return type < 0 ? status : $"{status} {error.Message[(type + TypeMark.Length)..].Split('"')[0]}";
    }
}

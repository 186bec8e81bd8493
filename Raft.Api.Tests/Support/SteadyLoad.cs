using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;

namespace Raft.Api.Tests.Support;

/// <summary>Clients that append at a rate while members come and go. Each entry has an idempotency key and is repeated until its
/// outcome is final, also after <see cref="StopAsync"/>: in the end nothing is unknown. Every answer is counted.</summary>
internal sealed class SteadyLoad : IAsyncDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly ClusterProcesses _cluster;
    private readonly Task[] _loops;
    private readonly Lock _gate = new();
    private readonly List<long> _acknowledgedAt = [];
    private volatile NodeProcess[] _targets;
    private double _perSecond;

    /// <param name="cluster">Its nodes are written to, until <see cref="Target"/> says otherwise.</param>
    /// <param name="writers">How many clients.</param>
    /// <param name="prefix">What all bodies begin with.</param>
    /// <param name="bytes">By how much every body is longer.</param>
    public SteadyLoad(ClusterProcesses cluster, int writers, string prefix, int bytes = 0)
    {
        _cluster = cluster;
        _targets = [.. cluster.Nodes];
        string padding = new('.', bytes);
        _loops = [.. Enumerable.Range(0, writers).Select(writer => Task.Run(() => RunAsync(writer, writers, prefix, padding)))];
    }

    /// <summary>Body to journal index, of everything that was answered 201.</summary>
    public ConcurrentDictionary<string, long> Acknowledged { get; } = new();

    /// <summary>How often each status other than 201 was answered; 0 stands for a broken connection.</summary>
    public ConcurrentDictionary<int, int> Refused { get; } = new();

    /// <summary>Answers that a client cannot just try again.</summary>
    public ConcurrentQueue<string> Surprises { get; } = new();

    /// <summary>Acknowledged entries a second that are aimed at, all writers together; 0 is as many as there can be.</summary>
    public double PerSecond
    {
        get => Volatile.Read(ref _perSecond);
        set => Volatile.Write(ref _perSecond, value);
    }

    /// <summary>Who is asked from now on.</summary>
    public void Target(IEnumerable<NodeProcess> nodes) => _targets = [.. nodes];

    /// <summary>Waits until that many more entries were acknowledged.</summary>
    public Task MoreAsync(int count)
    {
        int goal = Acknowledged.Count + count;
        return Wait.UntilAsync(() => Acknowledged.Count >= goal, $"{count} more acknowledged entries",
            () => $"{this} {string.Join("; ", Surprises.TakeLast(5))}{Environment.NewLine}{_cluster.Tail()}");
    }

    /// <summary>Writes without pause for this long, and goes on at half the rate that came of it.</summary>
    public async Task<double> HalveAsync(TimeSpan during)
    {
        PerSecond = 0;
        int before = Acknowledged.Count;
        var watch = Stopwatch.StartNew();
        await Task.Delay(during);
        double capacity = (Acknowledged.Count - before) / watch.Elapsed.TotalSeconds;
        PerSecond = Math.Max(20, capacity / 2);
        return capacity;
    }

    /// <summary>The longest time without an acknowledgement that overlaps this span.</summary>
    public TimeSpan LongestGap(long from, long to)
    {
        long longest = 0, last = from;
        lock (_gate)
        {
            // Acknowledgements of several writers may be noted out of order by a hair: that makes no gap longer.
            foreach (long at in _acknowledgedAt)
            {
                if (at >= from && last <= to)
                    longest = Math.Max(longest, at - Math.Max(last, 0));
                last = at;
                if (at > to)
                    break;
            }
        }

        return Stopwatch.GetElapsedTime(0, longest);
    }

    /// <summary>Ends, once everything that was begun has its final outcome.</summary>
    public async Task StopAsync()
    {
        await _end.CancelAsync();
        try
        {
            await Task.WhenAll(_loops).WaitAsync(Wait.Bound);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"Entries without an outcome after {Wait.Bound.TotalSeconds} s. {this}{Environment.NewLine}{_cluster.Tail()}");
        }

        Assert.Empty(Surprises);
    }

    /// <summary>Everything that was acknowledged is there once, where its answer said, on each of these nodes; and nothing is twice.</summary>
    public async Task AssertAllIsThereOnceAsync(IEnumerable<NodeProcess> nodes)
    {
        foreach (NodeProcess node in nodes)
        {
            List<string> journal = await Journal.ReadAllAsync(node);
            Assert.Equal(journal.Count, journal.Distinct(StringComparer.Ordinal).Count());
            foreach ((string body, long index) in Acknowledged)
                Assert.Equal(body, journal[(int)index - 1]);
        }
    }

    public override string ToString() =>
        $"{Acknowledged.Count} entries acknowledged; other answers: {string.Join(", ", Refused.OrderBy(one => one.Key).Select(one => $"{one.Key} {one.Value} times"))}.";

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _abort.CancelAsync();
        await Task.WhenAll(_loops);
        _end.Dispose();
        _abort.Dispose();
    }

    private async Task RunAsync(int writer, int writers, string prefix, string padding)
    {
        int node = writer;
        for (int number = 0; !_end.IsCancellationRequested; number++)
        {
            long begun = Stopwatch.GetTimestamp();
            string body = string.Create(CultureInfo.InvariantCulture, $"{prefix}-{writer}-{number}{padding}");
            string key = string.Create(CultureInfo.InvariantCulture, $"{prefix}-{writer}-{number}");
            while (!_abort.IsCancellationRequested && !await TryAsync(_targets, node, body, key))
            {
                node++;
                await Task.Delay(10);
            }

            // Not all at the same moment: a gap is to be the cluster's and not the clients'.
            if (PerSecond is > 0 and double rate && TimeSpan.FromSeconds(writers / rate * (0.5 + Random.Shared.NextDouble())) - Stopwatch.GetElapsedTime(begun) is { Ticks: > 0 } pause)
                await Task.Delay(pause, _end.Token).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private async Task<bool> TryAsync(NodeProcess[] targets, int node, string body, string key)
    {
        try
        {
            using HttpResponseMessage answer = await targets[node % targets.Length].Http.SendAsync(
                RestClient.Request(HttpMethod.Post, "/v1/entries", Encoding.UTF8.GetBytes(body), "text/plain", key), _abort.Token);
            if (answer.StatusCode == HttpStatusCode.Created)
            {
                Acknowledged[body] = (await answer.JsonAsync()).GetProperty("index").GetInt64();
                long now = Stopwatch.GetTimestamp();
                lock (_gate)
                    _acknowledgedAt.Add(now);
                return true;
            }

            // 409: the attempt before this one, whose connection broke, is still under way there.
            string text = await answer.TextAsync();
            Refused.AddOrUpdate((int)answer.StatusCode, 1, (_, count) => count + 1);
            if ((int)answer.StatusCode is not (429 or 503 or 504) && !(answer.StatusCode == HttpStatusCode.Conflict && text.Contains("in-flight", StringComparison.Ordinal)))
                Surprises.Enqueue($"{(int)answer.StatusCode}: {text}");
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
        {
            Refused.AddOrUpdate(0, 1, (_, count) => count + 1); // dead or dying: ask the next one. The key makes it safe.
        }

        return false;
    }
}

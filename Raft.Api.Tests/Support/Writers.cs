using System.Collections.Concurrent;
using System.Globalization;
using System.Net;

namespace Raft.Api.Tests.Support;

/// <summary>Clients that append without pause, each entry with an idempotency key of its own and repeated until it has a
/// final answer, and that remember what was acknowledged.</summary>
internal sealed class Writers : IAsyncDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly ClusterProcesses _cluster;
    private readonly NodeProcess[] _nodes;
    private readonly List<Task> _loops = [];

    /// <param name="cluster">Whose nodes are written to.</param>
    /// <param name="count">How many clients.</param>
    /// <param name="prefix">What all bodies and keys begin with.</param>
    /// <param name="bytes">By how much every body is longer.</param>
    /// <param name="except">A node that is not asked: a stopped one would answer nobody.</param>
    public Writers(ClusterProcesses cluster, int count, string prefix, int bytes = 0, NodeProcess? except = null)
    {
        _cluster = cluster;
        _nodes = [.. cluster.Nodes.Where(node => node != except)];
        string padding = new('.', bytes);
        for (int n = 0; n < count; n++)
        {
            int writer = n;
            _loops.Add(Task.Run(() => RunAsync(writer, prefix, padding)));
        }
    }

    /// <summary>Body to journal index, of everything that was answered 201.</summary>
    public ConcurrentDictionary<string, long> Acknowledged { get; } = new();

    public ConcurrentQueue<string> Surprises { get; } = new();

    /// <summary>Waits until that many more entries were acknowledged.</summary>
    public Task MoreAsync(int count)
    {
        int goal = Acknowledged.Count + count;
        return Wait.UntilAsync(() => Acknowledged.Count >= goal, $"{count} more acknowledged entries",
            () => $"{Acknowledged.Count} were acknowledged. {string.Join("; ", Surprises.TakeLast(5))}{Environment.NewLine}{_cluster.Tail()}");
    }

    public async Task StopAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_loops);
        Assert.Empty(Surprises);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_loops);
        _end.Dispose();
    }

    private async Task RunAsync(int writer, string prefix, string padding)
    {
        int node = writer;
        for (int number = 0; !_end.IsCancellationRequested; number++)
        {
            string body = string.Create(CultureInfo.InvariantCulture, $"{prefix}-{writer}-{number}{padding}");
            while (!_end.IsCancellationRequested)
            {
                try
                {
                    using HttpResponseMessage answer = await _nodes[node % _nodes.Length].Http.SendAsync(
                        RestClient.Request(HttpMethod.Post, "/v1/entries", System.Text.Encoding.UTF8.GetBytes(body), "text/plain", key: $"{prefix}-{writer}-{number}"), _end.Token);
                    if (answer.StatusCode == HttpStatusCode.Created)
                    {
                        Acknowledged[body] = (await answer.JsonAsync()).GetProperty("index").GetInt64();
                        break;
                    }

                    if ((int)answer.StatusCode is not (409 or 429 or 503 or 504 or 408 or 500))
                        Surprises.Enqueue($"{(int)answer.StatusCode}: {await answer.TextAsync()}");
                }
                catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
                {
                    // The node is dead or dying: ask the next one. The key makes it safe.
                }

                node++;
                await Task.Delay(20);
            }
        }
    }
}

using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Raft.Chaos.Cluster;
using Raft.Simulator.Histories;

namespace Raft.Chaos.Clients;

/// <summary>One client: asks any node, one request after the other, and records what it was answered.</summary>
internal abstract class Client(ChaosCluster cluster, Recorder recorder, Random random, string name) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5), PatienceWithRetries = TimeSpan.FromSeconds(40);
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(1) })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private int _keys;

    protected ChaosCluster Cluster => cluster;
    protected Recorder Recorder => recorder;
    protected Random Random => random;
    protected string Name => name;

    /// <summary>Asks again and again, at most so many times a second, until it is told to end.</summary>
    public async Task RunAsync(double perSecond, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            long begun = Recorder.Now;
            await StepAsync();
            TimeSpan pause = TimeSpan.FromSeconds((0.5 + random.NextDouble()) / perSecond) - System.Diagnostics.Stopwatch.GetElapsedTime(begun);
            if (pause > TimeSpan.Zero)
                await Task.Delay(pause, end).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    public void Dispose() => _http.Dispose();

    protected abstract Task StepAsync();

    protected string NewIdempotencyKey() => string.Create(CultureInfo.InvariantCulture, $"{name}-{_keys++}");

    protected ChaosNode AnyNode() => cluster.Nodes[random.Next(cluster.Nodes.Count)];

    /// <summary>A read, linearizable; null when it was not served. A read that fails says nothing.</summary>
    protected async Task<Answer?> ReadAsync(Operation operation, ChaosNode node, string path, Func<Answer, Outcome> outcomeOf)
    {
        int id = recorder.History.Invoke(name, operation, Recorder.Now);
        HttpRequestMessage request = Request(node, HttpMethod.Get, path);
        Answer answer = await Answer.SendAsync(_http, request, Patience);
        if (answer.Kind == AnswerKind.Final)
        {
            recorder.History.Complete(id, outcomeOf(answer), Recorder.Now);
            recorder.NoteRead();
            return answer;
        }

        recorder.History.NeverHappened(id, Recorder.Now);
        NoteRefusal(request, answer);
        return null;
    }

    /// <summary>A write. With an idempotency key it is repeated, at any node, until its answer is final; without one there is one attempt.</summary>
    /// <returns>The final answer; null when there was none.</returns>
    protected async Task<Answer?> WriteAsync(Operation operation, string? key, Func<ChaosNode, HttpRequestMessage> requestTo, Func<Answer, Outcome> outcomeOf)
    {
        bool mayHaveHappened = false;
        long begun = Recorder.Now;
        do
        {
            int id = recorder.History.Invoke(name, operation, Recorder.Now);
            HttpRequestMessage request = requestTo(AnyNode());
            if (key is not null)
                request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
            Answer answer = await Answer.SendAsync(_http, request, Patience);
            switch (answer.Kind)
            {
                case AnswerKind.Final:
                    recorder.History.Complete(id, outcomeOf(answer), Recorder.Now);
                    if (answer.Status == HttpStatusCode.PreconditionFailed)
                        recorder.NoteRefused();
                    else
                        recorder.NoteAcknowledged();
                    return answer;
                case AnswerKind.NotHappened:
                    recorder.History.NeverHappened(id, Recorder.Now);
                    break;
                default:
                    recorder.History.Unknown(id, Recorder.Now);
                    mayHaveHappened = true;
                    break;
            }

            NoteRefusal(request, answer);
            await Task.Delay(random.Next(20, 60));
        }
        while (key is not null && System.Diagnostics.Stopwatch.GetElapsedTime(begun) < PatienceWithRetries);

        if (mayHaveHappened)
            recorder.NoteUnknown();
        else
            recorder.NoteNotHappened();
        return null;
    }

    /// <summary>Counts it. A correct request may be refused for a while, and for nothing else.</summary>
    private void NoteRefusal(HttpRequestMessage request, Answer answer)
    {
        recorder.NoteRefusal(answer.Short);
        if (answer.Status is not (null or HttpStatusCode.NotFound or HttpStatusCode.RequestTimeout or HttpStatusCode.Conflict or HttpStatusCode.TooManyRequests
            or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout)
            && !(answer.Status is HttpStatusCode.InsufficientStorage && cluster.MayLackSpace))
        {
            cluster.Log.Found($"{request.Method} {request.RequestUri} was answered {answer.Short}: {answer.Text}");
        }
    }

    protected static HttpRequestMessage Request(ChaosNode node, HttpMethod method, string path, string? body = null)
    {
        var request = new HttpRequestMessage(method, node.Process.ApiUrl + path);
        if (body is not null)
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = new MediaTypeHeaderValue("text/plain") } };
        return request;
    }
}

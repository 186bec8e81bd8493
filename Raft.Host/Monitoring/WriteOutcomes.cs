using System.Diagnostics.Metrics;
using Raft.Host.Api;
using Raft.Host.Hosting;

namespace Raft.Host.Monitoring;

/// <summary>Counts what clients were told of their writes, by the status code's meaning, and who is being served.</summary>
/// <remarks>Exported as raft_http_writes_total{outcome}. The meaning of a code is the contract of the REST interface.</remarks>
public sealed class WriteOutcomes : IDisposable
{
    private static readonly KeyValuePair<string, object?> Committed = new("outcome", "committed");
    private static readonly KeyValuePair<string, object?> NotSubmitted = new("outcome", "notSubmitted");
    private static readonly KeyValuePair<string, object?> Unknown = new("outcome", "unknown");

    private readonly Meter _meter = new(RaftMeters.MeterName);
    private readonly Counter<long> _writes;
    private readonly RequestsInFlight _requests;

    public WriteOutcomes(RequestsInFlight requests)
    {
        _requests = requests;
        _writes = _meter.CreateCounter<long>("raft.http.writes", unit: null, "Answered writes by outcome, as the client was told.");
        _meter.CreateObservableGauge("raft.http.in_flight", () => requests.Count, unit: null, "Client requests being served.");

        // A series that is not there cannot be alerted on: all begin at 0.
        _writes.Add(0, Committed);
        _writes.Add(0, NotSubmitted);
        _writes.Add(0, Unknown);
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>As middleware, before the routes.</summary>
    public async Task CountAsync(HttpContext context, RequestDelegate next)
    {
        _requests.Entered();
        bool isWrite = !HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method) && IsOnData(context);
        bool answered = false;
        try
        {
            await next(context);
            answered = true;
        }
        finally
        {
            _requests.Left();
            if (isWrite)
                _writes.Add(1, answered && !context.RequestAborted.IsCancellationRequested ? OutcomeOf(context.Response.StatusCode) : Unknown);
        }
    }

    /// <summary>Changes of members, transfers and the like are no writes of a client, and take as long as they take.</summary>
    private static bool IsOnData(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<OperationInfo>()?.Tag is OperationInfo.Entries or OperationInfo.KeyValue;

    private static KeyValuePair<string, object?> OutcomeOf(int status) => status switch
    {
        < 400 => Committed,
        408 => Unknown,
        < 500 or 503 or 507 => NotSubmitted,
        _ => Unknown,
    };
}

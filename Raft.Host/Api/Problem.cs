using System.Text.Encodings.Web;
using System.Text.Json;

namespace Raft.Host.Api;

/// <summary>What a client is told when a request fails: RFC 9457, and what became of a write.</summary>
/// <param name="Name">The last part of the type, for programs: <c>entry-not-yet</c>.</param>
/// <param name="Outcome">Of a write, this attempt of it: <c>notSubmitted</c>, <c>unknown</c>, or, when only its result is not known, <c>committed</c>. Reads do not show it.</param>
public sealed record Problem(int Status, string Name, string Title, string Detail, string Outcome = Problem.NotSubmitted)
{
    public const string NotSubmitted = "notSubmitted";
    public const string Unknown = "unknown";
    public const string Committed = "committed";
    public const string ContentType = "application/problem+json";

    /// <summary>What to do.</summary>
    public string? Remedy { get; init; }

    /// <summary>In seconds; whoever was not served gets one.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>The content codings that are taken, when another one was sent. RFC 9110, 15.5.16</summary>
    public string? AcceptEncoding { get; init; }

    /// <summary>One more number, by name: where the journal begins, which line is broken.</summary>
    public (string Name, long Value)? Number { get; init; }

    /// <summary>Several reasons, one by one.</summary>
    public IReadOnlyList<string>? Reasons { get; init; }

    /// <summary>What became of it in each group.</summary>
    public IReadOnlyList<GroupOutcomeDocument>? Groups { get; init; }

    /// <summary>The rest of the body was not read, so the connection cannot be used again.</summary>
    public bool EndsConnection { get; init; }

    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public async Task WriteAsync(HttpContext context)
    {
        HttpResponse response = context.Response;
        response.StatusCode = Status;
        response.ContentType = ContentType;
        response.Headers.CacheControl = "no-store";
        if (RetryAfter is { } seconds)
            response.Headers.RetryAfter = seconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (AcceptEncoding is not null)
            response.Headers.AcceptEncoding = AcceptEncoding;
        if (EndsConnection && HttpProtocol.IsHttp11(context.Request.Protocol))
            response.Headers.Connection = "close";

        byte[] body = ToBytes(isWrite: !HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method));
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.BodyWriter.WriteAsync(body, context.RequestAborted);
        if (EndsConnection)
            await response.CompleteAsync();     // the answer goes out before the rest of the body is dealt with
    }

    internal byte[] ToBytes(bool isWrite)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, Json))
        {
            json.WriteStartObject();
            json.WriteString("type", "/problems#" + Name);
            json.WriteString("title", Title);
            json.WriteNumber("status", Status);
            json.WriteString("detail", Detail);
            if (isWrite)
                json.WriteString("outcome", Outcome);
            if (Remedy is not null)
                json.WriteString("remedy", Remedy);
            if (Number is { } number)
                json.WriteNumber(number.Name, number.Value);
            if (Reasons is not null)
            {
                json.WriteStartArray("reasons");
                foreach (string reason in Reasons)
                    json.WriteStringValue(reason);
                json.WriteEndArray();
            }

            if (Groups is not null)
            {
                json.WritePropertyName("groups");
                JsonSerializer.Serialize(json, Groups, ApiJson.Default.IReadOnlyListGroupOutcomeDocument);
            }

            json.WriteEndObject();
        }

        return bytes.ToArray();
    }
}

/// <summary>Ends a request with a problem.</summary>
public sealed class ProblemException(Problem problem) : Exception(problem.Detail)
{
    public Problem Problem { get; } = problem;
}

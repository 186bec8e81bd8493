using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Raft.Host.Api;

/// <summary>Bodies that are JSON documents of ours: small, and without names that we do not know.</summary>
internal static class RequestBody
{
    internal const int BytesMax = 1 << 20;

    /// <summary>The document; null when there is no body.</summary>
    /// <exception cref="ProblemException">400, 413 or 415: nothing was done.</exception>
    public static async Task<T?> JsonAsync<T>(HttpContext context, ApiServices services, JsonTypeInfo<T> type) where T : class
    {
        string? contentType = RequestHeaders.ContentType(context.Request);
        using Deadlines.Deadline deadline = services.Deadlines.Start(context.RequestAborted);
        CommandReader.Body body = await services.ReadBodyAsync(context, headerBytes: 0, BytesMax, deadline.Token);
        if (body.Bytes.Length == 0)
            return null;
        if (contentType is not null && !RequestHeaders.IsJson(contentType))
            throw new ProblemException(Problems.UnsupportedType($"The body is {contentType}; allowed: application/json (curl --json does that)."));

        try
        {
            return JsonSerializer.Deserialize(body.Payload, type) ?? throw new ProblemException(Problems.BadRequest("bad-body", "The body is null; allowed: a JSON object."));
        }
        catch (JsonException error)
        {
            throw new ProblemException(Problems.BadRequest("bad-body", $"The body is not what this route takes: {FirstSentence(error.Message)}"));
        }
    }

    // What follows names types of ours and counts bytes.
    private static string FirstSentence(string message)
    {
        int end = message.IndexOf(" Path:", StringComparison.Ordinal);
        return end < 0 ? message : message[..end];
    }
}

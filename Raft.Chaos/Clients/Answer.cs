using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Raft.Chaos.Clients;

internal enum AnswerKind
{
    /// <summary>It is done, or it is refused for good: the answer is final.</summary>
    Final,

    /// <summary>This attempt did not happen and never will.</summary>
    NotHappened,

    /// <summary>It may have happened, or may yet.</summary>
    Unknown,
}

/// <summary>What became of one request, read from its status alone, as docs/rest.md tells clients to.</summary>
internal sealed record Answer(AnswerKind Kind, HttpStatusCode? Status, string Text, string? Tag, long RaftIndex)
{
    /// <summary>Sends it; nothing but an answer tells that nothing happened.</summary>
    public static async Task<Answer> SendAsync(HttpClient http, HttpRequestMessage request, TimeSpan patience)
    {
        try
        {
            using var bound = new CancellationTokenSource(patience);
            using HttpResponseMessage answer = await http.SendAsync(request, bound.Token);
            string text = await answer.Content.ReadAsStringAsync(bound.Token);
            bool isReplayed = answer.Headers.Contains("Idempotency-Replayed");
            long index = !isReplayed && answer.Headers.TryGetValues("Raft-Index", out IEnumerable<string>? values) ? long.Parse(values.First(), CultureInfo.InvariantCulture) : 0;
            return new Answer(KindOf(answer.StatusCode, text), answer.StatusCode, text, answer.Headers.ETag?.Tag, index);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException)
        {
            // A connection that is reset in the moment it is made shows as the bare error of the socket (.NET 10).
            return new Answer(AnswerKind.Unknown, null, "", null, 0);
        }
    }

    /// <summary>A refusal in two words.</summary>
    public string Short => Status is null ? "no answer" : $"{(int)Status} {TypeOf(Text)}".TrimEnd();

    public long Revision => Tag is null ? 0 : long.Parse(Tag.Trim('"'), CultureInfo.InvariantCulture);

    public JsonElement Json => JsonElement.Parse(Text);

    private static AnswerKind KindOf(HttpStatusCode status, string text) => status switch
    {
        HttpStatusCode.NotFound => TypeOf(text) == "no-such-key" ? AnswerKind.Final : AnswerKind.NotHappened, // a node without the group knows no key
        HttpStatusCode.PreconditionFailed => AnswerKind.Final,
        HttpStatusCode.RequestTimeout => AnswerKind.Unknown,
        HttpStatusCode.ServiceUnavailable or HttpStatusCode.InsufficientStorage => AnswerKind.NotHappened,
        < HttpStatusCode.BadRequest => AnswerKind.Final,
        < HttpStatusCode.InternalServerError => AnswerKind.NotHappened,
        _ => AnswerKind.Unknown,
    };

    private static string TypeOf(string text)
    {
        try
        {
            return JsonElement.Parse(text).TryGetProperty("type", out JsonElement type) ? type.GetString()!.Split('/', '#')[^1] : "";
        }
        catch (JsonException)
        {
            return "";
        }
    }
}

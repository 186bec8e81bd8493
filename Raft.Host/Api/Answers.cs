using System.Buffers;
using System.Buffers.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Bodies, written straight into the connection's buffer.</summary>
internal static class Answers
{
    private const string JsonType = "application/json";
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Hot path: the small answer of one write. Names and group are plain ASCII without anything to escape.</summary>
    public static void WriteSmall(HttpContext context, int status, ReadOnlySpan<byte> group, ReadOnlySpan<(byte[] Name, long Value)> numbers, bool? created = null)
    {
        Span<byte> json = stackalloc byte[512];
        int at = 0;
        Copy("{\"group\":\""u8, json, ref at);
        Copy(group, json, ref at);
        Copy("\""u8, json, ref at);
        foreach ((byte[] name, long value) in numbers)
        {
            Copy(name, json, ref at);
            Utf8Formatter.TryFormat(value, json[at..], out int written);
            at += written;
        }

        if (created is { } isNew)
            Copy(isNew ? ",\"created\":true"u8 : ",\"created\":false"u8, json, ref at);
        Copy("}"u8, json, ref at);

        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = JsonType;
        response.ContentLength = at;
        response.BodyWriter.Write(json[..at]);

        static void Copy(ReadOnlySpan<byte> bytes, Span<byte> target, ref int at)
        {
            bytes.CopyTo(target[at..]);
            at += bytes.Length;
        }
    }

    public static Task WriteJsonAsync<T>(HttpContext context, int status, T value, JsonTypeInfo<T> type)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(value, type);
        return WriteBytesAsync(context, status, JsonType, body);
    }

    /// <summary>A document that is written by hand.</summary>
    public static async Task WriteJsonAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        await using (var json = new Utf8JsonWriter(buffer, Options))
            write(json);
        await WriteBytesAsync(context, StatusCodes.Status200OK, JsonType, buffer.WrittenMemory);
    }

    public static async Task WriteBytesAsync(HttpContext context, int status, string contentType, ReadOnlyMemory<byte> body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method) && body.Length > 0)
            await context.Response.BodyWriter.WriteAsync(body, context.RequestAborted);
    }

    /// <summary>What a client stored comes back as it was, and no browser takes it for a page of ours.</summary>
    public static Task WriteStoredAsync(HttpContext context, string? contentType, ReadOnlyMemory<byte> value)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = "default-src 'none'; sandbox";
        if (!RequestHeaders.IsJson(contentType) && !RequestHeaders.IsType(contentType, "text/plain"))
            headers.ContentDisposition = "attachment";
        return WriteBytesAsync(context, StatusCodes.Status200OK, contentType ?? "application/octet-stream", value);
    }

    /// <summary>As <c>json</c> if it came as JSON and is, and every reader can read it, as <c>text</c> if it is UTF-8, else as <c>base64</c>.</summary>
    public static void WriteContent(Utf8JsonWriter json, string? contentType, ReadOnlySpan<byte> content)
    {
        if (contentType is not null)
            json.WriteString("contentType", contentType);
        if (RequestHeaders.IsJson(contentType) && JsonLines.FaultOf(content) is null && !JsonLines.HasLoneSurrogate(content))
        {
            json.WritePropertyName("json");
            json.WriteRawValue(content, skipInputValidation: true);
        }
        else if (Utf8.IsValid(content))
        {
            json.WriteString("text", content);
        }
        else
        {
            json.WriteBase64String("base64", content);
        }
    }

    public static string Time(long timeMs) =>
        DateTimeOffset.FromUnixTimeMilliseconds(timeMs).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
}

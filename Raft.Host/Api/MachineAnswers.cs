using System.Text;
using System.Text.Json;

namespace Raft.Host.Api;

/// <summary>What a state machine that is not ours gave for a command, as an answer.</summary>
internal static class MachineAnswers
{
    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web);

    public static Task WriteAsync(HttpContext context, object? result)
    {
        switch (result)
        {
            case null:
                context.Response.StatusCode = StatusCodes.Status204NoContent;
                return Task.CompletedTask;
            case byte[] bytes:
                return Answers.WriteStoredAsync(context, "application/octet-stream", bytes);
            case ReadOnlyMemory<byte> bytes:
                return Answers.WriteStoredAsync(context, "application/octet-stream", bytes);
            case string text:
                return Answers.WriteStoredAsync(context, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));
            default:
                return Answers.WriteStoredAsync(context, "application/json", Serialized(result));
        }
    }

    private static byte[] Serialized(object result)
    {
        try
        {
            return JsonSerializer.SerializeToUtf8Bytes(result, result.GetType(), Web);
        }
        catch (Exception error) when (error is NotSupportedException or JsonException)
        {
            throw new ProblemException(Problems.ResultUnreadable(result.GetType().Name, error.Message));
        }
    }
}

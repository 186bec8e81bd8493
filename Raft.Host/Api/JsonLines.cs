using System.Text.Json;
using System.Text.Unicode;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Checks a batch before it is submitted: every line must be one JSON value.</summary>
internal static class JsonLines
{
    /// <exception cref="ProblemException">400 with the number of the first broken line.</exception>
    public static void Check(ReadOnlySpan<byte> batch)
    {
        int number = 0;
        var lines = new Lines(batch);
        while (lines.MoveNext())
        {
            number++;
            if (FaultOf(batch[lines.Current]) is { } fault)
            {
                throw new ProblemException(Problems.BadRequest("broken-line", $"Line {number} is {fault} Nothing was appended.") with { Number = ("line", number) });
            }
        }

        if (number == 0)
            throw new ProblemException(Problems.BadRequest("no-lines", "The batch has no lines. Nothing was appended."));
    }

    /// <summary>Null when the bytes are one JSON value.</summary>
    public static string? FaultOf(ReadOnlySpan<byte> line)
    {
        if (line.IsEmpty)
            return "empty, and not the end.";
        if (!Utf8.IsValid(line))
            return "no valid UTF-8.";

        try
        {
            var reader = new Utf8JsonReader(line);
            while (reader.Read())
            {
            }

            return null;
        }
        catch (JsonException error)
        {
            return $"no JSON, at byte {error.BytePositionInLine}: {FirstSentence(error.Message)}";
        }
    }

    private static string FirstSentence(string message)
    {
        int end = message.IndexOf(" LineNumber", StringComparison.Ordinal);
        return end < 0 ? message : message[..end];
    }
}

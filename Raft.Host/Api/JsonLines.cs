using System.Buffers.Text;
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

    /// <summary>Whether valid JSON escapes half of a surrogate pair (<c>"\ud800"</c>). The grammar allows it (RFC 8259, 8.2), many parsers
    /// do not, and one such value would make the whole list around it unreadable.</summary>
    internal static bool HasLoneSurrogate(ReadOnlySpan<byte> json)
    {
        for (int at = json.IndexOf((byte)'\\'); at >= 0 && at + 1 < json.Length;)
        {
            int next = at + 2;
            if (json[at + 1] == (byte)'u')
            {
                next = at + 6;
                char unit = UnitAt(json, at);
                if (char.IsHighSurrogate(unit) && char.IsLowSurrogate(UnitAt(json, next)))
                    next += 6;
                else if (char.IsSurrogate(unit))
                    return true;
            }

            int ahead = next < json.Length ? json[next..].IndexOf((byte)'\\') : -1;
            at = ahead < 0 ? -1 : next + ahead;
        }

        return false;

        // The UTF-16 unit of a \uXXXX that begins here; 0 when none does.
        static char UnitAt(ReadOnlySpan<byte> json, int at) =>
            at + 6 <= json.Length && json[at] == (byte)'\\' && json[at + 1] == (byte)'u'
            && Utf8Parser.TryParse(json.Slice(at + 2, 4), out ushort unit, out int used, 'x') && used == 4 ? (char)unit : '\0';
    }

    private static string FirstSentence(string message)
    {
        int end = message.IndexOf(" LineNumber", StringComparison.Ordinal);
        return end < 0 ? message : message[..end];
    }
}

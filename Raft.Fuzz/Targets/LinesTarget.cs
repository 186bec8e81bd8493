using System.Text.Json;
using Raft.Host.Api;

namespace Raft.Fuzz.Targets;

/// <summary>Batches of JSON lines: taken exactly when every line is one JSON value.</summary>
internal sealed class LinesTarget : FuzzTarget
{
    public override string Name => "lines";

    public override IReadOnlyList<byte[]> Dictionary { get; } =
        [Utf8("\n"), Utf8("\r\n"), Utf8("{"), Utf8("}"), Utf8("["), Utf8("]"), Utf8("\""), Utf8("\\u00"), Utf8("\\ud800"), Utf8("1e999"), Utf8("null"), [0xEF, 0xBB, 0xBF], [0xFF], [0]];

    public override IEnumerable<byte[]> Seeds() =>
        [Utf8("1\n2\n"), Utf8("{\"a\":[1,2,{\"b\":null}]}\r\n\"text\\n\"\n"), Utf8("[[[[[]]]]]"), Utf8("true\nfalse\n-1.5e3")];

    public override string Run(byte[] input)
    {
        string outcome = Accepted;
        try
        {
            JsonLines.Check(input);
        }
        catch (ProblemException problem)
        {
            Holds(problem.Problem.Status == 400, "a bad line is a bad request");
            outcome = problem.Problem.Detail;
        }

        Holds(outcome == Accepted == IsGood(input), "a batch is taken when each of its lines is a JSON value");
        return outcome;
    }

    /// <summary>Blanks behind the last line are none.</summary>
    private static bool IsGood(byte[] input)
    {
        int end = input.Length;
        while (end > 0 && input[end - 1] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
            end--;
        List<byte[]> lines = [];
        int start = 0;
        for (int at = 0; at <= end && end > 0; at++)
        {
            if (at < end && input[at] != '\n')
                continue;
            lines.Add(input[start..at]);
            start = at + 1;
        }

        return lines.Count > 0 && lines.TrueForAll(IsValue);
    }

    private static bool IsValue(byte[] line)
    {
        try
        {
            new System.Text.UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount(line);
            using JsonDocument document = JsonDocument.Parse(line);
            return true;
        }
        catch (Exception error) when (error is JsonException or System.Text.DecoderFallbackException)
        {
            return false;
        }
    }
}

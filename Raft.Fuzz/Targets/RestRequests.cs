using System.Net.Http.Headers;
using System.Text;
using System.Text.RegularExpressions;

namespace Raft.Fuzz.Targets;

/// <summary>Requests for an operation: sensible, nearly sensible and senseless ones.</summary>
internal static partial class RestRequests
{
    public static readonly string[] Words =
    [
        "", "a", "default", "n1", "n2", "key", "0", "1", "7", "-1", "+1", "1e3", "2147483648", "9223372036854775807", "99999999999999999999", "*", "\"1\"", "W/\"1\"", "\"1\", \"2\"",
        "\"", "ä", "%", "%2F", "%00", "\ud800", "a b", "a/b", "..", ".", "true", "false", "linearizable", "stale", "committed", "applied", "null", "018f2e5c-1f3a-7000-8000-000000000000",
        "ffffffff-ffff-7fff-bfff-ffffffffffff", "text/plain", "application/json", "application/x-ndjson", "text/plain; charset=utf-16", "application/json;;", "no type", "x=y&z",
    ];

    /// <summary>Addresses in bodies are on this machine and answered by nobody: no input leads anywhere else.</summary>
    private static readonly string[] _bodies =
    [
        "", "{}", "[]", "null", "1", "\"\"", "{", "{\"id\":\"n2\",\"peerUrl\":\"http://127.0.0.1:1\"}", "{\"id\":\"n2\",\"peerUrl\":\"http://127.0.0.1:1\",\"voter\":false}",
        "{\"id\":\"\",\"peerUrl\":\"\"}", "{\"id\":null}", "{\"id\":\"n1\",\"apiUrl\":\"127.0.0.1\"}", "{\"members\":[]}", "{\"members\":null}", "{\"members\":[{}]}", "{\"members\":[{\"id\":\"n9\"}]}",
        "{\"target\":\"n2\"}", "{\"target\":null}", "{\"target\":7}", "{\"id\":\"x\",\"first\":{}}", "1\n2\n", "1\n\n2", "\u00ef\u00bb\u00bf1", "{\"a\":1}\n{\"b\":", "text",
    ];

    private static readonly string[] _headers = ["Idempotency-Key", "If-Match", "If-None-Match", "Accept", "Raft-Node", "Range", "Expect"];

    private static readonly string[] _queries =
        ["from", "limit", "prefix", "after", "consistency", "wait", "timeoutMs", "verbose", "local", "unknown"];

    public static HttpRequestMessage Make(RestOperation operation, Choices choices)
    {
        string path = Parameter().Replace(operation.Path, _ => Segment(choices));
        List<string> query = [];
        for (int count = choices.Next(4); count > 0; count--)
        {
            string[] names = choices.Next(4) > 0 && operation.Query.Length > 0 ? operation.Query : _queries;
            string name = names[choices.Next(names.Length)];

            // A forced change of members would take the only voter's quorum away, and all else with it.
            if (name != "force")
                query.Add($"{name}={Escape(Word(choices))}");
        }

        var request = new HttpRequestMessage(new HttpMethod(operation.Method), path + (query.Count > 0 ? "?" + string.Join('&', query) : ""));
        if (operation.HasBody || choices.Next(8) == 0)
        {
            byte[] body = operation.Path.Contains("members", StringComparison.Ordinal) || choices.Next(2) == 0 ? Encoding.UTF8.GetBytes(_bodies[choices.Next(_bodies.Length)]) : choices.Bytes(choices.Byte());
            request.Content = new ByteArrayContent(body);
            if (choices.Next(4) > 0)
                request.Content.Headers.TryAddWithoutValidation("Content-Type", choices.Next(2) == 0 ? "application/json" : Header(choices));
        }

        for (int count = choices.Next(3); count > 0; count--)
        {
            string[] names = choices.Next(4) > 0 && operation.Headers.Length > 0 ? operation.Headers : _headers;
            request.Headers.TryAddWithoutValidation(names[choices.Next(names.Length)], Header(choices));
        }

        request.Headers.ExpectContinue = false;
        return request;
    }

    private static string Word(Choices choices) => choices.Next(3) == 0 ? Encoding.Latin1.GetString(choices.Bytes(choices.Next(12))) : Words[choices.Next(Words.Length)];

    /// <summary>What the client's own library would not send is left out.</summary>
    private static string Header(Choices choices) => string.Concat(Word(choices).Where(c => c is >= ' ' and < '\u007f'));

    /// <summary>Not empty and no dots alone: those make another path. No NUL: HTTP itself allows none, and Kestrel hangs up.</summary>
    private static string Segment(Choices choices)
    {
        string word = Word(choices).Replace("\0", "", StringComparison.Ordinal);
        return word.Trim('.').Length == 0 ? "n1" : Escape(word);
    }

    private static string Escape(string text) => Uri.EscapeDataString(text.Replace('\ud800', '\ufffd'));

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}

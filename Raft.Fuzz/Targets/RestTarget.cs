using System.Net;
using System.Text.Json;

namespace Raft.Fuzz.Targets;

/// <summary>Requests made of the operations of the OpenAPI document, against a node of this process: each is answered with a
/// status that the operation documents, an error as a problem, and none with 500.</summary>
internal sealed class RestTarget : FuzzTarget
{
    private readonly RestNode _node = new();
    private readonly RestOperation[] _operations;

    public RestTarget()
    {
        using JsonDocument document = JsonDocument.Parse(_node.Http.GetStringAsync("/swagger/v1/swagger.json").GetAwaiter().GetResult());
        _operations = [.. RestOperation.Of(document.RootElement)];
    }

    public override string Name => "rest";

    // Server and client allocate on this thread as it happens.
    public override long AllocatedBytes => 64 << 20;

    public override bool IsOnOneThread => false;

    public override int InputsInTests => 1500;

    public override IReadOnlyList<byte[]> Dictionary { get; } = [.. RestRequests.Words.Select(Utf8)];

    public override IEnumerable<byte[]> Seeds()
    {
        var random = new Random(3);
        for (int operation = 0; operation < _operations.Length; operation++)
        {
            byte[] choices = new byte[64];
            random.NextBytes(choices);
            choices[0] = (byte)operation;
            yield return choices;
        }
    }

    public override string Run(byte[] input)
    {
        var choices = new Choices(input);
        RestOperation operation = _operations[choices.Next(_operations.Length)];
        using HttpRequestMessage request = RestRequests.Make(operation, choices);
        using HttpResponseMessage response = _node.Http.Send(request);
        int status = (int)response.StatusCode;
        string at = $"{operation.Method} {operation.Path} ({request.RequestUri})";
        Holds(operation.Statuses.Contains(status), $"{status} is documented of {at}: {Text(response)}");
        Holds(status != (int)HttpStatusCode.InternalServerError, $"{at} does not fail: {Text(response)}");
        if (status >= 400 && operation.Method != "HEAD")
        {
            Holds(response.Content.Headers.ContentType?.MediaType == "application/problem+json", $"{status} of {at} is a problem: {Text(response)}");
            using JsonDocument problem = JsonDocument.Parse(Text(response));
            Holds(problem.RootElement.GetProperty("status").GetInt32() == status, $"the problem of {at} has the status");
            return $"{operation.Method} {operation.Path}: {problem.RootElement.GetProperty("type").GetString()}";
        }

        return status < 400 ? Accepted : $"{operation.Method} {operation.Path}: {status}";
    }

    public override void Dispose()
    {
        _node.Dispose();
        base.Dispose();
    }

    /// <summary>It is there already: a request is over when its answer is whole.</summary>
    private static string Text(HttpResponseMessage response) => response.Content.ReadAsStringAsync().GetAwaiter().GetResult();
}

/// <summary>One operation of the document.</summary>
internal sealed record RestOperation(string Method, string Path, string[] Query, string[] Headers, bool HasBody, HashSet<int> Statuses)
{
    public static IEnumerable<RestOperation> Of(JsonElement document)
    {
        foreach (JsonProperty path in document.GetProperty("paths").EnumerateObject())
        {
            foreach (JsonProperty operation in path.Value.EnumerateObject())
            {
                JsonElement[] parameters = operation.Value.TryGetProperty("parameters", out JsonElement all) ? [.. all.EnumerateArray()] : [];
                string[] In(string place) => [.. parameters.Where(one => one.GetProperty("in").GetString() == place).Select(one => one.GetProperty("name").GetString()!)];
                yield return new RestOperation(
                    operation.Name.ToUpperInvariant(), path.Name, In("query"), In("header"), operation.Value.TryGetProperty("requestBody", out _),
                    [.. operation.Value.GetProperty("responses").EnumerateObject().Select(response => int.Parse(response.Name, System.Globalization.CultureInfo.InvariantCulture))]);
            }
        }
    }
}

/// <summary>An input as a row of decisions; zero when it is used up.</summary>
internal sealed class Choices(byte[] input)
{
    private int _at;

    public int Next(int count) => count <= 1 ? 0 : Byte() % count;

    public byte Byte() => _at < input.Length ? input[_at++] : (byte)0;

    public byte[] Bytes(int count)
    {
        byte[] bytes = input[_at..Math.Min(input.Length, _at + count)];
        _at += bytes.Length;
        return bytes;
    }
}

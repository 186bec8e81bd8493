namespace Raft.Host.Api;

/// <summary>What OpenAPI says of a route: the handlers read the request by hand, so nothing can be inferred.</summary>
/// <param name="Answers">The JSON documents of its success; none: bytes of the type in <paramref name="Bytes"/>, or nothing.</param>
/// <param name="Statuses">The statuses it answers with beside those, and beside those that every route may answer with (<see cref="RequestChecks"/>, and 404, 500, 503).</param>
/// <param name="Query">Names of query parameters.</param>
/// <param name="Headers">Names of request headers.</param>
/// <param name="Body">The request body's description; null: there is none.</param>
/// <param name="Document">The JSON document that the request body is; null: none, or what <paramref name="Body"/> says.</param>
/// <param name="Bytes">The content type of a 200 that is no JSON document, or not always.</param>
internal sealed record OperationInfo(
    string Id, string Summary, string Tag, (int Status, Type Document)[] Answers, int[]? Statuses = null, string[]? Query = null, string[]? Headers = null, string? Body = null, string? Bytes = null, Type? Document = null)
{
    public const string Entries = "entries";
    public const string KeyValue = "kv";
}

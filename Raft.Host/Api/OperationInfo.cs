namespace Raft.Host.Api;

/// <summary>What OpenAPI says of a route: the handlers read the request by hand, so nothing can be inferred.</summary>
/// <param name="Body">The request body's description; null: there is none.</param>
/// <param name="Query">Names of query parameters.</param>
/// <param name="Headers">Names of request headers.</param>
/// <param name="Statuses">Every status that it answers with, beside 400, 404, 500 and 503, which all may.</param>
internal sealed record OperationInfo(string Id, string Summary, string Tag, int[] Statuses, string[]? Query = null, string[]? Headers = null, string? Body = null, string Answer = "application/json");

using System.Buffers;
using System.Text.Unicode;
using Microsoft.Extensions.Primitives;

namespace Raft.Host.Api;

/// <summary>What is checked of every request before its route sees it: that it means what it says. A part of a request that this
/// service would have to ignore, and that changes what the request means, is refused (docs/rest.md lists them).</summary>
internal static class RequestChecks
{
    /// <summary>Characters of the request line's target. Kestrel's own limit is twice that, so that what is over this one gets a problem.</summary>
    public const int TargetCharsMax = 8 << 10;

    /// <summary>Characters of all header names and values.</summary>
    public const int HeaderCharsMax = 32 << 10;

    public const int HeaderCountMax = 100;

    /// <summary>Headers that name another method than the request line does.</summary>
    private static readonly string[] MethodOverrides = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

    /// <exception cref="ProblemException">400, 414, 415, 417 or 431: nothing was done.</exception>
    public static void Check(HttpContext context)
    {
        HttpRequest request = context.Request;
        CheckSizes(request, RawPath.TargetOf(context));
        if (RoutedPath.FaultOf(RawPath.TargetOf(context), request.Path.Value ?? "") is { } fault)
            throw new ProblemException(Problems.BadRequest("bad-path", fault));
        CheckHeaders(request);
        if (request.QueryString.HasValue && context.GetEndpoint()?.Metadata.GetMetadata<OperationInfo>() is { } route)
            CheckQuery(request, route);
    }

    private static void CheckSizes(HttpRequest request, string target)
    {
        if (target.Length > TargetCharsMax)
            throw new ProblemException(Problems.TargetTooLong(target.Length, TargetCharsMax));

        int total = 0;
        foreach (KeyValuePair<string, StringValues> header in request.Headers)
        {
            foreach (string? value in header.Value)
                total += header.Key.Length + (value?.Length ?? 0);
        }

        if (total > HeaderCharsMax || request.Headers.Count > HeaderCountMax)
            throw new ProblemException(Problems.HeadersTooLarge(total, request.Headers.Count));
    }

    private static void CheckHeaders(HttpRequest request)
    {
        IHeaderDictionary headers = request.Headers;
        if (headers.ContentRange.Count > 0)
            throw Refuse("Content-Range", "a part of a value cannot be written. Send the whole value");
        if (headers.ContentEncoding is { Count: > 0 } encoding && !encoding.ToString().Trim().Equals("identity", StringComparison.OrdinalIgnoreCase))
            throw new ProblemException(Problems.UnsupportedEncoding(encoding.ToString()));
        if (headers.Expect is { Count: > 0 } expect && !expect.ToString().Equals("100-continue", StringComparison.OrdinalIgnoreCase))
            throw new ProblemException(Problems.UnsupportedExpectation(expect.ToString()));

        bool isRead = HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method);
        if (headers.IfUnmodifiedSince.Count > 0 && !isRead)
            throw Refuse("If-Unmodified-Since", "nothing here has a modification date. Use If-Match with the ETag");
        if (headers.ContainsKey("If"))
            throw Refuse("If", "there are no locks or state tokens. Use If-Match with the ETag");
        foreach (string name in MethodOverrides)
        {
            if (headers.ContainsKey(name))
                throw Refuse(name, "the method is the one in the request line. Send the method itself");
        }

        static ProblemException Refuse(string name, string why) =>
            new(Problems.BadRequest("unsupported-header", $"{name} is not supported and would change what the request means: {why}."));
    }

    /// <summary>Percent-encoded UTF-8, each parameter once, and under /v1 only parameters that the route reads: a misspelt one must not be ignored.</summary>
    private static void CheckQuery(HttpRequest request, OperationInfo route)
    {
        ReadOnlySpan<char> query = request.QueryString.Value;
        byte[] decoded = ArrayPool<byte>.Shared.Rent(query.Length);
        try
        {
            if (!RawPath.TryDecode(query, decoded, out int length, out string? fault, part: "query"))
                throw new ProblemException(Problems.BadRequest("bad-query", fault));
            if (!Utf8.IsValid(decoded.AsSpan(0, length)))
                throw new ProblemException(Problems.BadRequest("bad-query", "The query is not valid UTF-8 after percent-decoding."));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(decoded);
        }

        foreach (KeyValuePair<string, StringValues> parameter in request.Query)
        {
            if (parameter.Value.Count > 1)
                throw new ProblemException(Problems.BadRequest("bad-query", $"{parameter.Key} is given {parameter.Value.Count} times; allowed: once."));
            if (request.Path.StartsWithSegments("/v1") && !(route.Query ?? []).Contains(parameter.Key, StringComparer.OrdinalIgnoreCase))
            {
                throw new ProblemException(Problems.BadRequest("bad-query", $"'{parameter.Key}' is not a parameter of this route; "
                    + (route.Query is { Length: > 0 } known ? $"allowed: {string.Join(", ", known)}." : "it has none.")));
            }
        }
    }
}

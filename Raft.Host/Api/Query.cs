using System.Globalization;

namespace Raft.Host.Api;

/// <summary>Numbers of the query, with messages that say what is allowed.</summary>
internal static class Query
{
    public const int LimitDefault = 100;
    public const int LimitMax = 1000;

    /// <summary>Bytes of stored content in one page; a single larger item goes alone.</summary>
    public const long PageBytesMax = 1 << 20;

    /// <summary>How long a client may let a request wait.</summary>
    private const long TimeoutMsMax = 600_000;

    /// <summary>A parameter as it is; null when it is not there.</summary>
    public static string? Text(HttpRequest request, string name) =>
        request.QueryString.HasValue && request.Query.TryGetValue(name, out var values) ? values.ToString() : null;

    /// <summary>false when it is not there; true for <c>?name</c> and <c>?name=true</c>.</summary>
    public static bool Flag(HttpRequest request, string name) => Text(request, name)?.ToUpperInvariant() switch
    {
        null or "FALSE" => false,
        "" or "TRUE" => true,
        _ => throw new ProblemException(Problems.BadRequest("bad-query", $"{name} is '{Text(request, name)}'; allowed: true, false.")),
    };

    /// <summary>What <c>?timeoutMs=</c> says, or the time that every request has.</summary>
    public static TimeSpan Timeout(HttpRequest request, int defaultMs) => TimeSpan.FromMilliseconds(Number(request, "timeoutMs", TimeoutMsMax) ?? defaultMs);

    public static int Limit(HttpRequest request) => (int)(Number(request, "limit", LimitMax) ?? LimitDefault);

    /// <summary>A number from 1 on; null when it is not there.</summary>
    public static long? Number(HttpRequest request, string name, long max = long.MaxValue)
    {
        if (!request.Query.TryGetValue(name, out var values))
            return null;
        return ParseIndex(name, values.ToString(), max);
    }

    public static long ParseIndex(string name, string text, long max = long.MaxValue) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) && number >= 1 && number <= max
            ? number
            : throw new ProblemException(Problems.BadRequest("bad-number", max == long.MaxValue
                ? $"{name} is '{text}'; allowed: a whole number from 1 on."
                : $"{name} is '{text}'; allowed: 1 to {max}."));
}

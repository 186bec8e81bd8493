using System.Globalization;

namespace Raft.Host.Api;

/// <summary>Numbers of the query, with messages that say what is allowed.</summary>
internal static class Query
{
    public const int LimitDefault = 100;
    public const int LimitMax = 1000;

    /// <summary>Bytes of stored content in one page; a single larger item goes alone.</summary>
    public const long PageBytesMax = 1 << 20;

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

namespace Raft.Host.Api;

/// <summary>Routes are chosen by the server's normalised path, keys are read from the raw one. This holds the two together: what a
/// request names in the one must be what it names in the other.</summary>
/// <remarks>Without it <c>PUT /v1/kv/../../v1/drain</c> would be routed to the drain, and <c>/v1/groups/a/kv/../../b/kv/x</c> would
/// write into group b while every proxy in front of this node that looks at the raw path sees group a.</remarks>
internal static class RoutedPath
{
    /// <summary>Resources whose rest of the path is a key, of any characters.</summary>
    private static readonly string[] KeyedResources = ["kv", "idempotency"];

    /// <summary>Null when the raw target names what the routed path names; else what is wrong with it.</summary>
    /// <param name="target">As it stands in the request line.</param>
    /// <param name="routed">After the server has decoded it and removed '.' and '..' segments.</param>
    public static string? FaultOf(string target, string routed)
    {
        // Hot path: nothing that normalisation could change.
        if (target.StartsWith('/') && !target.Contains('%') && !target.Contains("/.", StringComparison.Ordinal) && !target.Contains('\\'))
            return null;

        ReadOnlySpan<char> path = RawPath.PathOf(target);
        if (path.IsEmpty)
            return routed.Length <= 1 ? null : "The request target has no path.";
        string[] raw = path[1..].ToString().Split('/'), seen = routed.TrimStart('/').Split('/');
        int key = KeyStart(raw);
        int named = key >= 0 ? key : raw.Length;
        for (int i = 0; i < named; i++)
        {
            if (IsDots(raw[i]))
                return "The path has a '.' or '..' segment where a resource or group is named. Write the path without it.";
            if (raw[i].Contains("%2f", StringComparison.OrdinalIgnoreCase) || raw[i].Contains("%5c", StringComparison.OrdinalIgnoreCase) || raw[i].Contains('\\'))
                return $"'{raw[i]}' in the path holds a slash or backslash where a resource or group is named.";
            if (i >= seen.Length || Uri.UnescapeDataString(raw[i]) != seen[i])
                return $"The path names '{raw[i]}' where the server reads '{(i < seen.Length ? seen[i] : "")}'.";
        }

        if (key < 0)
            return seen.Length == raw.Length ? null : "The path is read as another one than it is written.";
        return FaultOfKey(raw.AsSpan(key), isKeyRouted: seen.Length > key && seen[key..].Any(segment => segment.Length > 0));
    }

    /// <summary>The index of the first segment of a key; -1 when the path names none.</summary>
    private static int KeyStart(string[] segments)
    {
        int resource = segments.Length > 1 && segments[1].Equals("groups", StringComparison.OrdinalIgnoreCase) ? 3 : 1;
        return segments.Length > resource + 1 && KeyedResources.Contains(segments[resource], StringComparer.OrdinalIgnoreCase) ? resource + 1 : -1;
    }

    /// <summary>A key may hold dot segments as long as none of them leaves it, and the server still sees a key.</summary>
    private static string? FaultOfKey(ReadOnlySpan<string> key, bool isKeyRouted)
    {
        int depth = 0;
        bool isEmpty = true;
        foreach (string segment in key)
        {
            isEmpty &= segment.Length == 0;
            if (IsDoubleDot(segment))
                depth--;
            else if (!IsDots(segment))
                depth++;
            if (depth < 0)
                return "The '..' segments of the key lead out of it. Write '/' inside a key as '%2F'.";
        }

        return isEmpty || isKeyRouted ? null : "The key consists of '.' and '..' segments, which HTTP removes from a path. Choose another key, or write '/' inside it as '%2F'.";
    }

    private static bool IsDots(string segment) => Dots(segment) is "." or "..";

    private static bool IsDoubleDot(string segment) => Dots(segment) == "..";

    private static string Dots(string segment) => segment.Length <= 6 ? segment.Replace("%2e", ".", StringComparison.OrdinalIgnoreCase) : segment;
}

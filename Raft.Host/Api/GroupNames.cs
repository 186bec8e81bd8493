using Raft.Host.Hosting;

namespace Raft.Host.Api;

/// <summary>Which group a request is for: <c>/v1/groups/{group}/...</c>, or the first one at <c>/v1/...</c></summary>
internal static class GroupNames
{
    /// <summary>The name in the path; null when there is none.</summary>
    public static string? InPath(HttpContext context) => context.Request.RouteValues.TryGetValue("group", out object? value) ? (string?)value : null;

    /// <summary>Null when this node runs no such group, or none yet.</summary>
    public static HostedGroup? Named(this GroupRegistry groups, HttpContext context) => InPath(context) is { } name ? groups.Find(name) : groups.First;

    /// <summary>Where a resource of the group is.</summary>
    public static string PathOf(HttpContext context, string resource) => InPath(context) is { } name ? $"/v1/groups/{name}/{resource}" : $"/v1/{resource}";

    /// <summary>Names for a message: as many as people read.</summary>
    public static string Listed(GroupRegistry groups)
    {
        const int shown = 10;
        string[] names = [.. groups.All.Select(group => group.Id.Value).Order(StringComparer.Ordinal)];
        return names.Length <= shown ? string.Join(", ", names) : $"{string.Join(", ", names.Take(shown))} and {names.Length - shown} more";
    }
}

using System.Text.Json;

namespace Raft.Api.Tests.Support;

/// <summary>One member as a node's /v1/cluster shows it.</summary>
internal sealed record MemberView(string Node, string StorageId, string Kind);

/// <summary>Who belongs to a cluster of processes, and its groups.</summary>
internal static class Members
{
    /// <summary>The first group's members as this node knows them.</summary>
    public static async Task<MemberView[]> MemberViewsAsync(this NodeProcess node) =>
    [
        .. (await node.GetJsonAsync("/v1/cluster")).GetProperty("members").EnumerateArray().Select(member => new MemberView(
            member.GetProperty("node").GetString()!, member.GetProperty("storageId").GetString()!, member.GetProperty("kind").GetString()!)),
    ];

    /// <summary>Waits until this node knows exactly these voters, and nobody else.</summary>
    public static Task WaitUntilVotersAreAsync(this NodeProcess node, params string[] voters) => node.WaitAsync(
        async () =>
        {
            // In a joint configuration they are voters, and the former ones still decide with them.
            MemberView[] members = await node.MemberViewsAsync();
            return await node.SettledVotersAsync() is not null && members.All(member => member.Kind == "voter") && members.Select(member => member.Node).Order(StringComparer.Ordinal).SequenceEqual(voters);
        },
        $"the voters to be {string.Join(", ", voters)}");

    /// <summary>One group in this node's status; null when it does not run there.</summary>
    public static async Task<JsonElement?> GroupAsync(this NodeProcess node, string group)
    {
        foreach (JsonElement one in (await node.GetJsonAsync("/v1/status")).GetProperty("groups").EnumerateArray())
        {
            if (one.GetProperty("group").GetString() == group)
                return one;
        }

        return null;
    }

    /// <summary>The storage id of the directory that the node runs on.</summary>
    public static async Task<string> StorageIdAsync(this NodeProcess node) => (await node.GetJsonAsync("/v1/status")).GetProperty("storageId").GetString()!;
}

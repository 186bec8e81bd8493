using System.Net;
using System.Text.Json;

namespace Raft.Api.Tests.Support;

/// <summary>Members, leaders and groups as the tests ask for them.</summary>
internal static class GroupRequests
{
    public static Task<HttpResponseMessage> SendJsonAsync(this NodeProcess node, string method, string path, string? json, string? ifMatch = null, string? ifNoneMatch = null) =>
        node.Http.SendAsync(RestClient.Request(new HttpMethod(method), path, json is null ? null : System.Text.Encoding.UTF8.GetBytes(json), "application/json", ifMatch: ifMatch, ifNoneMatch: ifNoneMatch));

    /// <summary>Sends it; the answer must have this status; gives its body.</summary>
    public static async Task<JsonElement> AskAsync(this NodeProcess node, string method, string path, string? json = null, HttpStatusCode status = HttpStatusCode.OK)
    {
        using HttpResponseMessage answer = await node.SendJsonAsync(method, path, json);
        await RestClient.AssertStatusAsync(status, answer);
        return await answer.JsonAsync();
    }

    public static Task<JsonElement> MembersOfAsync(this NodeProcess node, string group = "default") => node.GetJsonAsync($"/v1/groups/{group}/members");

    public static string KindOf(this JsonElement members, string node) =>
        members.GetProperty("members").EnumerateArray().Where(member => member.GetProperty("id").GetString() == node).Select(member => member.GetProperty("kind").GetString()!).SingleOrDefault("none");

    /// <summary>Waits until a node leads the group, in the eyes of the node that is asked.</summary>
    public static async Task<string> LeaderOfAsync(this NodeProcess node, string group = "default")
    {
        string? leader = null;
        await node.WaitAsync(async () => (leader = (await node.MembersOfAsync(group)).GetProperty("leader").GetString()) is not null, $"a leader of {group}");
        return leader!;
    }

    /// <summary>Makes a node the leader of a group, if it is not already; returns when the node that is asked knows it.</summary>
    public static async Task LeadAsync(this NodeProcess node, string group, string leader)
    {
        await node.WaitAsync(
            async () =>
            {
                if (await node.LeaderOfAsync(group) == leader)
                    return true;
                using HttpResponseMessage _ = await node.SendJsonAsync("POST", $"/v1/groups/{group}/leader/transfer", $$"""{"target":"{{leader}}"}""");
                return false;
            },
            $"{leader} to lead {group}");
    }

    /// <summary>The index of the configuration of each group.</summary>
    public static async Task<long[]> ConfigurationsAsync(this NodeProcess node) =>
        [.. (await node.GetJsonAsync("/v1/status")).GetProperty("groups").EnumerateArray().Select(group => group.GetProperty("configurationIndex").GetInt64())];

    /// <summary>A node that runs, is in no cluster, and waits to be taken into one.</summary>
    public static NodeProcess NewSpare(this ClusterProcesses cluster, string id)
    {
        int[] ports = Ports.Take(2);
        NodeProcess first = cluster[0];
        var spare = new NodeProcess(id, Path.Combine(cluster.Directory, id), ports[0], ports[1]);
        foreach ((string key, string? value) in first.Settings.Where(setting => !spare.Settings.ContainsKey(setting.Key) && !setting.Key.StartsWith("Raft__Members__", StringComparison.Ordinal)))
            spare.Settings[key] = value;
        spare.Settings["Raft__Members__0__Id"] = first.Id;
        spare.Settings["Raft__Members__0__PeerUrl"] = first.PeerUrl;
        spare.Settings["Raft__Members__1__Id"] = id;
        spare.Settings["Raft__Members__1__PeerUrl"] = spare.PeerUrl;
        return spare;
    }
}

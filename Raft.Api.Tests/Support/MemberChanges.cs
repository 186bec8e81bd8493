using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Raft.Api.Tests.Support;

/// <summary>Changes of members as an operator makes them: asked again until they are done, whoever leads meanwhile.</summary>
internal static class MemberChanges
{
    /// <summary>A node that is new and told, by <c>Raft:Join</c>, to ask these members to take it in.</summary>
    public static NodeProcess NewJoining(this ClusterProcesses cluster, string id, IEnumerable<NodeProcess> members)
    {
        NodeProcess node = cluster.NewSpare(id);
        foreach (string key in node.Settings.Keys.Where(key => key.StartsWith("Raft__Members__", StringComparison.Ordinal)).ToArray())
            node.Settings.Remove(key);
        foreach ((int n, NodeProcess member) in members.Index())
            node.Settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Join__{n}")] = member.PeerUrl;
        return node;
    }

    public static string AddressesOf(NodeProcess node, bool voter = true) =>
        $$"""{"id":"{{node.Id}}","peerUrl":"{{node.PeerUrl}}","apiUrl":"{{node.ApiUrl}}","voter":{{(voter ? "true" : "false")}}}""";

    /// <summary>Asks one after the other until the members are settled and the voters are these.</summary>
    public static Task UntilVotersAreAsync(this ClusterProcesses cluster, IReadOnlyList<NodeProcess> asked, string[] voters, string? method = null, string path = "", string? body = null)
    {
        int turn = 0;
        string last = "";
        return Wait.UntilAsync(
            async () =>
            {
                NodeProcess node = asked[turn++ % asked.Count];
                if (await node.SettledVotersAsync() is { } settled && settled.SequenceEqual(voters.Order(StringComparer.Ordinal)))
                    return true;
                if (method is null)
                    return false;

                using HttpResponseMessage answer = await node.SendJsonAsync(method, path + "?timeoutMs=2000", body);
                last = $"{node.Id} {(int)answer.StatusCode}: {await answer.TextAsync()}";
                if (answer.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.Accepted or HttpStatusCode.Conflict or HttpStatusCode.NotFound
                    or HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout))
                {
                    Assert.Fail($"{method} {path}: {last}");
                }

                return false;
            },
            $"the voters to be {string.Join(", ", voters)} after {method} {path}",
            () => $"{last}{Environment.NewLine}{cluster.Tail()}", bound: 2 * Wait.Bound);
    }

    /// <summary>The voters, sorted, as this node sees them; null while a change is under way or one of them is not known to be committed.</summary>
    public static async Task<string[]?> SettledVotersAsync(this NodeProcess node, string query = "")
    {
        JsonElement members = await node.GetJsonAsync("/v1/members" + query);
        if (members.GetProperty("change").ValueKind != JsonValueKind.Null || members.GetProperty("groupsInChange").GetArrayLength() > 0)
            return null;
        return
        [
            .. members.GetProperty("members").EnumerateArray().Where(member => member.GetProperty("kind").GetString() == "voter")
                .Select(member => member.GetProperty("id").GetString()!).Order(StringComparer.Ordinal),
        ];
    }

    /// <summary>Waits until all these nodes, each by itself, have the same settled configuration; gives its voters.</summary>
    public static async Task<string[]> SettledEverywhereAsync(this ClusterProcesses cluster, IReadOnlyList<NodeProcess> nodes)
    {
        string[] found = [];
        List<string> seen = [];
        await Wait.UntilAsync(
            async () =>
            {
                seen.Clear();
                var indexes = new HashSet<long>();
                bool settled = true;
                foreach (NodeProcess node in nodes)
                {
                    JsonElement members = await node.GetJsonAsync("/v1/members?local=true");
                    seen.Add(members.ToString());
                    indexes.Add(members.GetProperty("configurationIndex").GetInt64());
                    settled &= await node.SettledVotersAsync("?local=true") is { } voters && (found = voters).Length > 0;
                }

                return settled && indexes.Count == 1;
            },
            "one settled configuration everywhere",
            () => string.Join(Environment.NewLine, seen) + cluster.Tail(), bound: 2 * Wait.Bound);
        return found;
    }

    /// <summary>Waits until these nodes have applied the same index and hold the same state.</summary>
    public static async Task WaitUntilEqualAsync(this ClusterProcesses cluster, IReadOnlyList<NodeProcess> nodes)
    {
        List<NodeStatus> last = [];
        await Wait.UntilAsync(
            async () =>
            {
                last = [];
                foreach (NodeProcess node in nodes)
                    last.Add(await node.StatusAsync());
                return last.All(status => status.AppliedIndex == last[0].AppliedIndex && status.CommitIndex == status.AppliedIndex
                    && status.StateHash is not null && status.StateHash == last[0].StateHash);
            },
            "equal applied indexes and state hashes",
            () => string.Join(Environment.NewLine, last.Select(status => status.Text)) + string.Join(Environment.NewLine, nodes.Select(node => node.Tail())));
        foreach (NodeStatus status in last)
            Assert.Null(JsonElement.Parse(status.Text).GetProperty("groups")[0].TryGetProperty("hashAlarm", out JsonElement alarm) && alarm.ValueKind == JsonValueKind.String ? alarm.GetString() : null);
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>What an operator asks of a node, and its answer in a few words: nobody promises that it can be done at the moment.</summary>
internal static class Operator
{
    private const int TextMost = 120;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task<string> AskAsync(ChaosNode node, string method, string path, string? json = null, int textMost = TextMost)
    {
        try
        {
            using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(8));
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            if (json is not null)
                request.Content = new StringContent(json, Encoding.UTF8, "application/json");
            using HttpResponseMessage answer = await node.Process.Http.SendAsync(request, bound.Token);
            string text = await answer.Content.ReadAsStringAsync(bound.Token);
            return string.Create(CultureInfo.InvariantCulture, $"{(int)answer.StatusCode} {(text.Length > textMost ? text[..textMost] : text)}");
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException)
        {
            return "no answer";
        }
    }

    /// <summary>Of a member, as another node sees it: voter, learner, joining, none; "changing" while a change is under way; null without an answer.</summary>
    public static async Task<string?> KindOfAsync(ChaosNode asked, string member)
    {
        string answer = await AskFullAsync(asked, "/v1/members");
        if (answer.Length == 0)
            return null;
        JsonElement members = JsonElement.Parse(answer);
        if (members.GetProperty("change").ValueKind != JsonValueKind.Null)
            return "changing";
        return members.GetProperty("members").EnumerateArray().Where(one => one.GetProperty("id").GetString() == member)
            .Select(one => one.GetProperty("kind").GetString()).SingleOrDefault() ?? "none";
    }

    /// <summary>Whether all nodes vote, as one of them sees it: only then may one of them lose its disk.</summary>
    public static async Task<bool> DoAllVoteAsync(ChaosCluster cluster)
    {
        foreach (ChaosNode asked in cluster.Nodes)
        {
            string?[] kinds = await Task.WhenAll(cluster.Nodes.Select(node => KindOfAsync(asked, node.Id)));
            if (kinds.Any(kind => kind is not null))
                return kinds.All(kind => kind == "voter");
        }

        return false;
    }

    /// <summary>Asks the other nodes, one after the other, until a member is of a kind. What does not succeed while other faults
    /// last is told, and left as it is.</summary>
    public static async Task UntilAsync(ChaosCluster cluster, ChaosNode node, string wanted, int first, Func<ChaosNode, Task<string>> askAsync)
    {
        string last = "";
        long begun = Stopwatch.GetTimestamp();
        for (int turn = first; Stopwatch.GetElapsedTime(begun) < Patience; turn++)
        {
            ChaosNode asked = cluster.Nodes[turn % cluster.Nodes.Count];
            if (asked == node)
                continue;
            string? kind = await KindOfAsync(asked, node.Id);
            if (kind == wanted)
                return;
            if (kind is not null and not "changing" and not "joining")
                last = await askAsync(asked);
            await Task.Delay(200);
        }

        cluster.Log.Write($"{node.Id} did not become '{wanted}' in {Patience.TotalSeconds} s: {last}");
    }

    private static async Task<string> AskFullAsync(ChaosNode node, string path)
    {
        try
        {
            using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(3));
            using HttpResponseMessage answer = await node.Process.Http.GetAsync(path, bound.Token);
            return answer.IsSuccessStatusCode ? await answer.Content.ReadAsStringAsync(bound.Token) : "";
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException)
        {
            return "";
        }
    }
}

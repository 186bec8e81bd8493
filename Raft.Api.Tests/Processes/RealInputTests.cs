using System.Net;
using System.Text;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class RealInputTests(ITestOutputHelper output)
{
    private const string WordList = "/usr/share/dict/american-english";
    private const int LinesPerBatch = 500;

    [SkippableFact]
    public async Task The_word_list_arrives_whole_in_order_and_once_although_the_leader_is_killed_half_way()
    {
        Skip.IfNot(File.Exists(WordList), $"{WordList} is missing: apt-get install -y wamerican");
        string[] words = await File.ReadAllLinesAsync(WordList);
        Assert.Equal(104_334, words.Length);
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        NodeProcess follower = await cluster.FollowerAsync();

        string[][] batches = [.. words.Chunk(LinesPerBatch)];
        NodeProcess? killed = null;
        long next = 1;
        for (int number = 0; number < batches.Length; number++)
        {
            if (number == batches.Length / 2)
            {
                killed = await cluster.LeaderAsync();
                follower = cluster.Nodes.First(node => node != killed);
                Task kill = killed.KillAsync(); // while the next batches are on their way
                next = await AppendAsync(follower, batches[number], number, next);
                await kill;
            }
            else
            {
                if (number == batches.Length * 3 / 4)
                    killed!.Start();
                next = await AppendAsync(follower, batches[number], number, next);
            }
        }

        // Sent once more with its key, a batch is not appended a second time.
        Assert.Equal(next, await AppendAsync(follower, batches[^1], batches.Length - 1, next - batches[^1].Length));

        await cluster.WaitUntilReadyAsync();
        IReadOnlyList<NodeStatus> states = await cluster.WaitUntilEqualAsync();
        Assert.Equal(3, states.Count);
        foreach (NodeProcess node in cluster.Nodes)
            Assert.Equal(words, await Journal.ReadAllAsync(node));
    }

    /// <summary>Appends one batch, again and again with its key until the answer is final; gives the index after it.</summary>
    private static async Task<long> AppendAsync(NodeProcess node, string[] words, int number, long expectedFirst)
    {
        var body = new StringBuilder();
        foreach (string word in words)
            body.Append(JsonSerializer.Serialize(word)).Append('\n');
        byte[] bytes = Encoding.UTF8.GetBytes(body.ToString());

        JsonElement answer = default;
        await node.WaitAsync(
            async () =>
            {
                using HttpResponseMessage response = await node.Http.SendAsync(
                    RestClient.Request(HttpMethod.Post, "/v1/entries", bytes, "application/x-ndjson", key: $"words-{number}"));
                if (response.StatusCode == HttpStatusCode.Created)
                {
                    answer = await response.JsonAsync();
                    return true;
                }

                Assert.True((int)response.StatusCode is 409 or 429 or 503 or 504, $"{(int)response.StatusCode}: {await response.TextAsync()}");
                return false;
            },
            $"batch {number} to be acknowledged");

        Assert.Equal(expectedFirst, answer.GetProperty("firstIndex").GetInt64());
        Assert.Equal(words.Length, answer.GetProperty("count").GetInt32());
        Assert.Equal(expectedFirst + words.Length - 1, answer.GetProperty("lastIndex").GetInt64());
        return expectedFirst + words.Length;
    }
}

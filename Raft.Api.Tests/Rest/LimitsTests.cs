using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Raft.Api.Tests.Support;
using Raft.Host.Settings;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Rest;

/// <summary>What is answered when a limit is reached, on nodes whose limits are small.</summary>
[Collection(ProcessCollection.Name)]
public sealed class LimitsTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Journal_entries_beyond_the_retention_are_a_410_with_the_first_index_kept()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node => node.Settings["Raft__Journal__MaxEntries"] = "10");
        NodeProcess node = cluster[0];
        for (int n = 1; n <= 30; n++)
            await node.AppendAsync(n.ToString(CultureInfo.InvariantCulture));

        using HttpResponseMessage gone = await node.GetAsync("/v1/entries/5");
        JsonElement problem = await RestClient.AssertProblemAsync(HttpStatusCode.Gone, null, gone);
        Assert.Contains("entry-compacted", problem.ToString(), StringComparison.Ordinal);
        Assert.Contains("21", problem.ToString(), StringComparison.Ordinal);
        Assert.Equal("21", await (await node.GetAsync("/v1/entries/21")).TextAsync());
        using HttpResponseMessage page = await node.GetAsync("/v1/entries?from=1");
        await RestClient.AssertProblemAsync(HttpStatusCode.Gone, null, page);

        await node.KillAsync();
        await node.StartAndWaitUntilReadyAsync();
        Assert.Equal(31, await node.AppendAsync("31"));
        Assert.Equal(HttpStatusCode.Gone, (await node.GetAsync("/v1/entries/21")).StatusCode);
    }

    [Fact]
    public async Task A_table_full_of_young_keys_is_a_429_and_none_is_forgotten()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node => node.Settings["Raft__Idempotency__MaxKeys"] = "3");
        NodeProcess node = cluster[0];
        long first = await node.AppendAsync("a", key: "key-a");
        await node.AppendAsync("b", key: "key-b");
        await node.AppendAsync("c", key: "key-c");
        using HttpResponseMessage answer = await node.PostAsync("/v1/entries", "d", key: "key-d");
        await RestClient.AssertProblemAsync(HttpStatusCode.TooManyRequests, "notSubmitted", answer);
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.Equal(first, await node.AppendAsync("a", key: "key-a"));
        Assert.Equal(first + 3, await node.AppendAsync("without a key"));
    }

    [Fact]
    public async Task A_smaller_limit_of_bytes_holds_for_entries_batches_and_values()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node => node.Settings["Raft__Limits__MaxCommandBytes"] = "4096");
        NodeProcess node = cluster[0];
        string large = new('x', 5_000), lines = string.Concat(Enumerable.Repeat("\"line\"\n", 1_000));
        using HttpResponseMessage entry = await node.PostAsync("/v1/entries", large);
        await RestClient.AssertProblemAsync(HttpStatusCode.RequestEntityTooLarge, "notSubmitted", entry);
        using HttpResponseMessage batch = await node.PostAsync("/v1/entries", lines, "application/x-ndjson");
        await RestClient.AssertProblemAsync(HttpStatusCode.RequestEntityTooLarge, "notSubmitted", batch);
        using HttpResponseMessage value = await node.PutAsync("/v1/kv/large", large);
        await RestClient.AssertProblemAsync(HttpStatusCode.RequestEntityTooLarge, "notSubmitted", value);
        Assert.Equal(1, await node.AppendAsync(new string('x', 3_000)));
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(RaftOptionsValidator.CommandBytesCeiling)]
    public async Task A_body_of_exactly_the_limit_is_taken_whatever_goes_with_it_and_one_byte_more_is_not(int limit)
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            ClusterProcesses.Patient(node);
            node.Settings["Raft__Limits__MaxCommandBytes"] = limit.ToString(CultureInfo.InvariantCulture);
            node.Settings["Raft__RequestTimeoutMs"] = "30000";
        });
        NodeProcess follower = await cluster.FollowerAsync(), other = cluster.Nodes.First(node => node != follower);
        string longest = "text/plain; x=" + new string('y', 255 - "text/plain; x=".Length), name = new('n', 1_024);
        byte[] body = Encoding.ASCII.GetBytes(new string('x', limit));

        using HttpResponseMessage entry = await follower.Http.SendAsync(RestClient.Request(HttpMethod.Post, "/v1/entries", body, longest, new string('a', 255)));
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, entry);
        Assert.Equal(body, await other.Http.GetByteArrayAsync(entry.Headers.Location));

        string tags = string.Join(", ", Enumerable.Range(1, 64).Select(n => $"\"{n + 1_000_000}\""));
        using HttpResponseMessage value = await follower.Http.SendAsync(RestClient.Request(
            HttpMethod.Put, "/v1/kv/" + name, body, longest, new string('b', 255), ifNoneMatch: tags));
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, value);
        Assert.Equal(body, await other.Http.GetByteArrayAsync(new Uri("/v1/kv/" + name, UriKind.Relative)));

        byte[] lines = Encoding.ASCII.GetBytes("\"first\"\n\"" + new string('z', limit - 11) + "\"\n");
        Assert.Equal(limit, lines.Length);
        using HttpResponseMessage batch = await follower.Http.SendAsync(RestClient.Request(HttpMethod.Post, "/v1/entries", lines, "application/x-ndjson"));
        await RestClient.AssertStatusAsync(HttpStatusCode.Created, batch);
        Assert.Equal(3, (await batch.JsonAsync()).GetProperty("lastIndex").GetInt64());
        Assert.Equal(limit - 9, (await other.Http.GetByteArrayAsync(new Uri("/v1/entries/3", UriKind.Relative))).Length);

        byte[] more = [.. body, (byte)'x'], moreLines = [.. lines, (byte)'\n'];
        foreach ((HttpMethod method, string path, byte[] over, string type) in new[]
        {
            (HttpMethod.Post, "/v1/entries", more, "text/plain"),
            (HttpMethod.Post, "/v1/entries", moreLines, "application/x-ndjson"),
            (HttpMethod.Put, "/v1/kv/over", more, "text/plain"),
        })
        {
            using HttpResponseMessage refused = await follower.Http.SendAsync(RestClient.Request(method, path, over, type));
            await RestClient.AssertProblemAsync(HttpStatusCode.RequestEntityTooLarge, "notSubmitted", refused);
        }

        Assert.Equal(HttpStatusCode.NotFound, (await other.GetAsync("/v1/kv/over")).StatusCode);
        Assert.Equal(4, await other.AppendAsync("next"));
        await cluster.WaitUntilEqualAsync();

        // What the disks hold is read back by the same limits.
        foreach (NodeProcess node in cluster.Nodes)
            await node.KillAsync();
        foreach (NodeProcess node in cluster.Nodes)
            node.Start();
        await cluster.WaitUntilReadyAsync();
        Assert.Equal(body, await follower.Http.GetByteArrayAsync(entry.Headers.Location));
    }

    [Theory]
    [InlineData("Content-Length: 100\r\n\r\nonly this")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n")]
    public async Task A_body_that_does_not_arrive_in_time_is_a_408_and_no_fault_of_the_node(string request)
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(1, output, node => node.Settings["Raft__RequestTimeoutMs"] = "300");
        NodeProcess node = cluster[0];
        using RawHttp raw = await RawHttp.ConnectAsync(node.ApiPort);
        await raw.WriteAsync($"POST /v1/entries HTTP/1.1\r\nHost: 127.0.0.1:{node.ApiPort}\r\n{request}");
        Assert.Equal(408, RawHttp.StatusOf(await raw.ReadHeadAsync()));
        Assert.True(await raw.EndsAsync());
        await node.WaitAsync(async () => (await node.PostAsync("/v1/entries", "after", key: "after")).IsSuccessStatusCode, "the next write");
        Assert.Single(await Journal.ReadAllAsync(node));
        Assert.DoesNotContain("fail:", node.Output, StringComparison.Ordinal);
    }
}

using System.Globalization;
using System.Net;
using System.Text.Json;
using Raft.Api.Tests.Support;
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
}

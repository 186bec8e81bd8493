using System.Globalization;
using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class StaleReadTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_stale_read_is_answered_without_a_leader_and_says_how_stale_it_may_be()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node =>
        {
            TwoGroups.Configure(node);
            node.Settings["Raft__RequestTimeoutMs"] = "500";
        });
        NodeProcess leader = await cluster.LeaderAsync();
        NodeProcess left = cluster.Nodes.First(node => node != leader);
        (await left.PutAsync("/v1/groups/orders/kv/colour", "blue")).EnsureSuccessStatusCode();
        await left.AppendAsync("entry");
        foreach (NodeProcess node in cluster.Nodes)
        {
            using HttpResponseMessage fresh = await node.GetAsync("/v1/kv?consistency=stale");
            await RestClient.AssertStatusAsync(HttpStatusCode.OK, fresh);
            Assert.NotNull(RestClient.Header(fresh, "Raft-Applied-Index"));
        }

        foreach (NodeProcess node in cluster.Nodes.Where(node => node != left))
            await node.KillAsync();
        await left.WaitAsync(async () => (await left.StatusAsync()).Leader is null, "the leader to be forgotten");

        long last = -1;
        foreach (string path in new[] { "/v1/groups/orders/kv/colour", "/v1/groups/orders/kv?prefix=c", "/v1/entries", "/v1/entries/1", "/v1/groups/orders/kv/colour" })
        {
            using HttpResponseMessage linearizable = await left.GetAsync(path);
            await RestClient.AssertProblemAsync(HttpStatusCode.ServiceUnavailable, null, linearizable);
            using HttpResponseMessage stale = await left.GetAsync(path + (path.Contains('?', StringComparison.Ordinal) ? "&" : "?") + "consistency=STALE");
            await RestClient.AssertStatusAsync(HttpStatusCode.OK, stale);
            Assert.True(long.Parse(RestClient.Header(stale, "Raft-Applied-Index")!, CultureInfo.InvariantCulture) >= 1);
            last = long.Parse(RestClient.Header(stale, "Raft-Staleness-Ms")!, CultureInfo.InvariantCulture);
        }

        Assert.True(last >= 500, $"After several failed reads of 500 ms it says {last} ms.");
        using HttpResponseMessage head = await left.Http.SendAsync(RestClient.Request(HttpMethod.Head, "/v1/groups/orders/kv/colour?consistency=stale"));
        await RestClient.AssertStatusAsync(HttpStatusCode.OK, head);

        // Alone it never catches up with a leader, so after a restart no bound is known, and none is claimed.
        await left.StopAsync();
        left.Start();
        await left.WaitAsync(async () => (await left.GetAsync("/v1/entries?consistency=stale")).StatusCode == HttpStatusCode.OK, "stale reads after the restart");
        using HttpResponseMessage unbounded = await left.GetAsync("/v1/entries?consistency=stale");
        Assert.Null(RestClient.Header(unbounded, "Raft-Staleness-Ms"));
        Assert.NotNull(RestClient.Header(unbounded, "Raft-Applied-Index"));

        using HttpResponseMessage wrong = await left.GetAsync("/v1/kv/x?consistency=eventual");
        await RestClient.AssertProblemAsync(HttpStatusCode.BadRequest, null, wrong);
    }
}

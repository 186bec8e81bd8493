using System.Net;
using Raft.Api.Tests.Support;

namespace Raft.Api.Tests.Rest;

[Collection(ProcessCollection.Name)]
public sealed class NoLeaderTests
{
    [Fact]
    public async Task Without_a_majority_writes_and_reads_are_503_and_say_when_to_come_again()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output: null, node => node.Settings["Raft__RequestTimeoutMs"] = "1000");
        NodeProcess leader = await cluster.LeaderAsync();
        NodeProcess left = cluster.Nodes.First(node => node != leader);
        (await left.PutAsync("/v1/kv/before", "x")).EnsureSuccessStatusCode();
        foreach (NodeProcess node in cluster.Nodes.Where(node => node != left))
            await node.KillAsync();
        await left.WaitAsync(async () => (await left.StatusAsync()).Leader is null, "the leader to be forgotten");

        using HttpResponseMessage write = await left.PostAsync("/v1/entries", "x");
        await RestClient.AssertProblemAsync(HttpStatusCode.ServiceUnavailable, "notSubmitted", write);
        Assert.NotNull(write.Headers.RetryAfter);
        using HttpResponseMessage read = await left.GetAsync("/v1/kv/before");
        await RestClient.AssertProblemAsync(HttpStatusCode.ServiceUnavailable, null, read);
        Assert.NotNull(read.Headers.RetryAfter);

        Assert.Equal(HttpStatusCode.OK, (await left.GetAsync("/livez")).StatusCode);
        await left.WaitUntilNotReadyBecauseAsync("leader");
        Assert.Equal(HttpStatusCode.OK, (await left.GetAsync("/v1/status")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await left.GetAsync("/v1/cluster")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await left.GetAsync("/metrics")).StatusCode);
    }

    [Fact]
    public async Task A_write_that_the_leader_took_and_could_not_commit_is_unknown()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output: null, node => node.Settings["Raft__RequestTimeoutMs"] = "2000");
        NodeProcess leader = await cluster.LeaderAsync();
        await leader.AppendAsync("before");
        foreach (NodeProcess node in cluster.Nodes.Where(node => node != leader))
            node.Send(Signal.Stop);
        try
        {
            using HttpResponseMessage answer = await leader.PostAsync("/v1/entries", "perhaps", key: "perhaps");
            await RestClient.AssertProblemAsync(HttpStatusCode.GatewayTimeout, "unknown", answer);
        }
        finally
        {
            foreach (NodeProcess node in cluster.Nodes.Where(node => node != leader))
                node.Send(Signal.Continue);
        }

        // The same key tells the outcome, and the entry is there exactly once.
        await leader.WaitAsync(
            async () => (await leader.PostAsync("/v1/entries", "perhaps", key: "perhaps")).StatusCode == HttpStatusCode.Created, "the final answer");
        await cluster.WaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
        Assert.Equal(["before", "perhaps"], await Journal.ReadAllAsync(leader));
    }
}

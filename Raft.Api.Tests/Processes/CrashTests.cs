using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Raft.Api.Tests.Faults;
using Raft.Api.Tests.Support;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class CrashTests(ITestOutputHelper output)
{
    [Fact]
    public async Task What_was_acknowledged_is_there_after_all_nodes_were_killed_at_once_ten_times()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        var acknowledged = new Dictionary<string, long>();
        long[] terms = new long[3];
        for (int round = 0; round < 10; round++)
        {
            NodeProcess? leader = null;
            long led = 0;
            await using (var writers = new Writers(cluster, count: 8, prefix: $"round{round}"))
            {
                await writers.MoreAsync(200);
                for (int n = 0; n < 3; n++)
                {
                    NodeStatus status = await cluster[n].StatusAsync();
                    terms[n] = Math.Max(terms[n], status.Term);
                    if (status.IsLeader)
                        (leader, led) = (cluster[n], status.Term);
                }

                foreach (NodeProcess node in cluster.Nodes)
                    node.Send(Signal.Kill);
                await writers.StopAsync();
                foreach ((string body, long index) in writers.Acknowledged)
                    acknowledged.Add(body, index);
            }

            foreach (NodeProcess node in cluster.Nodes)
                await node.ExitAsync();
            if (leader is not null)
                await AssertVotedForItselfAsync(leader, led, cluster.Directory);
            foreach (NodeProcess node in cluster.Nodes)
                node.Start();

            await cluster.WaitUntilReadyAsync();
            for (int n = 0; n < 3; n++)
                Assert.InRange((await cluster[n].StatusAsync()).Term, terms[n], long.MaxValue);
        }

        await cluster.WaitUntilEqualAsync();
        foreach (NodeProcess node in cluster.Nodes)
        {
            List<string> journal = await Journal.ReadAllAsync(node);
            Assert.Equal(journal.Count, journal.Distinct(StringComparer.Ordinal).Count()); // retried with its key: never twice
            foreach ((string body, long index) in acknowledged)
                Assert.Equal(body, journal[(int)index - 1]);
        }
    }

    [Fact]
    public async Task A_write_is_possible_again_after_the_leader_was_killed()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        NodeProcess leader = await cluster.LeaderAsync();
        long before = await leader.AppendAsync("before");
        long term = (await leader.StatusAsync()).Term;
        await leader.KillAsync();

        NodeProcess survivor = cluster.Running.First();
        await survivor.WaitAsync(
            async () => (await survivor.PostAsync("/v1/entries", "after", key: "after")).StatusCode == HttpStatusCode.Created, "a write to succeed");
        NodeProcess next = await cluster.LeaderAsync();
        Assert.NotEqual(leader, next);
        Assert.InRange((await next.StatusAsync()).Term, term + 1, long.MaxValue);

        await leader.StartAndWaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
        foreach (NodeProcess node in cluster.Nodes)
            Assert.Equal(["before", "after"], (await Journal.ReadAllAsync(node)).Skip((int)before - 1));
    }

    [Fact]
    public async Task A_killed_follower_disturbs_nobody_and_catches_up()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, ClusterProcesses.Patient);
        NodeProcess leader = await cluster.LeaderAsync();
        long term = (await leader.StatusAsync()).Term;
        NodeProcess follower = await cluster.FollowerAsync();
        await follower.KillAsync();
        for (int n = 0; n < 50; n++)
            await leader.AppendAsync($"entry {n}");

        await follower.StartAndWaitUntilReadyAsync();
        IReadOnlyList<NodeStatus> states = await cluster.WaitUntilEqualAsync();
        Assert.All(states, state => Assert.Equal(term, state.Term));
    }

    [Fact]
    public async Task A_stopped_follower_costs_bounded_memory_and_catches_up_when_it_goes_on()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        NodeProcess leader = await cluster.LeaderAsync();
        NodeProcess follower = await cluster.FollowerAsync();
        follower.Send(Signal.Stop);
        try
        {
            await using var writers = new Writers(cluster, count: 8, prefix: "load", bytes: 8_000, except: follower);
            await writers.MoreAsync(10_000); // 80 MB: far more than a leader may keep for one peer
            await writers.StopAsync();
            Assert.InRange(leader.ResidentBytes(), 0, 700L << 20);
        }
        finally
        {
            follower.Send(Signal.Continue);
        }

        await follower.WaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
    }

    [Fact]
    public async Task A_stopped_leader_is_replaced_and_serves_no_stale_read_when_it_goes_on()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        NodeProcess old = await cluster.LeaderAsync();
        (await old.PutAsync("/v1/kv/color", "red")).EnsureSuccessStatusCode();
        old.Send(Signal.Stop);
        try
        {
            NodeProcess next = await cluster.LeaderAsync(otherThan: old);
            await next.WaitAsync(
                async () => (await next.PutAsync("/v1/kv/color", "blue", key: "blue")).IsSuccessStatusCode, "a write by the new leader");
        }
        finally
        {
            old.Send(Signal.Continue);
        }

        for (int n = 0; n < 20; n++)
        {
            using HttpResponseMessage answer = await old.GetAsync("/v1/kv/color");
            if (answer.IsSuccessStatusCode)
                Assert.Equal("blue", await answer.TextAsync());
        }

        await cluster.WaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
    }

    [Fact]
    public async Task A_terminated_node_ends_cleanly_with_exit_code_0()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await cluster[0].AppendAsync("before");
        NodeProcess follower = await cluster.FollowerAsync();
        Assert.Equal(0, await follower.StopAsync());
        await follower.StartAndWaitUntilReadyAsync();
        NodeProcess leader = await cluster.LeaderAsync();
        Assert.Equal(0, await leader.StopAsync());
        await leader.StartAndWaitUntilReadyAsync();
        await cluster.WaitUntilEqualAsync();
    }

    /// <summary>Who led a term has its own vote of that term on its disk, or a later term. Read from a copy, so that the node itself
    /// recovers from what the kill left.</summary>
    private static async Task AssertVotedForItselfAsync(NodeProcess leader, long term, string directory)
    {
        string copy = Path.Combine(directory, "copy");
        DataDirectoryTests.Copy(leader.DataDirectory, copy);
        TermAndVote found;
        await using (NodeStore store = NodeStore.Open(new NodeStoreSettings(copy, new NodeId(leader.Id)), NullLoggerFactory.Instance))
            found = (await store.Group(new GroupId("default")).LoadAsync(cacheBytes: 0, CancellationToken.None)).TermAndVote;
        Directory.Delete(copy, recursive: true);

        Assert.InRange(found.Term.Value, term, long.MaxValue);
        if (found.Term.Value == term)
            Assert.Equal(leader.Id, found.Vote?.Node.Value);
    }
}

using System.Net;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>A change of members, and somebody is killed at any point of it: it is done or it never was.</summary>
[Collection(ProcessCollection.Name)]
public sealed class MembershipCrashTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_joint_change_whose_leader_is_killed_at_any_moment_is_done_or_never_was()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await using NodeProcess fourth = cluster.NewJoining("n4", cluster.Nodes), fifth = cluster.NewJoining("n5", cluster.Nodes);
        NodeProcess[] all = [.. cluster.Nodes, fourth, fifth];
        string[] before = ["n1", "n2", "n3"];
        foreach (NodeProcess learner in new[] { fourth, fifth })
        {
            learner.Start();
            await cluster.UntilVotersAreAsync(cluster.Nodes, [.. before, learner.Id]);
            await cluster.UntilVotersAreAsync(cluster.Nodes, before, "POST", $"/v1/members/{learner.Id}/demote");
        }

        await using var load = new SteadyLoad(cluster, writers: 4, prefix: "kept") { PerSecond = 200 };
        load.Target(all);
        int done = 0, never = 0;
        for (int round = 0; round < 8; round++)
        {
            await load.MoreAsync(20);
            NodeProcess leader = await LeaderAmongAsync(cluster, all);
            string[] wanted = [.. Enumerable.Range(0, 3).Select(n => all[((2 * (round + 1)) + n) % 5].Id).Order(StringComparer.Ordinal)];
            string body = $$"""{"members":[{{string.Join(',', all.Select(node => $$"""{"id":"{{node.Id}}","voter":{{(wanted.Contains(node.Id) ? "true" : "false")}}}"""))}}]}""";
            Task<HttpStatusCode?> answer = StatusOfAsync(leader.SendJsonAsync("PUT", "/v1/members?timeoutMs=30000", body));

            // Every other time not before another node has the change in its log.
            string seen = "submitted";
            if (round % 2 == 1)
            {
                await Wait.UntilAsync(
                    async () => answer.IsCompleted || (seen = await ChangeSeenAsync(all.First(node => node != leader))) != "",
                    "the change to be seen elsewhere", cluster.Tail);
            }

            int delay = Random.Shared.Next(200);
            await Task.Delay(delay);
            await leader.KillAsync();
            HttpStatusCode? status = await answer;
            leader.Start();
            string[] after = await cluster.SettledEverywhereAsync(all);
            Assert.True(after.SequenceEqual(wanted) || after.SequenceEqual(before), $"{string.Join(", ", after)} is neither what was nor what is wanted: {string.Join(", ", wanted)}");
            if (status is HttpStatusCode.OK && !wanted.SequenceEqual(before))
                Assert.Equal(wanted, after);
            if (status is { } refused && (int)refused is 409 or 429 or 503)
                Assert.Equal(before, after);
            bool isDone = after.SequenceEqual(wanted);
            (done, never) = isDone ? (done + 1, never) : (done, never + 1);
            output.WriteLine($"round {round}: {leader.Id} killed {delay} ms after it was {(seen == "" ? "done" : seen)}, answer {(int?)status}: {(isDone ? "done" : "never was")}");
            before = after;
        }

        await load.MoreAsync(20);
        await load.StopAsync();
        output.WriteLine($"{done} done, {never} never were; {load}");
        await cluster.WaitUntilEqualAsync(all);
        await load.AssertAllIsThereOnceAsync(all);
    }

    [Fact]
    public async Task A_node_that_is_killed_while_it_joins_or_is_promoted_is_a_voter_after_its_restart()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output);
        await using NodeProcess fourth = cluster.NewJoining("n4", cluster.Nodes);
        NodeProcess[] all = [.. cluster.Nodes, fourth];
        string[] three = ["n1", "n2", "n3"], four = [.. three, "n4"];
        await using var load = new SteadyLoad(cluster, writers: 4, prefix: "kept", bytes: 2_000);
        await load.MoreAsync(1_000);
        load.PerSecond = 200;

        // Taken in: it has everything to receive.
        fourth.Start();
        await cluster[0].WaitAsync(async () => (await cluster[0].MembersOfAsync()).KindOf("n4") != "none", "n4 to be taken in");
        await fourth.KillAsync();
        await load.MoreAsync(20);
        fourth.Start();
        await cluster.UntilVotersAreAsync(cluster.Nodes, four);

        for (int round = 0; round < 5; round++)
        {
            await cluster.UntilVotersAreAsync(cluster.Nodes, three, "POST", "/v1/members/n4/demote");
            Task<HttpStatusCode?> answer = StatusOfAsync(cluster[round % 3].SendJsonAsync("POST", "/v1/members/n4/promote?timeoutMs=100", null));
            int delay = Random.Shared.Next(100);
            await Task.Delay(delay);
            await fourth.KillAsync();
            HttpStatusCode? status = await answer;
            await load.MoreAsync(20); // three of four, or three of three: the others go on
            fourth.Start();
            if (status is HttpStatusCode.OK or HttpStatusCode.Accepted)
                await cluster.UntilVotersAreAsync(cluster.Nodes, four);
            else
                await cluster.UntilVotersAreAsync(cluster.Nodes, four, "POST", "/v1/members/n4/promote");
            output.WriteLine($"round {round}: killed after {delay} ms, answer {(int?)status}");
        }

        await fourth.WaitUntilReadyAsync();
        await load.StopAsync();
        output.WriteLine(load.ToString());
        Assert.Equal(four, await cluster.SettledEverywhereAsync(all));
        await cluster.WaitUntilEqualAsync(all);
        await load.AssertAllIsThereOnceAsync(all);
    }

    /// <summary>catchingUp, joint or committing, as this node sees it by itself; empty when there is no change.</summary>
    private static async Task<string> ChangeSeenAsync(NodeProcess node) =>
        (await node.GetJsonAsync("/v1/members?local=true")).GetProperty("change") is { ValueKind: System.Text.Json.JsonValueKind.Object } change
            ? change.GetProperty("state").GetString()!
            : "";

    /// <summary>Null when the connection broke.</summary>
    private static async Task<HttpStatusCode?> StatusOfAsync(Task<HttpResponseMessage> request)
    {
        try
        {
            using HttpResponseMessage answer = await request;
            return answer.StatusCode;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException)
        {
            return null;
        }
    }

    private static async Task<NodeProcess> LeaderAmongAsync(ClusterProcesses cluster, NodeProcess[] nodes)
    {
        NodeProcess? found = null;
        await Wait.UntilAsync(
            async () =>
            {
                foreach (NodeProcess node in nodes)
                {
                    if ((await node.StatusAsync()).IsLeader)
                        found = node;
                }

                return found is not null;
            },
            "a leader", cluster.Tail);
        return found!;
    }
}

using System.Diagnostics;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

[Collection(ProcessCollection.Name)]
public sealed class MembershipUnderLoadTests(ITestOutputHelper output)
{
    /// <summary>Three nodes become five, three again, and then three others, the leader among those that go.</summary>
    [Fact]
    public async Task Every_node_is_replaced_while_writes_go_on_and_each_entry_is_there_once()
    {
        await using ClusterProcesses cluster = await ClusterProcesses.StartAsync(3, output, node => node.Settings["Raft__Idempotency__MaxKeys"] = "1000000");
        List<NodeProcess> members = [.. cluster.Nodes];
        var others = new List<NodeProcess>();
        await using var load = new SteadyLoad(cluster, writers: 4, prefix: "kept", bytes: 200);
        try
        {
            await load.MoreAsync(100);
            double capacity = await load.HalveAsync(TimeSpan.FromSeconds(2));
            long start = Stopwatch.GetTimestamp();

            await AddAsync("n4", byJoin: false);
            await AddAsync("n5", byJoin: true);
            await RemoveAsync("n4");
            await RemoveAsync("n5");
            foreach ((string coming, string going) in new[] { ("n6", "n1"), ("n7", "n2"), ("n8", "n3") })
            {
                await AddAsync(coming, byJoin: going == "n2");
                await RemoveAsync(going);
            }

            long end = Stopwatch.GetTimestamp();
            await load.MoreAsync(100);
            await load.StopAsync();
            output.WriteLine($"capacity {capacity:f0} entries/s, half of it under way; {load} In {Stopwatch.GetElapsedTime(start, end).TotalSeconds:f1} s, " +
                $"longest gap between acknowledged writes: {load.LongestGap(start, end).TotalMilliseconds:f0} ms");
            Assert.Equal(["n6", "n7", "n8"], members.Select(node => node.Id));
            await cluster.WaitUntilEqualAsync(members);
            await load.AssertAllIsThereOnceAsync(members);

            async Task AddAsync(string id, bool byJoin)
            {
                long begun = Stopwatch.GetTimestamp();
                NodeProcess node = byJoin ? cluster.NewJoining(id, members) : cluster.NewSpare(id);
                if (!byJoin)
                    (node.Settings["Raft__Members__0__Id"], node.Settings["Raft__Members__0__PeerUrl"]) = (members[0].Id, members[0].PeerUrl);
                others.Add(node);
                node.Start();
                string[] voters = [.. members.Select(member => member.Id), id];
                if (byJoin)
                    await cluster.UntilVotersAreAsync(members, voters);
                else
                    await cluster.UntilVotersAreAsync(members, voters, "POST", "/v1/members", MemberChanges.AddressesOf(node));
                await node.WaitUntilReadyAsync();
                members.Add(node);
                load.Target(members);
                await NoteAsync($"{id} added", begun);
            }

            async Task RemoveAsync(string id)
            {
                long begun = Stopwatch.GetTimestamp();
                NodeProcess node = members.Single(member => member.Id == id);
                NodeProcess[] staying = [.. members.Where(member => member != node)];
                await cluster.UntilVotersAreAsync(staying, [.. staying.Select(member => member.Id)], "DELETE", $"/v1/members/{id}");
                members.Remove(node); // the writers have asked it to the end
                load.Target(members);
                await load.MoreAsync(20);
                Assert.Equal(0, await node.StopAsync());
                await NoteAsync($"{id} removed", begun);
            }

            async Task NoteAsync(string what, long begun)
            {
                await load.MoreAsync(20);
                long now = Stopwatch.GetTimestamp();
                output.WriteLine($"{what}: {Stopwatch.GetElapsedTime(begun, now).TotalSeconds:f1} s, longest gap {load.LongestGap(begun, now).TotalMilliseconds:f0} ms");
            }
        }
        finally
        {
            foreach (NodeProcess node in others)
            {
                await node.DisposeAsync();
                output.WriteLine(node.Tail());
            }
        }
    }
}

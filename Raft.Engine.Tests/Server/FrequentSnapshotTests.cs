using System.Globalization;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// After B6 frequent_snapshotting: snapshots nearly per entry, on a bad network, with crashes and transfers of leadership.
public sealed class FrequentSnapshotTests
{
    [Theory]
    [InlineData(501)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    [InlineData(505)]
    [InlineData(506)]
    public void Snapshots_at_any_moment_lose_nothing_and_double_nothing(int seed) => Cluster.Run(
        3, seed,
        settings: one => one with
        {
            SnapshotFloorBytes = 1,
            MaxLogDiskBytes = 200,
            SnapshotChunkBytes = 100,
            SnapshotSendBytesPerSecond = 100_000,
            ForwardTimeout = TimeSpan.FromSeconds(1),
            Protocol = one.Protocol with { SnapshotTrailingEntries = seed % 3 },
        },
        scenario: async cluster =>
        {
            foreach (Member member in cluster.Members)
            {
                member.Disk.SnapshotTime = () => TimeSpan.FromMilliseconds(cluster.World.Random.NextDouble() * 20);
                member.Disk.KeepsPartAfterCrash = seed % 2 == 0;
            }

            await cluster.LeaderAsync();
            cluster.Network.Loss = 0.05;
            cluster.Network.Doubling = 0.05;
            cluster.Network.IsReordering = true;
            cluster.Network.CallTimeout = TimeSpan.FromMilliseconds(300);
            bool isDone = false;
            int number = 0;
            List<string> acknowledged = [];
            Task[] writers = [.. Enumerable.Range(0, 6).Select(n => WriteAsync(cluster.Members[n % 3]))];
            for (int round = 0; round < 12; round++)
            {
                await cluster.PassAsync(cluster.World.Random.NextDouble());
                Member victim = cluster.Members[cluster.World.Random.Next(3)];
                if (round % 3 == 2)
                {
                    await Tolerate(victim.Server.TransferLeadershipAsync(null, TimeSpan.FromSeconds(1), default));
                    continue;
                }

                victim.Crash();
                await cluster.PassAsync(cluster.World.Random.NextDouble());
                await victim.StartAsync();
            }

            cluster.Network.Loss = 0;
            cluster.Network.Doubling = 0;
            cluster.Network.IsReordering = false;
            await cluster.LeaderAsync();
            await cluster.PassAsync(2);
            isDone = true;
            foreach (Task writer in writers)
                await writer;

            await (await cluster.LeaderAsync()).AddAsync("end");
            await cluster.EventuallyAsync(member => member.Applied.Count > 0 && member.Applied[^1] == "end");
            IReadOnlyList<string> applied = cluster.Members[0].Applied;
            Assert.All(cluster.Members, member => Assert.Equal(applied, member.Applied));
            Assert.Equal(applied.Count, applied.Distinct().Count());
            Assert.Subset(applied.ToHashSet(), acknowledged.ToHashSet());
            Assert.True(acknowledged.Count > 100, $"{acknowledged.Count} writes");

            async Task WriteAsync(Member member)
            {
                while (!isDone)
                {
                    string command = (++number).ToString(CultureInfo.InvariantCulture);
                    if (!member.IsUp)
                    {
                        await cluster.PassAsync(0.05);
                        continue;
                    }

                    var cancellation = new CancellationTokenSource();    // cancelled later than the call may end
                    cluster.World.Schedule(TimeSpan.FromSeconds(2), cancellation.Cancel);
                    Task<AddedEntry> call = member.AddAsync(command, cancellation: cancellation.Token);
                    // A crash takes the call with it: nobody answers any more.
                    await cluster.World.UntilAsync(() => call.IsCompleted || !member.IsUp, "an answer or a crash");
                    if (!call.IsCompleted)
                        continue;
                    if (await Tolerate(call))
                        acknowledged.Add(command);
                    await cluster.PassAsync(0.01);
                }
            }

            static async Task<bool> Tolerate(Task call)
            {
                try
                {
                    await call;
                    return true;
                }
                catch (RaftException)
                {
                    return false;
                }
            }
        });
}

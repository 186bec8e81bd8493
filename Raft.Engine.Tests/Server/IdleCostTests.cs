using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Shards;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// Hundreds of idle groups share a shard: a tick of each must cost next to nothing.
public sealed class IdleCostTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_tick_of_an_idle_group_allocates_next_to_nothing(bool isLeader) => Cluster.Run(3, seed: 401, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        await cluster.EventuallyAsync(member => member.Applied.Count == 1);
        await cluster.PassAsync(3);
        Member idle = isLeader ? leader : followers[0];
        ServerStatus before = idle.Server.Status;

        long bytes = -1;
        idle.Shard.Post(
            _ =>
            {
                idle.Server.TickNow();      // what is made once is made
                long start = GC.GetAllocatedBytesForCurrentThread();
                for (int n = 0; n < 7; n++)
                    idle.Server.TickNow();
                bytes = GC.GetAllocatedBytesForCurrentThread() - start;
            },
            null);
        await cluster.World.UntilAsync(() => bytes >= 0, "the ticks");

        Assert.Equal(0, bytes);
        Assert.Same(before, idle.Server.Status);
    });
}

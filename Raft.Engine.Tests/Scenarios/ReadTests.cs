using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

// Read barriers. Rule 9.
public sealed class ReadTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_read_sees_every_write_that_was_acknowledged_before_it(int voters) => Cluster.Run(voters, seed: 101, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        for (int n = 0; n < 20; n++)
        {
            await leader.AddAsync($"c{n}", WaitFor.Committed);
            foreach (Member member in cluster.Members)
            {
                LogIndex index = await member.ReadAsync();
                Assert.Equal(n + 1, member.Applied.Count);
                Assert.True(member.Server.AppliedIndex >= index);
            }
        }
    });

    [Fact]
    public void Many_reads_at_once_share_a_round() => Cluster.Run(3, seed: 102, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        await followers[0].AddAsync("one");
        int asked = 0;
        cluster.Network.Filter = message =>
        {
            asked += message is ReadQuorumRequest ? 1 : 0;
            return true;
        };

        await Expect.AllAsync(Enumerable.Range(0, 300).Select(n => cluster.Members[n % 3].ReadAsync()));

        Assert.InRange(asked, 1, 20);
    });

    [Fact]
    public void A_read_on_a_member_that_was_cut_off_sees_what_it_missed() => Cluster.Run(3, seed: 103, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.Isolate(followers[0].Id);
        await leader.AddAsync("missed");
        Task<LogIndex> read = followers[0].ReadAsync();
        await cluster.PassAsync(1);
        Assert.False(read.IsCompleted);

        cluster.Network.Heal();

        await read;
        Assert.Equal(["missed"], followers[0].Applied);
    });

    [Fact]
    public void A_leader_that_was_deposed_and_does_not_know_answers_no_read() => Cluster.Run(3, seed: 104, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        cluster.Network.Isolate(leader.Id);
        Task<LogIndex> read = leader.ReadAsync();
        Member next = await cluster.LeaderAsync(otherThan: leader);
        await next.AddAsync("after");
        Assert.False(read.IsCompleted);

        cluster.Network.Heal();

        await read;                                 // asked again, of the new leader
        Assert.Contains("after", leader.Applied);
    });

    [Fact]
    public void Reads_survive_the_death_of_the_leader() => Cluster.Run(3, seed: 105, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("one");
        cluster.Network.Filter = message => message is not ReadQuorumRequest;
        Task<LogIndex> read = followers[0].ReadAsync();
        await cluster.PassAsync(0.01);

        cluster.Network.Filter = null;
        leader.Crash();

        await read;
        Assert.Equal(["one"], followers[0].Applied);
    });

    [Fact]
    public void Time_that_is_up_without_a_quorum_names_who_is_missing() => Cluster.Run(3, seed: 106, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        foreach (Member follower in followers)
            follower.Crash();
        using var cancellation = new CancellationTokenSource();
        Task<LogIndex> read = leader.ReadAsync(cancellation.Token);
        await cluster.PassAsync(2);

        cancellation.Cancel();

        RaftTimeoutException error = await Expect.FailsAsync<RaftTimeoutException>(read);
        Assert.All(followers, follower => Assert.Contains(follower.Id.Node.Value, error.Message));
    });

    [Fact]
    public void A_read_waits_for_a_slow_state_machine() => Cluster.Run(3, seed: 107, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        leader.Machine.Hold();
        await leader.AddAsync("one", WaitFor.Committed);
        Task<LogIndex> read = leader.ReadAsync();
        await cluster.PassAsync(0.5);
        Assert.False(read.IsCompleted);

        leader.Machine.Release();

        await read;
        Assert.Equal(["one"], leader.Applied);
    });
}

using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

// What may leave when, and what a slow or broken disk means. Rules 1 and 2.
public sealed class DurabilityTests
{
    [Fact]
    public void The_leaders_disk_write_overlaps_its_append_requests() => Cluster.Run(3, seed: 71, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        leader.Disk.Hold();

        AddedEntry added = await leader.AddAsync("one", WaitFor.Committed);

        // A quorum of followers holds it; the leader's own disk does not yet, so its state machine must wait.
        Assert.True(leader.Server.DurableIndex < added.Index);
        Assert.Empty(leader.Applied);
        Assert.All(followers, member => Assert.Equal(added.Index, member.Disk.LastIndex));
        leader.Disk.Release();
        await cluster.ConvergesToAsync("one");
    });

    [Fact]
    public void An_acknowledgement_leaves_only_after_its_entry_is_durable() => Cluster.Run(3, seed: 72, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        foreach (Member follower in followers)
            follower.Disk.Hold();

        Task<AddedEntry> call = leader.AddAsync("one", WaitFor.Committed);
        await cluster.PassAsync(1);

        Assert.False(call.IsCompleted);
        Assert.True(leader.IsLeader);           // received is not durable, and not dead either
        followers[0].Disk.Release();
        await call;
    });

    [Fact]
    public void Every_acknowledged_match_is_on_disk_when_it_leaves() => Cluster.Run(5, seed: 73, async cluster =>
    {
        Dictionary<ServerId, Member> members = cluster.Members.ToDictionary(member => member.Id);
        int acknowledgements = 0;
        int votes = 0;
        cluster.Network.Loss = 0.05;
        cluster.Network.Filter = message =>
        {
            SimulatedDisk disk = members[message.From].Disk;
            switch (message)
            {
                case AppendReply { Rejection: null } reply:
                    acknowledgements++;
                    Assert.True(reply.MatchIndex <= disk.LastIndex, $"{reply} ahead of the disk, which ends at {disk.LastIndex}");
                    break;
                case VoteReply { IsGranted: true, IsPreVote: false } reply:
                    votes++;
                    Assert.Equal(new TermAndVote(reply.Term, reply.To), disk.TermAndVote);
                    break;
                case VoteRequest { IsPreVote: false } request:
                    votes++;
                    Assert.Equal(new TermAndVote(request.Term, request.From), disk.TermAndVote);
                    break;
                case AppendRequest request:
                    Assert.Equal(request.Term, disk.TermAndVote.Term);
                    break;
            }

            return true;
        };

        for (int round = 0; round < 5; round++)
        {
            Member leader = await cluster.LeaderAsync();
            for (int n = 0; n < 50; n++)
                _ = leader.AddAsync($"r{round}c{n}");
            await cluster.PassAsync(0.2);
            leader.Crash();
            await cluster.LeaderAsync(otherThan: leader);
            await leader.StartAsync();
        }

        Assert.True(acknowledgements > 20 && votes > 10, $"{acknowledgements}, {votes}");
    });

    [Fact]
    public void A_commit_that_was_acknowledged_is_on_a_majority_of_disks() => Cluster.Run(3, seed: 74, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        for (int n = 0; n < 50; n++)
        {
            AddedEntry added = await leader.AddAsync($"c{n}", WaitFor.Committed);
            Assert.True(cluster.Members.Count(member => member.Disk.LastIndex >= added.Index) >= 2);
        }
    });

    [Fact]
    public void A_crash_loses_what_was_not_synced_and_nothing_else() => Cluster.Run(3, seed: 75, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("kept");
        foreach (Member member in cluster.Members)
            member.Disk.Hold();
        Task<AddedEntry> lost = leader.AddAsync("lost");
        await cluster.PassAsync(0.1);
        Assert.False(lost.IsCompleted);

        foreach (Member member in cluster.Members)
            member.Crash();
        foreach (Member member in cluster.Members)
        {
            member.Disk.Release();
            await member.StartAsync();
        }

        await (await cluster.LeaderAsync()).AddAsync("after");
        await cluster.ConvergesToAsync("kept", "after");
        Assert.NotEmpty(followers);
    });

    [Fact]
    public void A_leader_whose_disk_hangs_hands_over() => Cluster.Run(3, seed: 76, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        await leader.AddAsync("before");
        leader.Disk.Hold();
        Task<AddedEntry> call = leader.AddAsync("during", WaitFor.Committed);
        await call;                                 // the others' disks are enough

        Member next = await cluster.LeaderAsync(otherThan: leader);
        await next.AddAsync("after");

        leader.Disk.Release();
        await cluster.ConvergesToAsync("before", "during", "after");
    });

    [Fact]
    public void A_disk_that_fails_stops_the_server_and_every_call_says_what_is_known() => Cluster.Run(3, seed: 77, async cluster =>
    {
        (Member leader, _) = await cluster.RolesAsync();
        await leader.AddAsync("before");
        leader.Disk.Hold();
        Task submitted = leader.AddAsync("maybe");
        await cluster.PassAsync(0.001);

        leader.Disk.Fail();

        Errors.StoppedException error = await Expect.FailsAsync<Errors.StoppedException>(submitted);
        Assert.Equal(Errors.WriteOutcome.Unknown, error.Outcome);
        await Expect.FailsAsync<IOException>(leader.Server.Stopped);
        Assert.False(leader.Server.IsAlive);
        error = await Expect.FailsAsync<Errors.StoppedException>(leader.AddAsync("no"));
        Assert.Equal(Errors.WriteOutcome.NotSubmitted, error.Outcome);

        // The node lives on and its group does not: the others see that.
        Member next = await cluster.LeaderAsync(otherThan: leader);
        await next.AddAsync("after", WaitFor.Committed);
    });

    [Fact]
    public void One_sync_serves_many_batches() => Cluster.Run(3, seed: 78, async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        int before = leader.Disk.SyncCount;
        List<Task<AddedEntry>> calls = [];
        for (int n = 0; n < 200; n++)
        {
            calls.Add(leader.AddAsync($"c{n}"));
            if (n % 10 == 0)
                await cluster.PassAsync(0.0001);
        }

        await Expect.AllAsync(calls);

        Assert.InRange(leader.Disk.SyncCount - before, 1, 19);
    });
}

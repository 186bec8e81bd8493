using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// A snapshot on its way from the leader to a peer that is too far behind. Rule 6.
public sealed class SnapshotTransferTests
{
    private const int ChunkBytes = 256;

    private static RaftServerSettings Small(RaftServerSettings settings) =>
        SnapshotTests.WithoutTrailing(settings) with { SnapshotChunkBytes = ChunkBytes, SnapshotSendBytesPerSecond = 0 };

    /// <summary>One follower misses everything, and the others' logs no longer hold it.</summary>
    private static async Task<(Member Leader, Member Other, Member Behind, long SizeBytes)> LeaveBehindAsync(Cluster cluster, int commands = 100)
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        cluster.Network.Isolate(followers[1].Id);
        for (int n = 0; n < commands; n++)
            await leader.AddAsync($"command {n}");
        await cluster.World.UntilAsync(() => followers[0].Applied.Count == commands, "all applied");
        SnapshotDescriptor? snapshot = await leader.Server.TriggerSnapshotAsync(default);
        await followers[0].Server.TriggerSnapshotAsync(default);
        return (leader, followers[0], followers[1], snapshot!.SizeBytes);
    }

    private static Task CaughtUpAsync(Cluster cluster, Member behind, Member other) =>
        cluster.World.UntilAsync(() => behind.Applied.SequenceEqual(other.Applied), $"{behind} has what {other} has");

    [Fact]
    public void A_follower_that_was_away_gets_the_state_and_then_the_log() => Cluster.Run(3, seed: 321, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member other, Member behind, long size) = await LeaveBehindAsync(cluster);

        cluster.Network.Heal();
        await CaughtUpAsync(cluster, behind, other);

        Assert.Equal(1, behind.Machine.PicturesLoaded);
        Assert.Equal(size, cluster.Network.SnapshotBytesTo(behind.Id));
        await leader.AddAsync("after");
        await CaughtUpAsync(cluster, behind, other);
        await cluster.EventuallyAsync(member => member.Server.Status.SnapshotTransfers.Count == 0);
        behind.Crash();
        await behind.StartAsync();
        await CaughtUpAsync(cluster, behind, other);
    });

    [Fact]
    public void A_lost_chunk_or_answer_costs_one_chunk_and_no_new_beginning() => Cluster.Run(3, seed: 322, settings: Small, scenario: async cluster =>
    {
        (_, Member other, Member behind, long size) = await LeaveBehindAsync(cluster);
        bool hasLostChunk = false;
        bool hasLostAnswer = false;
        cluster.Network.CallTimeout = TimeSpan.FromMilliseconds(200);
        cluster.Network.ChunkFilter = (_, chunk) => hasLostChunk || chunk.Offset < size / 3 || !(hasLostChunk = true);
        cluster.Network.ChunkReplyFilter = (chunk, _) => hasLostAnswer || chunk.Offset < size * 2 / 3 || !(hasLostAnswer = true);

        cluster.Network.Heal();
        await CaughtUpAsync(cluster, behind, other);

        Assert.True(hasLostChunk && hasLostAnswer);
        Assert.InRange(cluster.Network.SnapshotBytesTo(behind.Id), size, size + ChunkBytes);   // an answer lost says where to go on
    });

    [Fact]
    public void Doubled_and_late_chunks_do_no_harm() => Cluster.Run(3, seed: 323, settings: Small, scenario: async cluster =>
    {
        (_, Member other, Member behind, _) = await LeaveBehindAsync(cluster);
        cluster.Network.Doubling = 0.5;
        cluster.Network.ChunkDelay = (_, _) => TimeSpan.FromMilliseconds(cluster.World.Random.NextDouble() * 5);

        cluster.Network.Heal();
        await CaughtUpAsync(cluster, behind, other);

        Assert.Equal(1, behind.Machine.PicturesLoaded);
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_storage_has_given_up_meanwhile_is_received_anew(bool isAtTheEnd) => Cluster.Run(3, seed: 336, settings: Small, scenario: async cluster =>
    {
        (_, Member other, Member behind, long size) = await LeaveBehindAsync(cluster);
        bool isGivenUp = false;
        cluster.Network.ChunkAnswered = (_, chunk, _) =>
        {
            // As when a snapshot of the server's own, which covers as much, comes into force in the same moment.
            if (isGivenUp || chunk.Offset < (isAtTheEnd ? size - (2 * ChunkBytes) : size / 2))
                return;
            isGivenUp = true;
            behind.Disk.AbandonPart();
        };

        cluster.Network.Heal();
        await CaughtUpAsync(cluster, behind, other);

        Assert.True(isGivenUp && behind.Server.IsAlive);
    });

    [Fact]
    public void It_goes_on_where_it_was_after_the_receiver_was_started_anew() => Cluster.Run(3, seed: 324, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member other, Member behind, long size) = await LeaveBehindAsync(cluster);
        behind.Disk.KeepsPartAfterCrash = true;
        cluster.Network.ChunkDelay = (_, _) => TimeSpan.FromMilliseconds(20);
        cluster.Network.Heal();
        await cluster.World.UntilAsync(() => behind.Disk.PartBytes > size / 2, "half of it");

        behind.Crash();
        await behind.StartAsync();
        await CaughtUpAsync(cluster, behind, other);

        Assert.InRange(cluster.Network.SnapshotBytesTo(behind.Id), size, size + (2 * ChunkBytes));
        Assert.True(leader.IsLeader);
    });

    [Fact]
    public void It_is_throttled_while_the_log_is_not() => Cluster.Run(
        3, seed: 325, settings: one => Small(one) with { SnapshotSendBytesPerSecond = 4_000 },
        scenario: async cluster =>
        {
            (Member leader, Member other, Member behind, long size) = await LeaveBehindAsync(cluster);
            cluster.Network.Heal();
            await cluster.World.UntilAsync(() => leader.Server.Status.SnapshotTransfers.Count == 1, "a transfer");
            TimeSpan began = cluster.World.Time.Now;
            await leader.AddAsync("meanwhile");
            Assert.True(cluster.World.Time.Now - began < TimeSpan.FromMilliseconds(50));
            SnapshotProgress progress = Assert.Single(leader.Server.Status.SnapshotTransfers);
            Assert.Equal((behind.Id, size), (progress.Peer, progress.SizeBytes));

            await CaughtUpAsync(cluster, behind, other);

            double seconds = (cluster.World.Time.Now - began).TotalSeconds;
            Assert.InRange(seconds, (size / 4_000.0) - 0.3, (size / 4_000.0) + 1.5);
        });

    [Fact]
    public void It_ends_when_its_sender_no_longer_leads_and_the_next_one_sends_its_own() => Cluster.Run(3, seed: 326, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member other, Member behind, _) = await LeaveBehindAsync(cluster);
        cluster.Network.ChunkDelay = (_, _) => TimeSpan.FromMilliseconds(50);
        cluster.Network.Heal();
        await cluster.World.UntilAsync(() => leader.Server.Status.SnapshotTransfers.Count == 1, "a transfer");

        await leader.Server.TransferLeadershipAsync(other.Id.Node, TimeSpan.FromSeconds(5), default);
        Assert.Empty(leader.Server.Status.SnapshotTransfers);
        long sent = cluster.Network.Transfers.Where(one => one.Key.From == leader.Id).Sum(one => one.Value);
        await CaughtUpAsync(cluster, behind, other);

        Assert.Equal(sent, cluster.Network.Transfers.Where(one => one.Key.From == leader.Id).Sum(one => one.Value));
        Assert.Contains(cluster.Network.Transfers, one => one.Key.From == other.Id && one.Key.To == behind.Id);
    });

    [Fact]
    public void A_leader_that_dies_while_it_sends_is_followed_by_one_that_finishes() => Cluster.Run(5, seed: 327, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member behind = followers[3];
        cluster.Network.Isolate(behind.Id);
        for (int n = 0; n < 50; n++)
            await leader.AddAsync($"command {n}");
        await cluster.World.UntilAsync(() => followers.Take(3).All(member => member.Applied.Count == 50), "all applied");
        await leader.Server.TriggerSnapshotAsync(default);
        foreach (Member member in followers.Take(3))
            await member.Server.TriggerSnapshotAsync(default);
        cluster.Network.ChunkDelay = (_, _) => TimeSpan.FromMilliseconds(20);
        cluster.Network.Heal();
        await cluster.World.UntilAsync(() => behind.Disk.PartBytes > 0, "some of it");

        leader.Crash();

        await CaughtUpAsync(cluster, behind, followers[0]);
    });

    [Fact]
    public void It_counts_as_installed_only_when_the_state_machine_has_loaded_it() => Cluster.Run(3, seed: 328, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member other, Member behind, _) = await LeaveBehindAsync(cluster);
        behind.Machine.Loading.Hold();
        cluster.Network.Heal();
        await cluster.World.UntilAsync(() => behind.Machine.Loading.IsWaiting, "it loads");

        await cluster.PassAsync(5);         // longer than the call's time-out: it is asked again and again
        Assert.Contains(leader.Server.Status.Peers, peer => peer.Server == behind.Id && peer.State == "Snapshot");
        behind.Machine.Loading.Release();

        await CaughtUpAsync(cluster, behind, other);
        Assert.Equal(1, behind.Machine.PicturesLoaded);
    });

    [Fact]
    public void A_receiver_that_stops_answers_and_the_others_go_on() => Cluster.Run(3, seed: 329, settings: Small, scenario: async cluster =>
    {
        (Member leader, _, Member behind, _) = await LeaveBehindAsync(cluster);
        behind.Machine.Loading.Hold();
        cluster.Network.Heal();
        await cluster.World.UntilAsync(() => behind.Machine.Loading.IsWaiting, "it loads");

        await behind.Server.AbortAsync("the end");
        behind.Machine.Loading.Release();

        await behind.Server.Stopped;
        await leader.AddAsync("after");
        await cluster.World.UntilAsync(() => leader.Server.Status.SnapshotTransfers.Count == 0, "the transfer has ended");
    });

    [Fact]
    public void A_damaged_content_is_refused_and_sent_anew() => Cluster.Run(3, seed: 330, settings: Small, scenario: async cluster =>
    {
        (Member leader, _, Member behind, long size) = await LeaveBehindAsync(cluster);
        SnapshotDescriptor snapshot = leader.Server.Status.Snapshot!;
        var wrong = new byte[size];
        var chunk = new SnapshotChunk(leader.Server.CurrentTerm, snapshot.Index, snapshot, 0, wrong) { SenderStart = 1 };

        SnapshotReply reply = await behind.Server.ReceiveSnapshotAsync(leader.Id, chunk);

        Assert.Equal(SnapshotStatus.Refused, reply.Status);
        Assert.Null(behind.Disk.PartBytes);
        cluster.Network.Heal();
        await CaughtUpAsync(cluster, behind, leader);
    });

    [Fact]
    public void A_chunk_says_where_to_go_on_and_an_old_leaders_is_refused() => Cluster.Run(3, seed: 331, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member other, Member behind, long size) = await LeaveBehindAsync(cluster);
        SnapshotDescriptor snapshot = leader.Server.Status.Snapshot!;
        Term term = leader.Server.CurrentTerm;
        SnapshotChunk Chunk(long offset, int count) => new(term, snapshot.Index, snapshot, offset, new byte[count]) { SenderStart = 1 };

        SnapshotReply asked = await behind.Server.ReceiveSnapshotAsync(leader.Id, Chunk(0, 0));
        SnapshotReply ahead = await behind.Server.ReceiveSnapshotAsync(leader.Id, Chunk(100, 10));
        SnapshotReply first = await behind.Server.ReceiveSnapshotAsync(leader.Id, Chunk(0, 10));
        SnapshotReply again = await behind.Server.ReceiveSnapshotAsync(leader.Id, Chunk(0, 10));
        SnapshotReply tooMuch = await behind.Server.ReceiveSnapshotAsync(leader.Id, Chunk(10, (int)size));
        SnapshotReply old = await behind.Server.ReceiveSnapshotAsync(leader.Id, Chunk(10, 10) with { Term = new Term(0) });

        Assert.Equal((SnapshotStatus.Continue, 0), (asked.Status, asked.NextOffset));
        Assert.Equal((SnapshotStatus.Continue, 0), (ahead.Status, ahead.NextOffset));
        Assert.Equal((SnapshotStatus.Continue, 10), (first.Status, first.NextOffset));
        Assert.Equal((SnapshotStatus.Continue, 10), (again.Status, again.NextOffset));
        Assert.Equal((SnapshotStatus.Continue, 10), (tooMuch.Status, tooMuch.NextOffset));
        Assert.Equal((SnapshotStatus.Refused, term), (old.Status, old.Term));

        // What is committed there is not needed: that is as good as installed.
        SnapshotReply notNeeded = await other.Server.ReceiveSnapshotAsync(leader.Id, Chunk(0, 0));
        Assert.Equal(SnapshotStatus.Installed, notNeeded.Status);
        Assert.True(notNeeded.MatchIndex >= snapshot.Index);
    });

    [Fact]
    public void A_snapshot_whose_file_is_damaged_stops_the_leader_and_another_takes_over() => Cluster.Run(3, seed: 332, settings: Small, scenario: async cluster =>
    {
        (Member leader, Member other, Member behind, _) = await LeaveBehindAsync(cluster);
        leader.Disk.DamageSnapshot(leader.Disk.Snapshot!.SnapshotId, 40);

        cluster.Network.Heal();
        await Expect.FailsAsync<Engine.Errors.CorruptStorageException>(leader.Server.Stopped);

        leader.Crash();
        await CaughtUpAsync(cluster, behind, other);
    });

    [Fact]
    public void What_the_wire_holds_at_once_is_a_chunk() => Cluster.Run(3, seed: 333, settings: Small, scenario: async cluster =>
    {
        (_, Member other, Member behind, _) = await LeaveBehindAsync(cluster);
        int underWay = 0;
        int most = 0;
        int largest = 0;
        cluster.Network.ChunkFilter = (_, chunk) =>
        {
            most = Math.Max(most, ++underWay);
            largest = Math.Max(largest, chunk.Bytes.Length);
            return true;
        };
        cluster.Network.ChunkReplyFilter = (_, _) =>
        {
            underWay--;
            return true;
        };

        cluster.Network.Heal();
        await CaughtUpAsync(cluster, behind, other);

        Assert.Equal((1, ChunkBytes), (most, largest));
    });

    /// <summary>The transfer is aborted when it leaves, and nobody hears of that: the next one must not wait for its end.</summary>
    [Fact]
    public void A_learner_that_is_removed_and_added_again_during_its_transfer_catches_up() => Cluster.Run(
        3, seed: 335, learners: 1, settings: one => Small(one) with { SnapshotSendBytesPerSecond = 4_000 }, scenario: async cluster =>
    {
        Member leader = await cluster.LeaderAsync();
        Member learner = cluster.Members[3];
        cluster.Network.Isolate(learner.Id);
        for (int n = 0; n < 100; n++)
            await leader.AddAsync($"command {n}");
        await leader.Server.TriggerSnapshotAsync(default);
        cluster.Network.Heal();
        await cluster.World.UntilAsync(() => leader.Server.Status.SnapshotTransfers.Count > 0, "a transfer");

        await leader.Server.ModifyConfigurationAsync(add: [], remove: [learner.Id], default);
        await leader.Server.ModifyConfigurationAsync(add: [cluster.Configuration.Current.Single(member => member.Id == learner.Id)], remove: [], default);

        await CaughtUpAsync(cluster, learner, leader);
    });
}

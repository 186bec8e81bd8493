using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Tests.Scenarios;
using Member = Raft.Engine.Tests.Scenarios.Member;

namespace Raft.Engine.Tests.Server;

// Calls that change the members, on the leader and forwarded, and what a removed server's callers hear. Rule 8.
public sealed class ChangeCallTests
{
    private static MembershipChange Remove(Member member) => new() { Remove = [member.Id] };

    private static Raft.Engine.Protocol.Member[] Without(Cluster cluster, Member member) =>
        [.. cluster.Configuration.Current.Where(one => one.Id != member.Id)];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_set_of_members_is_waited_for_until_all_of_it_is_done(bool isForwarded) => Cluster.Run(4, seed: 351, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member asked = isForwarded ? followers[0] : leader;

        await asked.Server.SetConfigurationAsync(Without(cluster, followers[2]), default);

        Configuration now = asked.Server.Configuration;
        Assert.False(now.IsJoint);
        Assert.Equal(3, now.Current.Count);
        Assert.True(asked.Server.ConfigurationIndex <= asked.Server.CommitIndex);
        await leader.AddAsync("after");
        await cluster.World.UntilAsync(() => followers[2].Server.Status.IsRemoved, "the removed one knows");
        Assert.False(followers[2].Server.Status.IsMember);
    });

    [Fact]
    public void A_change_returns_the_index_of_its_first_entry_and_the_same_again_that_of_the_configuration() => Cluster.Run(4, seed: 352, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();

        LogIndex first = await followers[0].Server.ChangeMembersAsync(Remove(followers[2]), default);
        Assert.True(followers[0].Server.CommitIndex >= first);
        await cluster.World.UntilAsync(() => !leader.Server.Configuration.IsJoint && leader.Server.ConfigurationIndex <= leader.Server.CommitIndex, "it is done");
        LogIndex again = await followers[0].Server.ChangeMembersAsync(Remove(followers[2]), default);

        Assert.True(again > first);         // the final configuration's
        Assert.Equal(leader.Server.ConfigurationIndex, again);
        Assert.Equal(again, await leader.Server.ChangeMembersAsync(Remove(followers[2]), default));
    });

    [Fact]
    public void A_learner_that_is_made_a_voter_is_waited_for_until_it_votes() => Cluster.Run(3, seed: 353, learners: 1, scenario: async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        Raft.Engine.Protocol.Member learner = cluster.Configuration.Current[3];

        await followers[0].Server.ModifyConfigurationAsync([learner with { Kind = MemberKind.Voter }], [], default);

        Assert.Equal(MemberKind.Voter, followers[0].Server.Configuration.Current.Single(member => member.Id == learner.Id).Kind);
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Nonsense_and_what_is_out_of_date_is_refused_and_changes_nothing(bool isForwarded) => Cluster.Run(3, seed: 354, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        RaftServer asked = (isForwarded ? followers[0] : leader).Server;
        LogIndex before = leader.Server.LastIndex;

        await Expect.FailsAsync<InvalidConfigurationException>(asked.SetConfigurationAsync([], default));
        await Expect.FailsAsync<ConfigurationMovedException>(
            asked.ChangeMembersAsync(Remove(followers[1]) with { ExpectedIndex = new LogIndex(77) }, default));

        Assert.Equal(before, leader.Server.LastIndex);
        Assert.Equal(3, asked.Configuration.Current.Count);
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_second_change_is_refused_until_the_first_is_done(bool isForwarded) => Cluster.Run(5, seed: 355, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        cluster.Network.Filter = message => message is not AppendReply;     // nothing commits
        Task<LogIndex> first = leader.Server.ChangeMembersAsync(Remove(followers[3]), default);
        await cluster.World.UntilAsync(() => leader.Server.Configuration.IsJoint, "the first change has begun");

        RaftServer asked = (isForwarded ? followers[0] : leader).Server;
        await Expect.FailsAsync<ConfigurationChangeInProgressException>(asked.ChangeMembersAsync(Remove(followers[2]), default));

        cluster.Network.Filter = null;
        await first;
    });

    [Fact]
    public void A_lost_reply_is_asked_again_because_twice_is_once() => Cluster.Run(4, seed: 356, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        int lost = 0;
        cluster.Network.ReplyFilter = call => call is not ChangeMembersCall || ++lost > 1;

        await followers[0].Server.ChangeMembersAsync(Remove(followers[2]), default);

        Assert.True(lost >= 2);
        Assert.DoesNotContain(followers[0].Server.Configuration.Current, member => member.Id == followers[2].Id);
    });

    [Fact]
    public void A_lost_reply_to_a_change_of_a_certain_configuration_is_unknown_when_that_is_gone() => Cluster.Run(4, seed: 357, async cluster =>
    {
        (_, Member[] followers) = await cluster.RolesAsync();
        int lost = 0;
        cluster.Network.ReplyFilter = call => call is not ChangeMembersCall || ++lost > 1;

        CommitStatusUnknownException error = await Expect.FailsAsync<CommitStatusUnknownException>(
            followers[0].Server.ChangeMembersAsync(Remove(followers[2]) with { ExpectedIndex = new LogIndex(1) }, default));

        Assert.IsType<ConfigurationMovedException>(error.InnerException);
    });

    [Fact]
    public void A_change_that_a_new_leader_has_overwritten_is_asked_again() => Cluster.Run(5, seed: 358, async cluster =>
    {
        (Member old, Member[] followers) = await cluster.RolesAsync();
        await old.AddAsync("warm");
        cluster.Network.Isolate(old.Id);
        Task<LogIndex> call = old.Server.ChangeMembersAsync(Remove(followers[3]), default);
        await cluster.World.UntilAsync(() => old.Server.Configuration.IsJoint, "it is appended");
        Member next = await cluster.LeaderAsync(otherThan: old);
        await next.AddAsync("after");
        Assert.Equal(5, next.Server.Configuration.Current.Count);

        cluster.Network.Heal();
        await call;

        await cluster.World.UntilAsync(() => next.Server.Configuration.Current.Count == 4, "the change was made after all");
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_call_that_removes_the_server_that_is_asked_returns(bool isLeader) => Cluster.Run(4, seed: 359, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member asked = isLeader ? leader : followers[0];

        await asked.Server.SetConfigurationAsync(Without(cluster, asked), default);

        Member rest = await cluster.LeaderAsync(otherThan: asked);
        await rest.AddAsync("after");
        await cluster.World.UntilAsync(() => asked.Server.Status.IsRemoved, "it knows");
    });

    [Fact]
    public void Callers_of_a_removed_server_hear_so_and_nobody_waits_for_ever() => Cluster.Run(4, seed: 360, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member removed = followers[2];
        await leader.Server.SetConfigurationAsync(Without(cluster, removed), default);
        await cluster.World.UntilAsync(() => removed.Server.Status.IsRemoved, "it knows");

        Assert.Equal(WriteOutcome.NotSubmitted, (await Expect.FailsAsync<NotMemberException>(removed.AddAsync("no"))).Outcome);
        await Expect.FailsAsync<NotMemberException>(removed.ReadAsync());
        await Expect.FailsAsync<NotMemberException>(removed.Server.ChangeMembersAsync(Remove(followers[1]), default));
        await removed.Server.ChangeMembersAsync(Remove(removed), default);      // done already

        await cluster.PassAsync(5);         // its leader is forgotten by now, or not
        await Expect.FailsAsync<NotMemberException>(removed.AddAsync("no"));
        await Expect.FailsAsync<NotMemberException>(removed.Server.TransferLeadershipAsync(null, TimeSpan.FromSeconds(1), default));
        await cluster.World.UntilAsync(() => removed.Server.Status.PendingCalls == 0, "no call is left");
        await leader.AddAsync("yes");
        await cluster.World.UntilAsync(() => followers[0].Applied.Count == 1, "the others go on");
    });

    [Fact]
    public void A_write_that_waits_on_a_server_when_it_is_removed_is_unknown() => Cluster.Run(4, seed: 361, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        Member removed = followers[2];
        await removed.AddAsync("warm");
        // Its entry's commit is never told it: from now on it hears what lies up to its removal, and nothing above.
        Task change = leader.Server.SetConfigurationAsync(Without(cluster, removed), default);
        await cluster.World.UntilAsync(() => leader.Server.Configuration.IsJoint, "the change has begun");
        await change;
        LogIndex last = leader.Server.ConfigurationIndex;
        cluster.Network.Filter = message =>
            !(message is AppendRequest { Entries: { Count: > 0 } entries } && message.To == removed.Id && entries[^1].Index > last);
        Task<AddedEntry> call = removed.AddAsync("late");

        RaftException error = await Expect.FailsAsync<RaftException>(call);
        Assert.True(error is NotMemberException or CommitStatusUnknownException, error.ToString());
        Assert.Equal(error is NotMemberException, !leader.Applied.Contains("late"));
    });

    [Fact]
    public void Time_that_is_up_is_unknown_once_it_was_submitted_and_not_before() => Cluster.Run(3, seed: 362, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        await leader.AddAsync("warm");
        cluster.Network.Filter = message => message is not AppendReply;
        using var cancellation = new CancellationTokenSource();
        Task<LogIndex> submitted = leader.Server.ChangeMembersAsync(Remove(followers[1]), cancellation.Token);
        await cluster.World.UntilAsync(() => leader.Server.Configuration.IsJoint, "it is appended");

        cancellation.Cancel();
        await Expect.FailsAsync<CommitStatusUnknownException>(submitted);

        RaftTimeoutException error = await Expect.FailsAsync<RaftTimeoutException>(leader.Server.ChangeMembersAsync(Remove(followers[1]), cancellation.Token));
        Assert.Equal(WriteOutcome.NotSubmitted, error.Outcome);
    });

    [Fact]
    public void Configurations_do_not_need_room() => Cluster.Run(
        4, seed: 363, settings: one => one with { MaxUncommittedBytes = 1_000 },
        scenario: async cluster =>
        {
            (Member leader, Member[] followers) = await cluster.RolesAsync();
            leader.Machine.Hold();              // nothing is applied, so nothing is released
            Task<AddedEntry>[] writes = [.. Enumerable.Range(0, 30).Select(n => leader.AddAsync($"command {n}"))];
            await cluster.World.UntilAsync(() => leader.Server.Status.AdmissionWaiting > 0, "writers wait for room");

            await leader.Server.ChangeMembersAsync(Remove(followers[2]), default);

            leader.Machine.Release();
            await Expect.AllAsync(writes);
        });

    /// <summary>No encoding carries half of a surrogate pair.</summary>
    private static Raft.Engine.Protocol.Member Unencodable { get; } =
        new(new NodeId("n9"), new StorageId(9), MemberKind.Voter, "http://\ud800:1", "");

    /// <summary>Planted: eng/defects/V13-unencodable-members-are-let-in.defect</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_member_that_cannot_be_encoded_is_refused_and_stops_no_server(bool isForwarded) => Cluster.Run(3, seed: 364, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        RaftServer asked = (isForwarded ? followers[0] : leader).Server;

        InvalidConfigurationException error = await Expect.FailsAsync<InvalidConfigurationException>(
            asked.ChangeMembersAsync(new MembershipChange { Add = [Unencodable] }, default));

        Assert.Contains("PeerUrl", error.Message);
        await Expect.FailsAsync<InvalidConfigurationException>(asked.SetConfigurationAsync([.. cluster.Configuration.Current, Unencodable], default));
        await cluster.PassAsync(3);
        Assert.All(cluster.Members, member => Assert.True(member.Server.IsAlive));
        await leader.AddAsync("after");
    });

    [Fact]
    public void A_forwarded_change_that_cannot_be_encoded_is_answered() => Cluster.Run(3, seed: 365, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();

        LeaderReply reply = await leader.Server.ReceiveCallAsync(followers[0].Id, new ChangeMembersCall(new MembershipChange { Add = [Unencodable] }, 1_000));

        Assert.Equal(CallRefusal.InvalidConfiguration, Assert.IsType<CallRefusedReply>(reply).Reason);
        Assert.True(leader.Server.IsAlive);
    });

    [Fact]
    public void A_change_whose_handling_fails_at_the_leader_is_unknown_and_not_asked_again() => Cluster.Run(4, seed: 366, async cluster =>
    {
        (Member leader, Member[] followers) = await cluster.RolesAsync();
        int asked = 0;
        cluster.Network.CallFilter = call =>
        {
            asked += call is ChangeMembersCall ? 1 : 0;
            return call is ChangeMembersCall ? new CallFailedReply("a bug") : null;
        };

        CommitStatusUnknownException error = await Expect.FailsAsync<CommitStatusUnknownException>(
            followers[0].Server.ChangeMembersAsync(Remove(followers[2]), default));

        Assert.Equal("a bug", error.Message);
        await cluster.PassAsync(2);
        Assert.Equal(1, asked);
    });

    [Fact]
    public void A_list_that_its_caller_changes_later_is_not_looked_at_again() => Cluster.Run(3, seed: 367, isStarted: false, scenario: async cluster =>
    {
        List<Raft.Engine.Protocol.Member> members = [.. cluster.Configuration.Current.Take(2)];
        await cluster.Members[0].StartAsync();
        Task call = cluster.Members[0].Server.SetConfigurationAsync(members, default);    // waits for a leader
        await cluster.PassAsync(0.1);

        members.Clear();
        foreach (Member member in cluster.Members.Skip(1))
            await member.StartAsync();
        await call;

        Assert.Equal(2, cluster.Members[0].Server.Configuration.Current.Count);
    });
}

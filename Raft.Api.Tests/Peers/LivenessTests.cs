using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>Rule 4, between two nodes on real sockets.</summary>
public sealed class LivenessTests : IAsyncLifetime
{
    private static readonly NodeIdentity One = PeerNode.IdentityOf("n1", 1);
    private static readonly NodeIdentity Two = PeerNode.IdentityOf("n2", 2, start: 4);
    private static readonly GroupId Group = new("default");
    private static readonly Term Five = new(5);

    private readonly RecordingPeerHandler _handler = new();
    private PeerNode _one = null!; // set by InitializeAsync
    private PeerNode _two = null!;
    private Configuration _configuration = Configuration.Empty;

    private IPeerLiveness View => _one.Transport.FailureDetector.ViewOf(Group);

    public async Task InitializeAsync()
    {
        // Frames stay fresh for longer than any pause of a busy machine.
        var settings = new PeerSettings { Ping = TimeSpan.FromSeconds(5), LivenessTimeout = TimeSpan.FromSeconds(60) };
        _one = await PeerNode.StartAsync(One, settings: settings);
        _two = await PeerNode.StartAsync(Two, settings: settings);
        _one.Transport.Group(Group).Start(_handler);
        _two.Transport.Group(Group).Start(new RecordingPeerHandler());
        _configuration = Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two)]);
        _one.Transport.Group(Group).ConfigurationChanged(_configuration);
        _two.Transport.Group(Group).ConfigurationChanged(_configuration);
    }

    public async Task DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    [Fact]
    public async Task A_leader_is_confirmed_for_its_own_start_and_term_only()
    {
        Assert.Equal(LeaderSign.Silent, View.LeaderSign(Two.Server, 4, Five));
        Announce(_two, new GroupStatus(Five, IsLeader: true, Follows: null));
        await BecomesAsync(LeaderSign.Leads, Five);

        Assert.True(View.IsAlive(Two.Server));
        Assert.Equal(LeaderSign.Leads, View.LeaderSign(Two.Server, 4, new Term(4)));
        Assert.Equal(LeaderSign.Silent, View.LeaderSign(Two.Server, 4, new Term(6)));
        Assert.Equal(LeaderSign.Denies, View.LeaderSign(Two.Server, 3, Five));
        Assert.Equal(LeaderSign.Silent, View.LeaderSign(Two.Server, 5, Five));
        Assert.Equal(LeaderSign.Silent, _one.Transport.FailureDetector.ViewOf(new GroupId("other")).LeaderSign(Two.Server, 4, Five));
    }

    [Fact]
    public async Task News_travels_at_once_and_the_handler_hears_of_it()
    {
        Announce(_two, new GroupStatus(Five, IsLeader: true, Follows: null));
        await BecomesAsync(LeaderSign.Leads, Five);
        int changes = _handler.LivenessChanges;

        Announce(_two, new GroupStatus(Five, IsLeader: false, Follows: null));
        await BecomesAsync(LeaderSign.Denies, Five);
        await Eventually.HoldsAsync(() => _handler.LivenessChanges > changes, "the handler being told");
    }

    [Fact]
    public async Task A_follower_says_whom_it_follows_in_which_term()
    {
        Announce(_two, new GroupStatus(Five, IsLeader: false, Follows: One.Server));
        await Eventually.HoldsAsync(() => View.IsFollowing(Two.Server, Five), "n2 following n1", _one.Explain);
        Assert.False(View.IsFollowing(Two.Server, new Term(4)));
        Assert.False(View.IsFollowing(Two.Server, new Term(6)));

        Announce(_two, new GroupStatus(Five, IsLeader: false, Follows: new ServerId(new NodeId("n3"), new StorageId(3))));
        await Eventually.HoldsAsync(() => !View.IsFollowing(Two.Server, Five), "n2 following another");
        Assert.True(View.IsAlive(Two.Server));
    }

    [Fact]
    public async Task A_quiet_leader_says_where_its_log_ends_until_it_takes_that_back()
    {
        Announce(_two, new GroupStatus(Five, IsLeader: true, Follows: null) { QuietCommit = new LogIndex(77) });
        await Eventually.HoldsAsync(() => View.QuietWord(Two.Server, Five)?.Commit == new LogIndex(77), "the quiet word", _one.Explain);
        Assert.Null(View.QuietWord(Two.Server, new Term(6)));

        Announce(_two, new GroupStatus(Five, IsLeader: true, Follows: null));
        await Eventually.HoldsAsync(() => View.QuietWord(Two.Server, Five) is null, "the word being taken back", _one.Explain);
    }

    [Fact]
    public async Task A_process_that_is_gone_is_denied_at_once()
    {
        Announce(_two, new GroupStatus(Five, IsLeader: true, Follows: null));
        await BecomesAsync(LeaderSign.Leads, Five);
        int changes = _handler.LivenessChanges;

        await _two.DisposeAsync(); // frames would stay fresh for a minute

        await BecomesAsync(LeaderSign.Denies, Five);
        Assert.False(View.IsAlive(Two.Server));
        await Eventually.HoldsAsync(() => _handler.LivenessChanges > changes, "the handler being told");
    }

    [Fact]
    public async Task A_node_that_is_back_is_another_start_and_is_reached_without_help()
    {
        Announce(_two, new GroupStatus(Five, IsLeader: true, Follows: null));
        await BecomesAsync(LeaderSign.Leads, Five);
        int port = _two.Port;
        await _two.DisposeAsync();
        await BecomesAsync(LeaderSign.Denies, Five);

        NodeIdentity again = Two with { StartCount = 5, StartNonce = 9, OpeningSequence = 1 };
        _two = await PeerNode.StartAsync(again, port);
        _two.Transport.Group(Group).Start(new RecordingPeerHandler());
        _two.Transport.Group(Group).ConfigurationChanged(_configuration);
        Announce(_two, new GroupStatus(new Term(6), IsLeader: true, Follows: null));

        await Eventually.HoldsAsync(() => View.LeaderSign(Two.Server, 5, new Term(6)) == LeaderSign.Leads, "the new start leading", _one.Explain);
        Assert.Equal(LeaderSign.Denies, View.LeaderSign(Two.Server, 4, Five));
        await Eventually.HoldsAsync(() => _one.Transport.Peers.Single() is { IsConnected: true, StartCount: 5 }, "both streams", _one.Explain);
    }

    [Fact]
    public async Task A_stopped_group_is_no_longer_alive_on_a_live_node()
    {
        Announce(_two, new GroupStatus(Five, IsLeader: true, Follows: null));
        await BecomesAsync(LeaderSign.Leads, Five);
        _two.Transport.Group(new GroupId("other")).ConfigurationChanged(_configuration); // still needs the streams
        _two.Transport.Group(Group).Stop();
        await Eventually.HoldsAsync(() => !View.IsAlive(Two.Server), "the group's end", _one.Explain);
    }

    [Fact]
    public async Task Among_many_groups_one_s_news_travels_at_once_and_alone()
    {
        GroupId[] groups = [.. Enumerable.Range(0, 300).Select(n => new GroupId($"g{n}"))];
        foreach (GroupId group in groups)
            _two.Transport.FailureDetector.Announce(group, new GroupStatus(Five, IsLeader: true, Follows: null));
        await Eventually.HoldsAsync(() => _one.Transport.LeadsCount(Two.Server) == 300, "300 groups", _one.Explain);
        _two.Transport.FailureDetector.Announce(groups[7], new GroupStatus(new Term(6), IsLeader: false, Follows: One.Server));
        _two.Transport.FailureDetector.Announce(groups[8], new GroupStatus(new Term(6), IsLeader: false, Follows: null));

        IPeerLiveness view = _one.Transport.FailureDetector.ViewOf(groups[7]);
        await Eventually.HoldsAsync(() => view.IsFollowing(Two.Server, new Term(6)), "the news of one", _one.Explain);
        await Eventually.HoldsAsync(() => _one.Transport.LeadsCount(Two.Server) == 298, "the news of the other", _one.Explain);
        Assert.Equal(1, _one.Transport.FollowsCount(Two.Server));
        Assert.Equal(
            groups.Where((_, n) => n is not (7 or 8)).Select(group => group.Value).Order(),
            _one.Transport.LedBy(Two.Server).Select(group => group.Value).Order());
        PeerStatus peer = Assert.Single(_one.Transport.Peers);
        Assert.Equal((298, 1), (peer.LeadsCount, peer.FollowsCount));
    }

    [Fact]
    public void A_node_knows_what_it_leads_itself_and_of_an_unknown_one_nothing()
    {
        Announce(_one, new GroupStatus(Five, IsLeader: true, Follows: null));
        Assert.Equal(Group, Assert.Single(_one.Transport.LedBy(One.Server)));
        Assert.Empty(_one.Transport.LedBy(new ServerId(One.Node, new StorageId(99))));
        Assert.Equal(0, _one.Transport.LeadsCount(new ServerId(new NodeId("n9"), new StorageId(9))));
    }

    private static void Announce(PeerNode node, GroupStatus status) => node.Transport.FailureDetector.Announce(Group, status);

    private Task BecomesAsync(LeaderSign sign, Term term) =>
        Eventually.HoldsAsync(() => View.LeaderSign(Two.Server, 4, term) == sign, $"{sign} in term {term}", _one.Explain);
}

using Raft.Engine.Protocol;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>Rule 8: the address book follows the configurations, and knows who calls. On real sockets.</summary>
public sealed class PeerDirectoryTests : IAsyncLifetime
{
    private static readonly NodeIdentity One = PeerNode.IdentityOf("n1", 1);
    private static readonly NodeIdentity Two = PeerNode.IdentityOf("n2", 2);
    private static readonly GroupId Group = new("default");
    private static readonly GroupId Other = new("other");

    private PeerNode _one = null!; // set by InitializeAsync
    private PeerNode _two = null!;

    public async Task InitializeAsync()
    {
        _one = await PeerNode.StartAsync(One);
        _two = await PeerNode.StartAsync(Two);
        _one.Transport.Group(Group).Start(new RecordingPeerHandler());
        _two.Transport.Group(Group).Start(new RecordingPeerHandler());
    }

    public async Task DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    [Fact]
    public async Task A_removed_server_that_calls_stays_until_it_has_gone()
    {
        await JoinAsync();
        int before = Connections(_one);
        _one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_one.MemberOf(One)]));
        Assert.True(Assert.Single(_one.Transport.Peers).IsConnected);
        Assert.Equal(before, Connections(_one));

        await _two.DisposeAsync();
        await Eventually.HoldsAsync(() => _one.Transport.Peers.Count == 0, "n2 forgotten", _one.Explain);
    }

    [Fact]
    public async Task Two_that_no_longer_name_each_other_let_go_once_they_are_quiet()
    {
        var settings = new PeerSettings { LearnedQuiet = TimeSpan.FromMilliseconds(300) };
        await DisposeAsync();
        _one = await PeerNode.StartAsync(One, settings: settings);
        _two = await PeerNode.StartAsync(Two, settings: settings);
        await JoinAsync();
        _one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_one.MemberOf(One)]));
        _two.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_two.MemberOf(Two)]));
        await Eventually.HoldsAsync(() => _two.Transport.Peers.Count == 0 && _one.Transport.Peers.Count == 0, "both letting go", _one.Explain);
    }

    [Fact]
    public async Task A_removed_server_that_does_not_call_is_dropped()
    {
        await JoinAsync();
        await _two.DisposeAsync();
        await Eventually.HoldsAsync(() => _one.Log.Lines.Count(line => line.Id == 2107) == 2, "the end of what n2 had opened", _one.Explain);
        _one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_one.MemberOf(One)]));
        await Eventually.HoldsAsync(() => _one.Transport.Peers.Count == 0, "n2 dropped", _one.Explain);
    }

    [Fact]
    public async Task A_learned_server_that_becomes_a_member_keeps_its_connections()
    {
        _two.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two)]));
        await Eventually.HoldsAsync(() => _one.Transport.Peers is [{ IsConnected: true }], "n2 learned", _one.Explain);
        int before = Connections(_one);

        _one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two) with { PeerUrl = $"http://localhost:{_two.Port}" }]));
        PeerStatus peer = Assert.Single(_one.Transport.Peers);
        Assert.True(peer.IsConnected);
        Assert.Contains("localhost", peer.Url, StringComparison.Ordinal);
        Assert.Equal(before, Connections(_one));
    }

    [Fact]
    public async Task A_new_address_is_dialled_at_once_and_the_last_change_of_any_group_is_right()
    {
        await JoinAsync();
        _one.Transport.Group(Other).ConfigurationChanged(Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two)]));
        int before = Connections(_one);
        Member moved = _two.MemberOf(Two) with { PeerUrl = $"http://localhost:{_two.Port}" };
        _one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_one.MemberOf(One), moved])); // the other group still has the old one
        await Eventually.HoldsAsync(() => Connections(_one) >= before + 2 && _one.Transport.Peers.Single().IsConnected, "both streams anew", _one.Explain);
        Assert.Equal(moved.PeerUrl, _one.Transport.Peers.Single().Url);

        _one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two)])); // truncated
        Assert.Equal(_two.Url, _one.Transport.Peers.Single().Url);
    }

    [Fact]
    public void A_former_self_that_a_configuration_still_names_is_not_called()
    {
        Member former = _one.MemberOf(PeerNode.IdentityOf("n1", 77));
        _one.Transport.Group(Group).ConfigurationChanged(
            Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two)]) with { Previous = [former, _two.MemberOf(Two)] });
        Assert.Equal(Two.Server, Assert.Single(_one.Transport.Peers.Select(peer => new ServerId(peer.Node, peer.Storage))));
    }

    [Fact]
    public async Task Two_disks_of_one_node_are_two_peers_and_only_the_one_that_is_there_is_alive()
    {
        await JoinAsync();
        NodeIdentity wiped = PeerNode.IdentityOf("n2", 22);
        Member old = new(Two.Node, wiped.Storage, MemberKind.Voter, _two.Url, "");
        _one.Transport.Group(Other).ConfigurationChanged(Configuration.Of([_one.MemberOf(One), old]));
        await Eventually.HoldsAsync(
            () => _one.Transport.Peers is [{ IsAlive: true }, { IsConnected: false, IsAlive: false, LastError: not null }] or [{ IsConnected: false, IsAlive: false, LastError: not null }, { IsAlive: true }],
            "the refusal of the other disk", _one.Explain);
        Assert.Equal(2, _one.Transport.Peers.Select(peer => peer.Storage).Distinct().Count());
    }

    private async Task JoinAsync()
    {
        Configuration both = Configuration.Of([_one.MemberOf(One), _two.MemberOf(Two)]);
        _one.Transport.Group(Group).ConfigurationChanged(both);
        _two.Transport.Group(Group).ConfigurationChanged(both);
        await Eventually.HoldsAsync(
            () => _one.Transport.Peers is [{ IsConnected: true, IsAlive: true }] && _two.Transport.Peers is [{ IsConnected: true, IsAlive: true }],
            "the connections", _one.Explain);
    }

    /// <summary>Streams that came up so far.</summary>
    private static int Connections(PeerNode node) => node.Log.Lines.Count(line => line.Id == 2101);
}

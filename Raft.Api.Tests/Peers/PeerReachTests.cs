using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>Where a peer is dialled, and that an address alone lets nobody in. On real sockets.</summary>
public sealed class PeerReachTests
{
    private const string Nowhere = "http://127.0.0.1:1";
    private static readonly GroupId Group = new("default");
    private static readonly NodeIdentity One = PeerNode.IdentityOf("n1", 1);
    private static readonly NodeIdentity Two = PeerNode.IdentityOf("n2", 2);

    [Fact]
    public async Task A_member_that_the_log_names_elsewhere_is_reached_where_it_advertises()
    {
        await using PeerNode one = await StartAsync(One);
        await using PeerNode two = await StartAsync(Two, advertises: true);
        one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([one.MemberOf(One), two.MemberOf(Two) with { PeerUrl = Nowhere }]));
        two.Transport.Group(Group).ConfigurationChanged(Configuration.Of([one.MemberOf(One), two.MemberOf(Two) with { PeerUrl = Nowhere }]));

        await Eventually.HoldsAsync(() => one.Transport.Peers is [{ IsConnected: true, IsAlive: true }], "n2 reached", one.Explain);
        PeerStatus peer = Assert.Single(one.Transport.Peers);
        Assert.Equal(two.Url, peer.Url);
        Assert.Equal([(two.Url, AddressSource.Peer), (Nowhere, AddressSource.Configuration)], peer.Addresses.Select(address => (address.Url, address.Source)));
        Assert.Equal(two.Url, one.Transport.UrlOf(Two.Server));

        // The log learns where it is: nothing is dialled anew.
        int before = one.Log.Lines.Count(line => line.Id == 2101);
        one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([one.MemberOf(One), two.MemberOf(Two)]));
        Assert.True(Assert.Single(one.Transport.Peers).IsConnected);
        Assert.Equal(before, one.Log.Lines.Count(line => line.Id == 2101));
    }

    [Fact]
    public async Task A_member_that_the_log_names_elsewhere_is_reached_where_the_settings_list_it()
    {
        await using PeerNode two = await StartAsync(Two);
        await using PeerNode one = await StartAsync(One, new PeerSettings { Hints = new Dictionary<string, string> { ["n2"] = two.Url } });
        one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([one.MemberOf(One), two.MemberOf(Two) with { PeerUrl = Nowhere }]));

        await Eventually.HoldsAsync(() => one.Transport.Peers is [{ IsConnected: true }], "n2 reached", one.Explain);
    }

    [Fact]
    public async Task Neither_another_cluster_nor_another_disk_is_let_in_by_a_wrong_address()
    {
        await using PeerNode two = await StartAsync(Two);
        await using PeerNode foreign = await StartAsync(Two with { Cluster = new ClusterUid(0xBAD) });
        await using PeerNode otherDisk = await StartAsync(PeerNode.IdentityOf("n2", 22));
        await using PeerNode one = await StartAsync(One, new PeerSettings { Hints = new Dictionary<string, string> { ["n2"] = otherDisk.Url } });
        one.Transport.Group(Group).ConfigurationChanged(Configuration.Of([one.MemberOf(One), two.MemberOf(Two) with { PeerUrl = foreign.Url }]));

        await Eventually.HoldsAsync(() => one.Transport.Peers is [{ Addresses: [{ LastError: not null }, { LastError: not null }] }], "both refused", one.Explain);
        PeerStatus refused = Assert.Single(one.Transport.Peers);
        Assert.Equal((false, false), (refused.IsConnected, refused.IsAlive));
        Assert.Contains("cluster", refused.Addresses[0].LastError, StringComparison.Ordinal);
        Assert.Contains("storage", refused.Addresses[1].LastError, StringComparison.Ordinal);
        Assert.Equal(0, one.Log.Lines.Count(line => line.Id == 2101));

        Assert.True(one.Transport.TryReachAt(Two.Node, two.Url));
        Assert.False(one.Transport.TryReachAt(new NodeId("n9"), two.Url));
        await Eventually.HoldsAsync(() => one.Transport.Peers is [{ IsConnected: true }], "n2 reached", one.Explain);
    }

    private static async Task<PeerNode> StartAsync(NodeIdentity identity, PeerSettings? settings = null, bool advertises = false)
    {
        PeerNode node = await PeerNode.StartAsync(identity, settings: settings, advertises: advertises);
        node.Transport.Group(Group).Start(new RecordingPeerHandler());
        return node;
    }
}

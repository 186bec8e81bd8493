using Microsoft.Extensions.Configuration;
using Raft.Host.Hosting;
using Raft.Host.Settings;

namespace Raft.Engine.Tests.Addresses;

/// <summary>A node that listens on every address has no address to tell, unless it is configured.</summary>
public sealed class AdvertisedAddressTests
{
    // Planted: eng/defects/A04-every-address-is-advertised.defect
    [Theory]
    [InlineData("http://0.0.0.0:8081")]
    [InlineData("http://[::]:8081")]
    [InlineData("http://*:8081")]
    [InlineData("http://+:8081")]
    public void A_node_that_listens_on_every_address_must_say_where_it_is_reached(string listens)
    {
        SettingsException refusal = Assert.Throws<SettingsException>(() => Read(listens));
        Assert.Contains(refusal.Faults, fault => fault.StartsWith("Kestrel:Endpoints:Peer:Url", StringComparison.Ordinal) && fault.Contains("Raft:AdvertisedPeerUrl", StringComparison.Ordinal));
        Assert.Throws<SettingsException>(() => Read(listens, ("Raft:Join:0", "http://n2:1")));

        Assert.Equal("http://me:1", AddressesOf(Read(listens, ("Raft:AdvertisedPeerUrl", "http://me:1"))).PeerUrl);
        NodeAddresses listed = AddressesOf(Read(listens, ("Raft:Members:0:Id", "n1"), ("Raft:Members:0:PeerUrl", "http://me:2"), ("Raft:Members:0:ApiUrl", "http://me:3")));
        Assert.Equal(("http://me:2", "http://me:3"), (listed.PeerUrl, listed.ApiUrl));
    }

    [Fact]
    public void What_is_advertised_goes_before_what_Members_lists_and_that_before_where_it_listens()
    {
        (string, string)[] members = [("Raft:Members:0:Id", "n1"), ("Raft:Members:0:PeerUrl", "http://me:2"), ("Raft:Members:1:Id", "n2"), ("Raft:Members:1:PeerUrl", "http://Other:80/")];
        NodeSettings settings = Read("http://127.0.0.1:8081", [.. members, ("Raft:AdvertisedPeerUrl", "http://me:1"), ("Raft:AdvertisedApiUrl", "http://me:3")]);
        Assert.Equal(("http://me:1", "http://me:3"), (AddressesOf(settings).PeerUrl, AddressesOf(settings).ApiUrl));
        Assert.Equal(new Dictionary<string, string> { ["n2"] = "http://other" }, NodeAddresses.HintsOf(settings.Raft));

        NodeAddresses listening = AddressesOf(Read("http://127.0.0.1:8081", ("Kestrel:Endpoints:Api:Url", "http://[::]:8080")));
        Assert.Equal(("http://127.0.0.1:8081", "", null), (listening.PeerUrl, listening.ApiUrl, listening.ConfiguredPeerUrl));
    }

    private static NodeAddresses AddressesOf(NodeSettings settings) => new(settings, new BoundEndpoints());

    private static NodeSettings Read(string listens, params (string Key, string Value)[] settings) => NodeSettings.Read(new ConfigurationBuilder()
        .AddInMemoryCollection([
            new("Raft:Security:AllowInsecure", "true"), new("Kestrel:Endpoints:Peer:Url", listens),
            .. settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))])
        .Build());
}

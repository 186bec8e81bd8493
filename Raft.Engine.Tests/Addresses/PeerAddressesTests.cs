using Raft.Host.Peers;

namespace Raft.Engine.Tests.Addresses;

public sealed class PeerAddressesTests
{
    // Planted: eng/defects/A03-only-the-logs-address-is-dialled.defect
    [Fact]
    public void All_sources_are_tried_and_the_address_that_worked_last_comes_first()
    {
        var addresses = new PeerAddresses();
        Assert.Equal("", addresses.Current);
        Assert.True(addresses.Set(AddressSource.Configuration, "http://log:1"));
        Assert.True(addresses.Set(AddressSource.Peer, "http://peer:1"));
        Assert.True(addresses.Set(AddressSource.Members, "http://settings:1"));
        Assert.Equal(["http://log:1", "http://settings:1", "http://peer:1"], addresses.Candidates);
        Assert.True(addresses.Set(AddressSource.Operator, "http://operator:1"));
        Assert.Equal(["http://operator:1", "http://log:1", "http://settings:1", "http://peer:1"], addresses.Candidates);

        Assert.True(addresses.Succeeded("http://peer:1"));
        Assert.False(addresses.Succeeded("http://peer:1"));
        Assert.Equal(["http://peer:1", "http://operator:1", "http://log:1", "http://settings:1"], addresses.Candidates);

        // A correction of the log to where it is connected changes nothing; a new address in the log is tried.
        Assert.False(addresses.Set(AddressSource.Peer, "http://peer:1"));
        addresses.Set(AddressSource.Configuration, "http://peer:1");
        Assert.Equal(["http://peer:1", "http://operator:1", "http://settings:1"], addresses.Candidates);
        Assert.Equal("http://peer:1", addresses.Proven);
        addresses.Set(AddressSource.Configuration, "http://log:2");
        Assert.Equal(["http://operator:1", "http://log:2", "http://settings:1", "http://peer:1"], addresses.Candidates);
        Assert.Null(addresses.Proven);
    }

    [Fact]
    public void Each_address_is_told_with_its_source_and_its_last_error()
    {
        var addresses = new PeerAddresses();
        addresses.Set(AddressSource.Configuration, "http://log:1");
        addresses.Set(AddressSource.Members, "http://settings:1");
        addresses.Failed("http://log:1", "Connection refused");
        addresses.Failed("http://gone:1", "of an address that is not tried any more");

        Assert.Equal(
            ["http://log:1 (from the log): Connection refused", "http://settings:1 (from Raft:Members): not tried yet"],
            addresses.Describe().Select(address => address.ToString()));

        addresses.Succeeded("http://log:1");
        Assert.All(addresses.Describe(), address => Assert.Null(address.LastError));
    }

    [Fact]
    public void What_other_members_say_takes_turns_only_after_it_was_tried()
    {
        var addresses = new PeerAddresses();
        addresses.Set(AddressSource.Configuration, "http://log:1");
        Assert.True(addresses.Set(AddressSource.OtherMember, "http://other:1"));
        Assert.False(addresses.Set(AddressSource.OtherMember, "http://other:2"));
        Assert.Equal(["http://log:1", "http://other:1"], addresses.Candidates);

        addresses.Failed("http://other:1", "Connection refused");
        Assert.True(addresses.Set(AddressSource.OtherMember, "http://other:2"));
        Assert.Equal(["http://log:1", "http://other:2"], addresses.Candidates);
    }

    // Planted: eng/defects/A05-another-node-turns-tls-off.defect
    [Theory]
    [InlineData("http://0.0.0.0:8081")]
    [InlineData("http://[::]:8081")]
    [InlineData("http://peer:1")]       // the log says https
    [InlineData("https://peer:1/path")]
    [InlineData("ftp://peer:1")]
    [InlineData("peer")]
    public void What_a_peer_advertises_is_checked(string advertised)
    {
        var addresses = new PeerAddresses();
        addresses.Set(AddressSource.Configuration, "https://log:1");

        Assert.False(addresses.Set(AddressSource.Peer, advertised));

        Assert.Equal(["https://log:1"], addresses.Candidates);
        Assert.True(addresses.Set(AddressSource.Peer, "https://peer:1"));
    }
}

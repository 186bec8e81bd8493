using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

public sealed class HandshakeTests
{
    private static readonly NodeIdentity Self = PeerNode.IdentityOf("n1", 1, start: 3);
    private static readonly NodeIdentity Caller = PeerNode.IdentityOf("n2", 2, start: 5, nonce: 50, openingSequence: 100);

    private readonly SeenServers _seen = new();

    [Fact]
    public void A_peer_of_this_cluster_is_let_in_again_and_again()
    {
        Assert.Equal(Refusal.None, Judge(Caller));
        Assert.Equal(Refusal.None, Judge(Caller));
        Assert.Equal(Refusal.None, Judge(Caller with { StartCount = 6, StartNonce = 60, OpeningSequence = 101 }));
    }

    [Fact]
    public void A_peer_of_another_cluster_is_refused() =>
        Assert.Equal(Refusal.OtherCluster, Judge(Caller with { Cluster = new ClusterUid(77) }));

    [Fact]
    public void A_node_with_our_own_id_is_refused() =>
        Assert.Equal(Refusal.SameNodeId, Judge(Caller with { Node = Self.Node }));

    [Fact]
    public void A_call_for_another_node_or_another_disk_is_refused()
    {
        Assert.Equal(Refusal.WrongDestination, Judge(Caller, expected: new ServerId(new NodeId("n3"), Self.Storage)));
        Assert.Equal(Refusal.WrongDestination, Judge(Caller, expected: new ServerId(Self.Node, new StorageId(9))));
        Assert.Equal(Refusal.None, Judge(Caller, expected: new ServerId(Self.Node, default)));
    }

    [Fact]
    public void Without_a_common_version_a_peer_is_refused()
    {
        Hello hello = HelloOf(Caller) with { MinVersion = PeerHandshake.MaxVersion + 1, MaxVersion = 9 };
        using var writer = new FrameWriter();
        PeerHandshake.Write(writer, hello);
        Hello read = PeerHandshake.ReadHello(new Frame(writer.Written[FrameWriter.LengthBytes..], IsOwned: false));
        Assert.Equal(Refusal.NoCommonVersion, PeerHandshake.Judge(read, Self, _seen).Reason);
    }

    [Fact]
    public void A_lower_start_count_is_refused()
    {
        Judge(Caller);
        Assert.Equal(Refusal.LowerStart, Judge(Caller with { StartCount = 4, StartNonce = 40 }));
    }

    [Fact]
    public void A_twin_is_refused()
    {
        Judge(Caller);
        Assert.Equal(Refusal.Twin, Judge(Caller with { StartNonce = 51 }));
    }

    [Fact]
    public void A_disk_that_is_older_than_what_it_vouched_for_is_refused()
    {
        Judge(Caller);
        _seen.Vouched(Caller.Storage, 200);
        Assert.Equal(Refusal.None, Judge(Caller)); // a new connection of the same start
        Assert.Equal(Refusal.OldDisk, Judge(Caller with { StartCount = 6, StartNonce = 60, OpeningSequence = 200 }));
        Assert.Equal(Refusal.None, Judge(Caller with { StartCount = 6, StartNonce = 60, OpeningSequence = 201 }));
    }

    /// <summary>Each start writes a record, so the sequence alone would pass after enough of them, though a vouched record is missing.</summary>
    [Fact]
    public void An_old_disk_does_not_catch_up_by_being_started_again()
    {
        Judge(Caller);
        _seen.Vouched(Caller.Storage, 101);
        Assert.Equal(Refusal.Twin, Judge(Caller with { StartNonce = 51 }));
        for (int n = 1; n <= 10; n++)
            Assert.Equal(Refusal.OldDisk, Judge(Caller with { StartCount = 5 + n, StartNonce = (ulong)(60 + n), OpeningSequence = 100 + n }));
        Assert.Equal(Refusal.None, Judge(Caller with { StartCount = 16, StartNonce = 99, OpeningSequence = 112 }));
    }

    [Fact]
    public void Whoever_answers_in_place_of_another_is_refused()
    {
        Assert.Equal(Refusal.WrongDestination, PeerHandshake.Judge(new Welcome(Refusal.None, "", 1, Caller), new ServerId(new NodeId("n3"), Caller.Storage), Self, _seen).Reason);
        Assert.Equal(Refusal.OtherCluster, PeerHandshake.Judge(new Welcome(Refusal.None, "", 1, Caller with { Cluster = default }), Caller.Server, Self, _seen).Reason);
        Assert.Equal(Refusal.None, PeerHandshake.Judge(new Welcome(Refusal.None, "", 1, Caller), Caller.Server, Self, _seen).Reason);
    }

    private Refusal Judge(NodeIdentity caller, ServerId? expected = null) =>
        PeerHandshake.Judge(HelloOf(caller) with { Expected = expected ?? Self.Server }, Self, _seen).Reason;

    private static Hello HelloOf(NodeIdentity caller) =>
        new(PeerHandshake.MinVersion, PeerHandshake.MaxVersion, StreamKind.Control, caller, Self.Server, "");
}

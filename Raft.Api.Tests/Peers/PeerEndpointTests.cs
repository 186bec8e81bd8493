using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>What strangers, and peers that have gone wrong, do to a node: nothing.</summary>
public sealed class PeerEndpointTests : IAsyncLifetime
{
    private static readonly NodeIdentity Self = PeerNode.IdentityOf("n1", 1);
    private static readonly NodeIdentity Caller = PeerNode.IdentityOf("n2", 2);
    private static readonly GroupId Group = new("default");
    private static readonly FrameAddress Address = new("default"u8.ToArray(), FrameAddress.HashOf(Caller.Server), FrameAddress.HashOf(Self.Server));

    private readonly RecordingPeerHandler _handler = new();
    private readonly ConcurrentQueue<string> _counted = new();
    private readonly MeterListener _meters = new();
    private PeerNode _node = null!; // set by InitializeAsync

    public async Task InitializeAsync()
    {
        _meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == PeerMetrics.MeterName)
                listener.EnableMeasurementEvents(instrument);
        };
        _meters.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            if (value == 0)
                return;         // a series begins at 0: nothing has happened
            foreach (KeyValuePair<string, object?> tag in tags)
                _counted.Enqueue($"{instrument.Name} {tag.Key}={tag.Value}");
        });
        _meters.Start();
        _node = await PeerNode.StartAsync(Self);
        _node.Transport.Group(Group).Start(_handler);
    }

    public async Task DisposeAsync()
    {
        _meters.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task Before_the_start_a_stream_is_refused_as_forming()
    {
        await using PeerNode forming = await PeerNode.ListenAsync();
        (RawPeer peer, Welcome? welcome) = await RawPeer.GreetAsync(forming, Caller, Self.Server);
        using (peer)
            Assert.Equal(Refusal.Forming, welcome!.Reason);
    }

    [Fact]
    public async Task A_refusal_is_answered_counted_and_logged_once()
    {
        for (int n = 0; n < 3; n++)
        {
            (RawPeer peer, Welcome? welcome) = await RawPeer.GreetAsync(_node, Caller with { Node = Self.Node }, Self.Server);
            using (peer)
            {
                Assert.Equal(Refusal.SameNodeId, welcome!.Reason);
                Assert.Contains("NodeId", welcome.Text, StringComparison.Ordinal);
            }
        }

        Assert.Contains("raft.peer.refused reason=same-node-id", _counted);
        Assert.Single(_node.Log.Lines, line => line.Level == LogLevel.Warning);
    }

    [Theory]
    [InlineData("other-cluster", "correct the address")]
    [InlineData("no-common-version", "upgrade one release at a time")]
    [InlineData("wrong-destination", "its disk was lost or replaced")]
    [InlineData("lower-start", "old copy of its disk")]
    public async Task A_peer_that_does_not_belong_here_is_refused_logged_and_counted(string reason, string text)
    {
        (RawPeer known, _) = await RawPeer.GreetAsync(_node, Caller with { StartCount = 5 }, Self.Server);
        using RawPeer first = known;
        NodeIdentity caller = Caller with { StartCount = 6 };
        var hello = new Hello(PeerHandshake.MinVersion, PeerHandshake.MaxVersion, StreamKind.Control, caller, Self.Server, "");
        hello = reason switch
        {
            "other-cluster" => hello with { Caller = caller with { Cluster = new ClusterUid(77) } },
            "no-common-version" => hello with { MinVersion = PeerHandshake.MaxVersion + 1, MaxVersion = PeerHandshake.MaxVersion + 3 },
            "wrong-destination" => hello with { Expected = Self.Server with { Storage = new StorageId(77) } },
            _ => hello with { Caller = caller with { StartCount = 4 } },
        };
        using var writer = new FrameWriter();
        PeerHandshake.Write(writer, hello);
        using RawPeer peer = await RawPeer.OpenAsync(_node, StreamKind.Control, writer.Written);

        Welcome welcome = PeerHandshake.ReadWelcome((await peer.NextAsync())!.Value);

        Assert.Equal(reason, PeerMetrics.LabelOf(welcome.Reason));
        Assert.Contains(text, welcome.Text, StringComparison.Ordinal);
        await Eventually.HoldsAsync(() => _node.Log.Lines.Any(line => line.Level == LogLevel.Warning && line.Text.Contains(text, StringComparison.Ordinal)), "the log to say why");
        Assert.Contains($"raft.peer.refused reason={reason}", _counted);
    }

    [Fact]
    public async Task A_twin_is_refused_over_the_wire()
    {
        (RawPeer first, _) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        (RawPeer twin, Welcome? welcome) = await RawPeer.GreetAsync(_node, Caller with { StartNonce = 2 }, Self.Server);
        using (first)
        using (twin)
            Assert.Equal(Refusal.Twin, welcome!.Reason);
    }

    [Fact]
    public async Task A_later_start_ends_all_streams_of_the_earlier_one_which_never_come_back()
    {
        // Fault 38: two pods of one identity. The copy was started once more, so it is the one that counts.
        StreamKind[] kinds = Enum.GetValues<StreamKind>();
        List<RawPeer> earlier = [];
        foreach (StreamKind kind in kinds)
            earlier.Add((await RawPeer.GreetAsync(_node, Caller, Self.Server, kind)).Peer);

        NodeIdentity later = Caller with { StartCount = 2, StartNonce = 2, OpeningSequence = 1 };
        (RawPeer control, Welcome? welcome) = await RawPeer.GreetAsync(_node, later, Self.Server);
        using (control)
        {
            Assert.Equal(Refusal.None, welcome!.Reason);
            foreach (RawPeer peer in earlier)
            {
                Assert.Null(await peer.NextAsync());
                peer.Dispose();
            }

            foreach (StreamKind kind in kinds)
            {
                (RawPeer again, Welcome? refused) = await RawPeer.GreetAsync(_node, Caller, Self.Server, kind);
                using (again)
                    Assert.Equal(Refusal.LowerStart, refused!.Reason);
            }

            await control.WriteAsync(writer => MessageCodec.Write(writer, Address, Vote(7)));
            await Eventually.HoldsAsync(() => _handler.Received.Count == 1, "the vote of the later start");
        }
    }

    [Fact]
    public async Task Two_disks_of_one_node_are_two_servers_and_neither_speaks_for_the_other()
    {
        NodeIdentity wiped = PeerNode.IdentityOf("n2", 22);
        FrameAddress fromWiped = Address with { Source = FrameAddress.HashOf(wiped.Server) };
        (RawPeer old, _) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        (RawPeer young, Welcome? welcome) = await RawPeer.GreetAsync(_node, wiped, Self.Server);
        using (old)
        using (young)
        {
            Assert.Equal(Refusal.None, welcome!.Reason);
            await old.WriteAsync(writer => MessageCodec.Write(writer, Address, Vote(1)));
            await young.WriteAsync(writer => MessageCodec.Write(writer, fromWiped, Vote(2) with { From = wiped.Server }));
            await Eventually.HoldsAsync(() => _handler.Received.Count == 2, "both votes");
            Assert.Equal(
                [(1, Caller.Server), (2, wiped.Server)],
                _handler.Received.Select(message => (message.Term.Value, message.From)).OrderBy(vote => vote.Value));

            // The one cannot speak in the other's name.
            await young.WriteAsync(writer => MessageCodec.Write(writer, Address, Vote(3)));
            Assert.Equal(FrameKind.Goodbye, (await young.NextAsync())?.Kind);
        }
    }

    [Fact]
    public async Task A_vouched_sequence_outlives_its_connection()
    {
        (RawPeer peer, _) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        using (peer)
        {
            await peer.WriteAsync(writer =>
            {
                writer.Begin(FrameKind.Sequence);
                writer.Int64(500);
                writer.End();
                MessageCodec.Write(writer, Address, Vote(1));
            });
            await Eventually.HoldsAsync(() => _handler.Received.Count == 1, "the vote");
        }

        (RawPeer old, Welcome? welcome) = await RawPeer.GreetAsync(_node, Caller with { StartCount = 2, OpeningSequence = 500 }, Self.Server);
        using (old)
            Assert.Equal(Refusal.OldDisk, welcome!.Reason);
    }

    [Fact]
    public async Task Messages_of_a_server_that_no_configuration_names_are_handed_over()
    {
        (RawPeer peer, Welcome? welcome) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        using (peer)
        {
            Assert.Equal(Refusal.None, welcome!.Reason);
            await peer.WriteAsync(writer => MessageCodec.Write(writer, Address, Vote(7)));
            await Eventually.HoldsAsync(() => _handler.Received.Count == 1, "the vote");
            Assert.Equal(Vote(7) with { SenderStart = Caller.StartCount }, _handler.Received.Single());
        }
    }

    [Fact]
    public async Task A_frame_of_another_server_closes_the_connection()
    {
        FrameAddress foreign = Address with { Source = Address.Source + 1 };
        await IsClosedAfterAsync("foreign", writer => MessageCodec.Write(writer, foreign, Vote(1)));
        Assert.Empty(_handler.Received);
    }

    [Fact]
    public async Task A_frame_for_another_server_closes_the_connection()
    {
        FrameAddress foreign = Address with { Destination = Address.Destination + 1 };
        await IsClosedAfterAsync("foreign", writer => MessageCodec.Write(writer, foreign, Vote(1)));
        Assert.Empty(_handler.Received);
    }

    [Fact]
    public async Task An_oversized_frame_closes_the_connection() =>
        await IsClosedAfterAsync("oversized", writer => writer.Int32(13 << 20));

    [Fact]
    public async Task A_malformed_frame_closes_the_connection_and_what_came_before_it_counts()
    {
        await IsClosedAfterAsync("malformed", writer =>
        {
            MessageCodec.Write(writer, Address, Vote(1));
            writer.Begin(FrameKind.AppendRequest, Address);
            writer.Int64(-1);
            writer.End();
        });
        Assert.Single(_handler.Received);
    }

    [Fact]
    public async Task A_frame_of_an_unknown_group_is_dropped_and_counted()
    {
        (RawPeer peer, _) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        using (peer)
        {
            await peer.WriteAsync(writer =>
            {
                MessageCodec.Write(writer, Address with { Group = "nobody"u8.ToArray() }, Vote(1));
                MessageCodec.Write(writer, Address with { Group = [0xff, 0xfe] }, Vote(1));
                MessageCodec.Write(writer, Address, Vote(2));
            });
            await Eventually.HoldsAsync(() => _handler.Received.Count == 1, "the vote of the known group");
            Assert.Contains("raft.peer.dropped reason=unknown-group", _counted);
        }
    }

    [Fact]
    public async Task Garbage_in_place_of_a_hello_ends_the_stream()
    {
        var random = new Random(5);
        for (int n = 0; n < 20; n++)
        {
            byte[] garbage = new byte[random.Next(1, 5_000)];
            random.NextBytes(garbage);
            garbage[^1] = 0xff;
            using RawPeer peer = await RawPeer.OpenAsync(_node, StreamKind.Control, garbage.Length < 5 ? new byte[5] : garbage);
            Assert.Null(await peer.NextAsync());
        }

        await IsStillServingAsync();
    }

    [Fact]
    public async Task Garbage_on_the_port_harms_nobody()
    {
        var random = new Random(6);
        for (int n = 0; n < 20; n++)
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", _node.Port);
            byte[] garbage = new byte[random.Next(1, 20_000)];
            random.NextBytes(garbage);
            if (n % 2 == 0)
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.CopyTo(garbage.Length > 24 ? garbage : garbage = new byte[24]);
            NetworkStream stream = client.GetStream();
            try
            {
                await stream.WriteAsync(garbage);
                client.Client.Shutdown(SocketShutdown.Send);
                await stream.CopyToAsync(Stream.Null);
            }
            catch (IOException)
            {
                // reset: fine
            }
        }

        await IsStillServingAsync();
        Assert.DoesNotContain(_node.Log.Lines, line => line.Level >= LogLevel.Error);
    }

    [Fact]
    public async Task A_newer_connection_takes_the_place_of_the_older()
    {
        (RawPeer older, _) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        (RawPeer newer, _) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        using (older)
        using (newer)
        {
            Assert.Null(await older.NextAsync());
            await newer.WriteAsync(writer => MessageCodec.Write(writer, Address, Vote(3)));
            await Eventually.HoldsAsync(() => _handler.Received.Count == 1, "the vote on the newer connection");
        }
    }

    private static VoteRequest Vote(long term) =>
        new(Caller.Server, Self.Server, new Term(term), new LogIndex(1), new Term(1), IsPreVote: true, IsTransfer: false);

    private async Task IsClosedAfterAsync(string reason, Action<FrameWriter> write)
    {
        (RawPeer peer, _) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        using (peer)
        {
            await peer.WriteAsync(write);
            Frame? goodbye = await peer.NextAsync();
            Assert.Equal(FrameKind.Goodbye, goodbye?.Kind);
        }

        Assert.Contains($"raft.peer.bad_frames reason={reason}", _counted);
        Assert.Contains(_node.Log.Lines, line => line.Level == LogLevel.Warning && line.Id == 2105);
    }

    private async Task IsStillServingAsync()
    {
        int received = _handler.Received.Count;
        (RawPeer peer, Welcome? welcome) = await RawPeer.GreetAsync(_node, Caller, Self.Server);
        using (peer)
        {
            Assert.Equal(Refusal.None, welcome!.Reason);
            await peer.WriteAsync(writer => MessageCodec.Write(writer, Address, Vote(99)));
            await Eventually.HoldsAsync(() => _handler.Received.Count == received + 1, "a proper vote");
        }
    }
}

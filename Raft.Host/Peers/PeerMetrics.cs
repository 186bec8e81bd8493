using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Raft.Host.Peers;

/// <summary>Numbers of this folder, exported as raft_peer_*.</summary>
internal sealed class PeerMetrics : IDisposable
{
    public const string MeterName = "Raft.Peers";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _framesSent;
    private readonly Counter<long> _bytesSent;
    private readonly Counter<long> _framesReceived;
    private readonly Counter<long> _bytesReceived;
    private readonly Counter<long> _reconnects;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _dropped;
    private readonly Counter<long> _badFrames;
    private readonly Histogram<double> _roundTrip;

    public PeerMetrics(Func<IEnumerable<Measurement<long>>> queueBytes)
    {
        _framesSent = _meter.CreateCounter<long>("raft.peer.frames.sent", "{frame}", "Frames written to a peer's stream.");
        _bytesSent = _meter.CreateCounter<long>("raft.peer.sent", "By", "Bytes written to a peer's stream.");
        _framesReceived = _meter.CreateCounter<long>("raft.peer.frames.received", "{frame}", "Frames read from a peer's stream.");
        _bytesReceived = _meter.CreateCounter<long>("raft.peer.received", "By", "Bytes read from a peer's stream.");
        _reconnects = _meter.CreateCounter<long>("raft.peer.connections", "{connection}", "Streams that we opened to a peer.");
        _refused = _meter.CreateCounter<long>("raft.peer.refused", "{stream}", "Streams that a handshake refused, ours included.");
        _dropped = _meter.CreateCounter<long>("raft.peer.dropped", "{frame}", "Messages that did not leave, or that nobody here wanted.");
        _badFrames = _meter.CreateCounter<long>("raft.peer.bad_frames", "{frame}", "Frames for which a connection was closed.");
        _roundTrip = _meter.CreateHistogram(
            "raft.peer.round_trip", "s", "Time from one node to another and back, on the control streams.", tags: null,
            new InstrumentAdvice<double>
            {
                // 0.05 ms doubling up to 1.6 s: loopback takes about 0.2 ms, a time-out is near.
                HistogramBucketBoundaries = [.. Enumerable.Range(0, 16).Select(n => 0.00005 * (1 << n))],
            });
        _meter.CreateObservableGauge("raft.peer.queue", queueBytes, "By", "Bytes that wait for a peer.");

        // A series that is not there cannot be alerted on: what is rare begins at 0.
        foreach (Refusal reason in Enum.GetValues<Refusal>())
            _refused.Add(0, new KeyValuePair<string, object?>("reason", LabelOf(reason)));
        foreach (BadFrame reason in Enum.GetValues<BadFrame>())
            _badFrames.Add(0, new KeyValuePair<string, object?>("reason", LabelOf(reason)));
        foreach (string reason in (string[])["unknown-group", "stopped", "reply", "full", "down"])
            _dropped.Add(0, new KeyValuePair<string, object?>("reason", reason));
    }

    public void Sent(in TagList stream, int frames, long bytes)
    {
        _framesSent.Add(frames, stream);
        _bytesSent.Add(bytes, stream);
    }

    public void Received(in TagList stream, int frames, long bytes)
    {
        _framesReceived.Add(frames, stream);
        _bytesReceived.Add(bytes, stream);
    }

    public void Connected(in TagList stream) => _reconnects.Add(1, stream);

    public void Refused(string reason) => _refused.Add(1, new KeyValuePair<string, object?>("reason", reason));

    public void Dropped(string reason) => _dropped.Add(1, new KeyValuePair<string, object?>("reason", reason));

    public void BadFrame(string reason) => _badFrames.Add(1, new KeyValuePair<string, object?>("reason", reason));

    public void RoundTrip(string peer, TimeSpan time) => _roundTrip.Record(time.TotalSeconds, new KeyValuePair<string, object?>("peer", peer));

    public static TagList Tags(string peer, StreamKind kind) => new() { { "peer", peer }, { "kind", LabelOf(kind) } };

    public static string LabelOf(StreamKind kind) => kind switch
    {
        StreamKind.Control => "control",
        StreamKind.Bulk => "bulk",
        _ => "snapshot",
    };

    public void Dispose() => _meter.Dispose();

    public static string LabelOf(Refusal reason) => reason switch
    {
        Refusal.Forming => "forming",
        Refusal.Stopping => "stopping",
        Refusal.OtherCluster => "other-cluster",
        Refusal.NoCommonVersion => "no-common-version",
        Refusal.WrongDestination => "wrong-destination",
        Refusal.SameNodeId => "same-node-id",
        Refusal.LowerStart => "lower-start",
        Refusal.Twin => "twin",
        Refusal.OldDisk => "old-disk",
        _ => "malformed",
    };

    public static string LabelOf(BadFrame reason) => reason switch
    {
        Peers.BadFrame.Oversized => "oversized",
        Peers.BadFrame.Foreign => "foreign",
        _ => "malformed",
    };
}

using System.Diagnostics.CodeAnalysis;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>Our way for snapshots to one peer: a stream of its own, opened for the first chunk, closed when it has been idle.</summary>
/// <remarks>
/// The chunks of all groups take turns, and each group waits for an answer before its next one: so a transfer fills
/// neither memory nor a queue, and the groups share the stream evenly. Any thread; nothing here runs on a shard.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "Without a wait handle there is nothing to release.")]
internal sealed class SnapshotLink(Peer peer, PeerContext context)
{
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(context.Stopping.Token);
    private readonly SemaphoreSlim _turn = new(1);

    // The first two are changed in turn only.
    private Task<SnapshotStream>? _stream;
    private int _failures;
    private long _pauseEnds;
    private NodeIdentity? _self;
    private Func<string> _ownUrl = static () => "";

    public bool IsConnected => _stream is { IsCompletedSuccessfully: true } stream && stream.Result.IsOpen;

    public void Start(NodeIdentity self, Func<string> ownUrl) => (_ownUrl, _self) = (ownUrl, self);

    /// <summary>It seems to be there: no more waiting between attempts.</summary>
    public void ConnectNow() => Volatile.Write(ref _pauseEnds, 0);

    /// <summary>Ends the connection, if there is one; the next goes to the address that is right now.</summary>
    public void Reconnect()
    {
        Volatile.Write(ref _pauseEnds, 0);
        if (Volatile.Read(ref _stream) is { } stream)
            _ = CloseAsync(stream, "the peer is reached elsewhere now");
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        if (Volatile.Read(ref _stream) is { } stream)
            await CloseAsync(stream, "we stop");
    }

    /// <summary>The bytes of the chunk are read until the task completes, however it does, and not after.</summary>
    public async Task<SnapshotReply> SendAsync(FrameAddress address, SnapshotChunk chunk, CancellationToken cancellation)
    {
        (SnapshotStream stream, PendingChunk pending) = await WriteAsync(address, chunk, cancellation);
        try
        {
            return await pending.Reply.WaitAsync(cancellation);
        }
        finally
        {
            stream.Forget(pending);
        }
    }

    private async Task<(SnapshotStream Stream, PendingChunk Pending)> WriteAsync(
        FrameAddress address, SnapshotChunk chunk, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            while (true)
            {
                SnapshotStream stream = await ConnectAsync().WaitAsync(cancellation);
                if (!stream.TryBegin(out PendingChunk pending))
                    continue; // it was closed at this very moment

                try
                {
                    await stream.WriteAsync(pending, address, chunk, cancellation);
                    return (stream, pending);
                }
                catch
                {
                    stream.Forget(pending);
                    throw;
                }
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>In turn. Whoever asked may give up; the attempt goes on for the next one.</summary>
    private Task<SnapshotStream> ConnectAsync()
    {
        if (_stream is { } stream && (!stream.IsCompleted || IsConnected))
            return stream;
        // Nobody was asked: there is no such attempt to wait for.
        if (_self is null || _stop.IsCancellationRequested || peer.Url.Length == 0 || context.Time.GetTimestamp() < Volatile.Read(ref _pauseEnds))
            throw new DestinationNotAliveException(peer.Server);

        return _stream = OpenAsync(_self);
    }

    private async Task<SnapshotStream> OpenAsync(NodeIdentity self)
    {
        try
        {
            PeerConnection connection = await PeerConnection.OpenAsync(
                peer.Url, peer.Server, StreamKind.Snapshot, context, self, _ownUrl(), _stop.Token);
            if (connection.Refusal == Refusal.None)
            {
                _failures = 0;
                return new SnapshotStream(connection, peer.Server, self.Server, context);
            }

            context.Metrics.Refused(PeerMetrics.LabelOf(connection.Refusal)); // the control stream's link logs it
            connection.Dispose();
        }
        catch (Exception error) when (PeerConnection.IsFailure(error))
        {
            // as when it is refused
        }

        TimeSpan pause = Backoff.After(++_failures, context.Settings);
        Volatile.Write(ref _pauseEnds, context.Time.GetTimestamp() + (long)(pause.TotalSeconds * context.Time.TimestampFrequency));
        throw new DestinationNotAliveException(peer.Server);
    }

    private static async Task CloseAsync(Task<SnapshotStream> stream, string reason)
    {
        try
        {
            await (await stream).CloseAsync(reason);
        }
        catch (RaftException)
        {
            // It was never open.
        }
    }
}

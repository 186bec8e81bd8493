using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Net.Sockets;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One outbound stream: connects, sends what its queue holds, connects again. For the peer's whole life.</summary>
/// <remarks>
/// 1. Connect, say hello, hear the welcome: at each of the peer's addresses in turn, the one that worked last first.
/// 2. Open the queue. 3. Write until either side ends it. 4. Close the queue and report what was lost. 5. Try again: at
/// once after a connection that had held (nobody listening means that the process is gone, and failover waits for that
/// news), else after a jittered, growing pause.
/// </remarks>
internal sealed class PeerLink(Peer peer, StreamKind stream, PeerContext context, IPeerEvents events)
{
    /// <summary>A connection that lived shorter has not earned an attempt without a pause.</summary>
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(1);

    // A sequence frame: its place in front of each control batch.
    private const int SequenceBytes = FrameWriter.LengthBytes + FrameWriter.HeaderBytes + 8;

    private readonly TagList _tags = PeerMetrics.Tags(peer.Server.Node.Value, stream);
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(context.Stopping.Token);
    private volatile TaskCompletionSource _wake = NewWake();
    private volatile bool _isConnected;
    private volatile bool _isRefused;
    private volatile string? _lastError;
    private volatile ushort _version;
    private volatile CancellationTokenSource? _leave;
    private Task _loop = Task.CompletedTask;
    private long _upSince;
    private bool _isReported;
    private bool _isUnreached;          // an attempt of this outage found nobody
    private bool _isAttemptRefused;     // nobody listened there, or it stops

    public StreamKind Stream => stream;

    public SendQueue Queue { get; } = new(
        context.Settings.MaxQueueBytes, context.Settings.MaxFrameBytes, headBytes: stream == StreamKind.Control ? SequenceBytes : 0);

    public bool IsConnected => _isConnected;

    /// <summary>At the last attempt nobody listened there.</summary>
    public bool IsRefused => _isRefused;

    public string? LastError => _lastError;

    /// <summary>The version that is spoken on the connection that is up.</summary>
    public ushort Version => _version;

    public void Start(NodeIdentity self, Func<string> ownUrl) => _loop = Task.Run(() => RunAsync(self, ownUrl));

    public void ConnectNow() => _wake.TrySetResult();

    /// <summary>Ends the connection, if there is one; the next goes to the address that is right now.</summary>
    public void Reconnect()
    {
        try
        {
            _leave?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended by itself at this very moment.
        }

        ConnectNow();
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        Queue.Dispose();
    }

    private async Task RunAsync(NodeIdentity self, Func<string> ownUrl)
    {
        int failures = 0;
        while (!_stop.IsCancellationRequested)
        {
            bool wasUp = false;
            try
            {
                wasUp = await TryAddressesAsync(self, ownUrl());
            }
            catch (Exception error)
            {
                context.Logger.LinkFailed(error, peer.Server, stream);
            }

            failures = wasUp && context.Time.GetElapsedTime(_upSince) >= Held ? 0 : failures + 1;
            if (failures > 0)
                await PauseAsync(failures);
        }
    }

    private async Task PauseAsync(int failures)
    {
        TimeSpan pause = Backoff.After(failures, context.Settings);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        await Task.WhenAny(_wake.Task, Task.Delay(pause, context.Time, cancel.Token));
        await cancel.CancelAsync();
        _wake = NewWake();
    }

    /// <summary>One round over the peer's addresses, until one of them leads to it. True when the stream was up.</summary>
    private async Task<bool> TryAddressesAsync(NodeIdentity self, string ownUrl)
    {
        string[] candidates = peer.Addresses.Candidates;
        string? proven = peer.Addresses.Proven;
        bool areAllRefused = candidates.Length > 0;
        foreach (string url in candidates)
        {
            if (await ConnectAndServeAsync(url, candidates, self, ownUrl))
                return true;
            if (_stop.IsCancellationRequested || !ReferenceEquals(candidates, peer.Addresses.Candidates))
                return false; // a new round with the new addresses

            areAllRefused &= _isAttemptRefused;
            // Where it was, nobody listens any more: it is gone. An address that never led to it says nothing of it.
            if (url == proven)
                SetRefused(_isAttemptRefused);
        }

        if (proven is null)
            SetRefused(areAllRefused);
        Report();
        return false;
    }

    /// <summary>True when the stream was up.</summary>
    private async Task<bool> ConnectAndServeAsync(string url, string[] candidates, NodeIdentity self, string ownUrl)
    {
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        _leave = leave;
        _isAttemptRefused = false;
        // After that: whoever changes the addresses finds an attempt to end.
        if (!ReferenceEquals(candidates, peer.Addresses.Candidates))
            return false;
        try
        {
            using PeerConnection connection = await PeerConnection.OpenAsync(url, peer.Server, stream, context, self, ownUrl, leave.Token);
            if (connection.Refusal != Refusal.None)
                return Refused(url, connection);

            _version = connection.Version;
            await ServeAsync(connection.Output, connection.Input, url, leave.Token);
            return true;
        }
        catch (Exception error) when (PeerConnection.IsFailure(error))
        {
            return !leave.IsCancellationRequested && Failed(url, error);
        }
        finally
        {
            _leave = null;
        }
    }

    private async Task ServeAsync(Stream output, PipeReader input, string url, CancellationToken cancellation)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _isRefused = false;
        _lastError = null;
        Queue.Open();
        _upSince = context.Time.GetTimestamp();
        _isConnected = true;
        peer.ReachedAt(url);
        context.Metrics.Connected(_tags);
        context.Logger.Connected(peer.Server, stream, url);
        if (_isReported)
            context.Logger.ReachedAgain(peer.Server, url);
        _isReported = _isUnreached = false;
        events.LinkUp(peer, stream);

        Task<string> reading = WatchAsync(input, ended.Token);
        Task<string> writing = WriteAsync(output, ended.Token);
        string reason = await await Task.WhenAny(reading, writing);

        _isConnected = false;
        _lastError = reason;
        Queue.Close();
        context.Logger.Disconnected(peer.Server, stream, reason);
        events.LinkDown(peer, stream, reason);
        await ended.CancelAsync();
        await Task.WhenAll(reading, writing);
    }

    /// <summary>A batch in one write; meanwhile the next one gathers.</summary>
    private async Task<string> WriteAsync(Stream output, CancellationToken cancellation)
    {
        try
        {
            while (await Queue.WaitAsync())
            {
                FrameWriter? batch = Queue.Take();
                if (batch is null)
                    continue;

                try
                {
                    // Asked after the batch was taken: it covers every promise in it. Design 4.5
                    if (stream == StreamKind.Control)
                        WriteSequence(batch.Head, context.DurableSequence());
                    context.Metrics.Sent(_tags, batch.Frames, batch.Length);
                    await output.WriteAsync(batch.Written, cancellation);
                    await output.FlushAsync(cancellation);
                }
                finally
                {
                    Queue.Done(batch);
                }
            }

            return "closed";
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            return PeerConnection.Explain(error);
        }
    }

    /// <summary>After the welcome the peer says nothing but goodbye.</summary>
    private static async Task<string> WatchAsync(PipeReader input, CancellationToken cancellation)
    {
        var frames = new FrameReader(PeerHandshake.MaxFrameBytes);
        try
        {
            while (true)
            {
                ReadResult result = await input.ReadAsync(cancellation);
                ReadOnlySequence<byte> buffer = result.Buffer;
                if (frames.TryRead(ref buffer, out Frame frame) && frame.Kind == FrameKind.Goodbye)
                    return $"the peer closed it: {new PayloadReader(frame.Payload).Text()}";

                input.AdvanceTo(buffer.Start, buffer.End);
                if (result.IsCompleted)
                    return "the peer closed it";
            }
        }
        catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException or BadFrameException)
        {
            return PeerConnection.Explain(error);
        }
    }

    private static void WriteSequence(Span<byte> head, long sequence)
    {
        head.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(head, head.Length - FrameWriter.LengthBytes);
        head[4] = (byte)FrameKind.Sequence;
        BinaryPrimitives.WriteInt64LittleEndian(head[(FrameWriter.LengthBytes + FrameWriter.HeaderBytes)..], sequence);
    }

    private bool Refused(string url, PeerConnection connection)
    {
        (Refusal reason, string text) = (connection.Refusal, connection.Text);

        // They have seen a newer directory of this node, or another process on it: no peer will hear us any more. When it is
        // we who have seen a newer one of theirs, it is theirs that is old.
        if (connection.IsByPeer && reason is (Refusal.LowerStart or Refusal.Twin or Refusal.OldDisk))
            context.OwnDirectoryRefused.TrySetResult(text);
        _isAttemptRefused = reason == Refusal.Stopping;
        _lastError = text;
        peer.Addresses.Failed(url, text);
        context.Metrics.Refused(PeerMetrics.LabelOf(reason));
        // A peer that forms, starts or stops is no fault.
        if (reason is not (Refusal.Forming or Refusal.Stopping) && context.Repeats.IsNew($"by-{reason}", peer.Server.ToString()))
            context.Logger.RefusedByPeer(peer.Server.ToString(), url, text);
        return false;
    }

    private bool Failed(string url, Exception error)
    {
        _isAttemptRefused = IsConnectionRefused(error);
        _isUnreached = true;
        _lastError = PeerConnection.Explain(error);
        peer.Addresses.Failed(url, _lastError);
        return false;
    }

    private void SetRefused(bool isRefused)
    {
        _isRefused = isRefused;
        if (isRefused)
            events.ConnectRefused(peer, stream);
    }

    /// <summary>Once for each time that it is lost: where it was looked for.</summary>
    private void Report()
    {
        if (!_isUnreached || stream != StreamKind.Control)
            return;
        if (!_isReported)
            context.Logger.Unreachable(peer.Server, string.Join("; ", peer.Addresses.Describe()));
        _isReported = true;
    }

    private static bool IsConnectionRefused(Exception? error)
    {
        for (; error is not null; error = error.InnerException)
        {
            if (error is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
                return true;
        }

        return false;
    }

    private static TaskCompletionSource NewWake() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

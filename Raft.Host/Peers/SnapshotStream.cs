using System.Buffers;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Text;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>A chunk that waits for its answer.</summary>
internal sealed class PendingChunk(ulong id)
{
    private readonly TaskCompletionSource<SnapshotReply> _reply = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ulong Id => id;

    public Task<SnapshotReply> Reply => _reply.Task;

    public void Succeed(SnapshotReply reply) => _reply.TrySetResult(reply);

    public void Fail(RaftException error)
    {
        _reply.TrySetException(error);
        _ = _reply.Task.Exception; // seen: whoever sent it may have given up
    }
}

/// <summary>One connection of a <see cref="SnapshotLink"/>: chunks out, answers in. When it ends, all that wait hear of it.</summary>
[SuppressMessage("Design", "CA1001", Justification = "A writer may still look at them; they hold nothing but memory.")]
internal sealed class SnapshotStream
{
    private readonly PeerConnection _connection;
    private readonly ServerId _peer;
    private readonly uint _ours;
    private readonly uint _theirs;
    private readonly PeerContext _context;
    private readonly TagList _tags;
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, PendingChunk> _pending = [];
    private readonly CancellationTokenSource _end = new();
    private readonly FrameWriter _head = new();
    private readonly Task _running;
    private ulong _lastId;
    private long _lastUse;
    private bool _isOpen = true;
    private string _reason = "the peer closed it";

    public SnapshotStream(PeerConnection connection, ServerId peer, ServerId self, PeerContext context)
    {
        _connection = connection;
        _peer = peer;
        _ours = FrameAddress.HashOf(self);
        _theirs = FrameAddress.HashOf(peer);
        _context = context;
        _tags = PeerMetrics.Tags(peer.Node.Value, StreamKind.Snapshot);
        _lastUse = context.Time.GetTimestamp();
        context.Metrics.Connected(_tags);
        context.Logger.Connected(peer, StreamKind.Snapshot, "for a transfer");
        _running = Task.Run(RunAsync);
    }

    public bool IsOpen
    {
        get
        {
            lock (_gate)
                return _isOpen;
        }
    }

    /// <summary>False when it was closed meanwhile: nothing was sent.</summary>
    public bool TryBegin(out PendingChunk pending)
    {
        lock (_gate)
        {
            pending = new PendingChunk(++_lastId);
            if (_isOpen)
                _pending.Add(pending.Id, pending);
            return _isOpen;
        }
    }

    public void Forget(PendingChunk pending)
    {
        lock (_gate)
        {
            _pending.Remove(pending.Id);
            _lastUse = _context.Time.GetTimestamp();
        }
    }

    /// <summary>One at a time. A write that does not come to its end ends the stream: half a frame would spoil what follows.</summary>
    public async Task WriteAsync(PendingChunk pending, FrameAddress address, SnapshotChunk chunk, CancellationToken cancellation)
    {
        SnapshotCodec.WriteHead(_head, address, pending.Id, chunk);
        try
        {
            long bytes = _head.Length + (long)chunk.Bytes.Length;
            if (bytes - FrameWriter.LengthBytes > _context.Settings.MaxFrameBytes)
                throw new TransportException($"A chunk of {chunk.Bytes.Length} bytes does not fit into a frame of {_context.Settings.MaxFrameBytes}.");

            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _end.Token);
            await _connection.Output.WriteAsync(_head.Written, either.Token);
            await _connection.Output.WriteAsync(chunk.Bytes, either.Token);
            await _connection.Output.FlushAsync(either.Token);
            _context.Metrics.Sent(_tags, 1, bytes);
        }
        catch (Exception error) when (PeerConnection.IsFailure(error))
        {
            End(cancellation.IsCancellationRequested ? "a transfer was given up" : PeerConnection.Explain(error));
            cancellation.ThrowIfCancellationRequested();
            throw new TransportException($"The snapshot stream to {_peer.Node} ended: {error.Message}");
        }
        finally
        {
            _head.Reset();
        }
    }

    public Task CloseAsync(string reason)
    {
        End(reason);
        return _running;
    }

    private void End(string reason)
    {
        lock (_gate)
        {
            if (!_isOpen)
                return;

            _isOpen = false;
            _reason = reason;
        }

        _end.Cancel();
    }

    private async Task RunAsync()
    {
        Task idle = EndWhenIdleAsync();
        try
        {
            End(await ReadAsync());
        }
        catch (BadFrameException error)
        {
            _context.Metrics.BadFrame(PeerMetrics.LabelOf(error.Reason));
            End(error.Message);
        }
        catch (Exception error) when (PeerConnection.IsFailure(error))
        {
            End(PeerConnection.Explain(error));
        }

        await idle;
        _context.Logger.Disconnected(_peer, StreamKind.Snapshot, _reason);
        _connection.Dispose();
        PendingChunk[] lost;
        lock (_gate)
            lost = [.. _pending.Values];
        foreach (PendingChunk pending in lost)
            pending.Fail(new TransportException($"The snapshot stream to {_peer.Node} ended before the answer came: {_reason}"));
    }

    private async Task<string> ReadAsync()
    {
        var frames = new FrameReader(PeerHandshake.MaxFrameBytes);
        while (true)
        {
            ReadResult result = await _connection.Input.ReadAsync(_end.Token);
            ReadOnlySequence<byte> buffer = result.Buffer;
            while (frames.TryRead(ref buffer, out Frame frame))
            {
                if (frame.Kind == FrameKind.Goodbye)
                    return $"the peer closed it: {new PayloadReader(frame.Payload).Text()}";
                Take(frame);
            }

            _connection.Input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
                return "the peer closed it";
        }
    }

    private void Take(in Frame frame)
    {
        if (frame.Source != _theirs || frame.Destination != _ours)
            throw new BadFrameException(BadFrame.Foreign, $"an answer is not of {_peer}, or not for us");

        switch (frame.Kind)
        {
            case FrameKind.SnapshotReply:
                (ulong id, SnapshotReply? reply) = SnapshotCodec.ReadReply(frame.Payload);
                PendingChunk? answered = Answered(id);
                if (reply is not null)
                    answered?.Succeed(reply);
                else
                    answered?.Fail(new TransportException($"The chunk failed on {_peer.Node}."));
                break;
            case FrameKind.NoSuchGroup:
                string group = Encoding.UTF8.GetString(frame.Group);
                Answered(MessageCodec.ReadNoSuchGroup(frame.Payload))
                    ?.Fail(new DestinationNotAliveException(_peer, $"{_peer.Node} does not run group '{group}'; nothing was done."));
                break;
            default:
                throw BadFrameException.Malformed($"{(byte)frame.Kind} is no kind of answer to a chunk");
        }
    }

    /// <summary>Null: nobody waits for it any more.</summary>
    private PendingChunk? Answered(ulong id)
    {
        lock (_gate)
            return _pending.Remove(id, out PendingChunk? pending) ? pending : null;
    }

    private async Task EndWhenIdleAsync()
    {
        TimeSpan left = _context.Settings.SnapshotIdle;
        try
        {
            while (left > TimeSpan.Zero)
            {
                await Task.Delay(left, _context.Time, _end.Token);
                lock (_gate)
                {
                    left = _pending.Count > 0
                        ? _context.Settings.SnapshotIdle
                        : _context.Settings.SnapshotIdle - _context.Time.GetElapsedTime(_lastUse);
                    if (left <= TimeSpan.Zero && _isOpen)
                        (_isOpen, _reason) = (false, "idle");
                }
            }

            await _end.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // it has ended otherwise
        }
    }
}

using System.Buffers;
using Microsoft.Extensions.Logging;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>The leader's snapshots on their way to peers: at most one for each peer and term. Rule 6. Only on the shard.</summary>
/// <remarks>
/// A transfer asks where to go on, and sends chunk after chunk, each answered before the next is read: so memory is one
/// chunk a transfer, and it resumes at any break. It ends by its own means (<see cref="RaftProtocol.OnSnapshotSent"/>), or is
/// aborted: then nobody hears of it, because whoever aborted it knows.
/// </remarks>
internal sealed class SnapshotTransfers
{
    /// <summary>So many chunks in a row may find no answer, or bring nothing forward; then the protocol decides anew.</summary>
    private const int FailuresMax = 5;

    /// <summary>A peer that refuses before anything was sent may have no room, or receive as many as it can: it is asked again after so
    /// many ticks. With many groups it would be asked without end.</summary>
    private const int RefusedTicks = 20;

    private readonly RaftServer _server;
    private readonly IRaftStorage _storage;
    private readonly IRaftRpc _rpc;
    private readonly ServerMetrics _metrics;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly SendThrottle _throttle;
    private readonly int _chunkBytes;
    private readonly Dictionary<ServerId, Transfer> _transfers = [];
    private List<TaskCompletionSource> _tickWaiters = [];
    private long _lastTick;
    private bool _isProgressStale;

    public SnapshotTransfers(RaftServer server, RaftServerParts parts, ServerMetrics metrics)
    {
        _server = server;
        _storage = parts.Storage;
        _rpc = parts.Rpc;
        _metrics = metrics;
        _logger = parts.Logger;
        _time = parts.Shard.Time;
        RaftServerSettings settings = server.Settings;
        _throttle = new SendThrottle(settings.SnapshotSendBytesPerSecond, settings.Tick);
        _chunkBytes = _throttle.Limit(settings.SnapshotChunkBytes);
    }

    /// <summary>A new list whenever something changed.</summary>
    public IReadOnlyList<SnapshotProgress> Progress { get; private set; } = [];

    public void Start(SnapshotToSend wanted)
    {
        Abort(wanted.Peer);
        var transfer = new Transfer(wanted);
        _transfers.Add(wanted.Peer, transfer);
        RefreshProgress();
        _logger.SendsSnapshot(_server.GroupId, wanted.Peer, wanted.Snapshot.Index, wanted.Snapshot.SizeBytes);
        _server.StopOnFailure(RunAsync(transfer));
    }

    /// <summary>Term, vote or leadership changed, or the server stops.</summary>
    public void AbortAll()
    {
        if (_transfers.Count == 0)
            return;

        foreach (ServerId peer in (ServerId[])[.. _transfers.Keys])
            Abort(peer);
        RefreshProgress();
    }

    /// <summary>Who has left the configuration gets no snapshot any more.</summary>
    public void AbortLeavers(Configuration configuration)
    {
        if (_transfers.Count == 0)
            return;

        foreach (ServerId peer in (ServerId[])[.. _transfers.Keys])
        {
            if (!configuration.Contains(peer))
                Abort(peer);
        }

        RefreshProgress();
    }

    public void OnTick(long now)
    {
        if (_transfers.Count == 0)
        {
            _lastTick = 0;
            return;
        }

        _throttle.Refill(_lastTick == 0 ? _server.Settings.Tick : _time.GetElapsedTime(_lastTick, now));
        _lastTick = now;
        if (_isProgressStale)
            RefreshProgress();

        List<TaskCompletionSource> waiters = _tickWaiters;
        if (waiters.Count == 0)
            return;

        _tickWaiters = [];
        foreach (TaskCompletionSource waiter in waiters)
            waiter.TrySetResult();
    }

    // The slot is free at once, so that the next term's transfer finds it so; the one that ends later knows by the slot
    // that it is not its own any more. A13
    private void Abort(ServerId peer)
    {
        if (_transfers.Remove(peer, out Transfer? transfer))
            _server.Quietly(transfer.Abort.Cancel);
    }

    private async Task RunAsync(Transfer transfer)
    {
        LogIndex? installed = null;
        try
        {
            await using ISnapshotReader content = await _storage.OpenSnapshotAsync(transfer.Snapshot, transfer.Abort.Token);
            installed = await SendAsync(transfer, content);
            for (int tick = 0; transfer.IsRefused && tick < RefusedTicks; tick++)
                await NextTickAsync(transfer.Abort.Token);
        }
        catch (Exception) when (transfer.Abort.IsCancellationRequested)
        {
            // What breaks while it is taken down is no news.
        }
        catch (CorruptStorageException) when (!ReferenceEquals(_server.Protocol.Snapshot, transfer.Snapshot))
        {
            // A newer snapshot took its place, and its file, before it was opened: the protocol asks for that one.
        }

        if (!_transfers.TryGetValue(transfer.Peer, out Transfer? current) || current != transfer)
            return;

        _transfers.Remove(transfer.Peer);
        RefreshProgress();
        if (installed is null)
        {
            _metrics.OnTransferFailed();
            _logger.SnapshotNotSent(_server.GroupId, transfer.Peer, transfer.Snapshot.Index, transfer.SentBytes);
        }
        else
        {
            _logger.SnapshotSent(_server.GroupId, transfer.Peer, transfer.Snapshot.Index);
        }

        _server.OnSnapshotSent(transfer.Peer, transfer.Term, installed);
    }

    /// <summary>Returns up to where the peer's log matches now; null when it came to nothing.</summary>
    private async Task<LogIndex?> SendAsync(Transfer transfer, ISnapshotReader content)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(_chunkBytes);
        bool isBufferOurs = true;
        try
        {
            long? next = null;      // null: ask
            int failures = 0;
            while (true)
            {
                int count = 0;
                if (next is { } from && from < content.SizeBytes)
                {
                    count = await content.ReadAsync(from, buffer.AsMemory(0, _chunkBytes), transfer.Abort.Token);
                    Invariant.Holds(count > 0);
                    await _throttle.TakeAsync(count, transfer.Abort.Token);
                }

                // Until a reply has come, or the wait for it has ended well, the network may still read the buffer.
                isBufferOurs = false;
                SnapshotReply? reply = await TrySendAsync(transfer, next ?? 0, buffer.AsMemory(0, count));
                isBufferOurs = reply is not null;
                switch (reply)
                {
                    case null:
                        next = null;
                        failures++;
                        buffer = ArrayPool<byte>.Shared.Rent(_chunkBytes);
                        isBufferOurs = true;
                        break;
                    case { } newer when newer.Term > transfer.Term:
                        return null;        // the messages that made it so reach us too
                    case { Status: SnapshotStatus.Installed }:
                        _metrics.OnSnapshotBytesSent(count);
                        return reply.MatchIndex;
                    case { Status: SnapshotStatus.Continue } when reply.NextOffset >= 0 && reply.NextOffset <= content.SizeBytes:
                        bool isForward = next is null || reply.NextOffset > next;
                        failures = isForward ? 0 : failures + 1;
                        next = reply.NextOffset;
                        _metrics.OnSnapshotBytesSent(count);
                        transfer.SentBytes = reply.NextOffset;
                        _isProgressStale = true;
                        break;
                    default:
                        transfer.IsRefused = transfer.SentBytes == 0 && reply.Status == SnapshotStatus.Refused;
                        return null;        // refused, or nonsense
                }

                if (failures > FailuresMax)
                    return null;
                if (failures > 0)
                    await NextTickAsync(transfer.Abort.Token);
            }
        }
        finally
        {
            if (isBufferOurs)
                ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Null: no answer came.</summary>
    private async Task<SnapshotReply?> TrySendAsync(Transfer transfer, long offset, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            var chunk = new SnapshotChunk(transfer.Term, _server.Protocol.CommitIndex, transfer.Snapshot, offset, bytes)
            {
                SenderStart = _server.Settings.Protocol.StartCount,
            };
            return await _rpc.SendSnapshotAsync(transfer.Peer, chunk, transfer.Abort.Token);
        }
        catch (Exception error) when (error is RaftException or OperationCanceledException && !transfer.Abort.IsCancellationRequested)
        {
            _logger.SnapshotChunkFailed(_server.GroupId, transfer.Peer, offset, error.Message);
            return null;
        }
    }

    private async Task NextTickAsync(CancellationToken cancellation)
    {
        var tick = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _tickWaiters.Add(tick);
        using CancellationTokenRegistration aborted = cancellation.UnsafeRegister(static state => ((TaskCompletionSource)state!).TrySetCanceled(), tick);
        await tick.Task;
    }

    private void RefreshProgress()
    {
        _isProgressStale = false;
        Progress = _transfers.Count == 0
            ? []
            : [.. _transfers.Values.Select(one => new SnapshotProgress(one.Peer, one.Snapshot.Index, one.SentBytes, one.Snapshot.SizeBytes))];
        _server.SchedulePoll();
    }

    private sealed class Transfer(SnapshotToSend wanted)
    {
        public ServerId Peer => wanted.Peer;
        public Term Term => wanted.Term;
        public SnapshotDescriptor Snapshot => wanted.Snapshot;
        public CancellationTokenSource Abort { get; } = new();

        /// <summary>The peer took nothing at all.</summary>
        public bool IsRefused { get; set; }

        /// <summary>What the peer has, as it said.</summary>
        public long SentBytes { get; set; }
    }
}

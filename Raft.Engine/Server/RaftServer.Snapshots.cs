using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// Snapshots: taken between two calls of ApplyAsync, written while commands go on; loaded in the applier's order. Rule 6.
public sealed partial class RaftServer
{
    /// <summary>The state machine holds everything up to here.</summary>
    internal LogIndex LoadedIndex => _appliedIndex;

    internal void Begin(SnapshotCall call)
    {
        if (!TryBegin(call))
            return;

        call.Index = _appliedIndex;
        if ((_durableSnapshot?.Index ?? LogIndex.Zero) >= call.Index)
        {
            End(call, _durableSnapshot);
            return;
        }

        _snapshotCalls.Add(call);
        if (!_isApplying)
            TakeSnapshotIfDue();    // else the applier does, after the call that is under way
    }

    internal void Begin(RemoteChunk chunk)
    {
        if (IsReady)
            _reception.Receive(chunk);
        else
            chunk.Refuse();
    }

    internal void OnSnapshotSent(ServerId peer, Term term, LogIndex? matchIndex)
    {
        if (_stopReason is not null)
            return;

        _protocol.OnSnapshotSent(peer, term, matchIndex);
        _arePeersStale = true;
        SchedulePoll();
    }

    /// <summary>The log grows by about a snapshot's size between two snapshots, so that all of them together cost no more than
    /// the writes themselves; and never beyond what the disk may hold.</summary>
    private bool IsSnapshotDue =>
        _bytesSinceSnapshot >= Settings.MaxLogDiskBytes
        || _bytesSinceSnapshot > Math.Max(Settings.SnapshotFloorBytes, _protocol.Snapshot?.SizeBytes ?? 0);

    /// <summary>Only between two calls of ApplyAsync.</summary>
    private void TakeSnapshotIfDue()
    {
        if (_isTakingSnapshot || _stopReason is not null)
            return;

        LogIndex newest = _protocol.Snapshot?.Index ?? LogIndex.Zero;
        if (_appliedIndex <= newest)
            return;
        if ((IsSnapshotDue && (_snapshotRetryAt == 0 || _shard.Time.GetTimestamp() >= _snapshotRetryAt)) || (_snapshotCalls.Count > 0 && _snapshotCalls.Exists(call => call.Index > newest)))
        {
            _takingSnapshot = TakeSnapshotAsync();
            StopOnFailure(_takingSnapshot);
        }
    }

    private async Task TakeSnapshotAsync()
    {
        LogIndex index = _appliedIndex;
        Invariant.Holds(index <= _protocol.DurableIndex);
        long since = _shard.Time.GetTimestamp();
        _isTakingSnapshot = true;
        (Term term, Configuration configuration, LogIndex configurationIndex) = _protocol.DescribeSnapshot(index);
        SchedulePoll();                 // that one is being taken is to be seen
        long bytesBefore = _bytesSinceSnapshot;
        _bytesSinceSnapshot = 0;
        SnapshotFile file;
        try
        {
            using IStateSnapshot picture = _stateMachine.TakeSnapshot();
            file = await _storage.WriteSnapshotAsync(picture, _stopping.Token);
        }
        catch (OutOfSpaceException error)
        {
            OnSnapshotAbandoned(error, bytesBefore);
            return;
        }

        if (_stopReason is not null)
            return;

        TimeSpan taken = _shard.Time.GetElapsedTime(since);
        _metrics.OnSnapshotTaken(taken);
        _logger.SnapshotTaken(GroupId, index, term, file.SizeBytes, taken.TotalSeconds);
        _isTakingSnapshot = false;
        _snapshotRetryAt = 0;
        _protocol.OnSnapshotTaken(new SnapshotDescriptor(
            file.SnapshotId, index, term, configuration, configurationIndex, file.SizeBytes, file.Hash)
        {
            TimeMs = _protocol.LastTimeMs,      // perhaps of a later entry: late enough
        });
        SchedulePoll();
        if (!_isApplying)
            TakeSnapshotIfDue();        // somebody may have asked meanwhile
    }

    /// <summary>The log stays as it is, and grows on until there is room: the state it leads to is not in danger.</summary>
    private void OnSnapshotAbandoned(OutOfSpaceException error, long bytesBefore)
    {
        _isTakingSnapshot = false;
        if (_stopReason is not null)
            return;

        _bytesSinceSnapshot += bytesBefore;
        _snapshotRetryAt = _shard.Time.GetTimestamp() + (long)(Settings.SnapshotRetry.TotalSeconds * _shard.Time.TimestampFrequency);
        foreach (SnapshotCall call in (SnapshotCall[])[.. _snapshotCalls])
            End(call, error);
        SchedulePoll();
    }

    private void OnSnapshotDurable(SnapshotDescriptor snapshot)
    {
        _durableSnapshot = snapshot;
        for (int i = _snapshotCalls.Count - 1; i >= 0; i--)
        {
            if (_snapshotCalls[i].Index <= snapshot.Index)
                End(_snapshotCalls[i], snapshot);
        }
    }

    private void End(SnapshotCall call, SnapshotDescriptor? snapshot)
    {
        Forget(call);
        _snapshotCalls.Remove(call);
        call.TrySetResult(snapshot);
    }

    internal void End(SnapshotCall call, RaftException error)
    {
        Forget(call);
        _snapshotCalls.Remove(call);
        call.TrySetException(error);
    }

    private async Task LoadSnapshotAsync(SnapshotDescriptor snapshot)
    {
        Invariant.Holds(snapshot.Index > _appliedIndex);
        if (_isTakingSnapshot)
            await _takingSnapshot;      // a picture need not survive that the state under it is replaced

        long since = _shard.Time.GetTimestamp();
        await using (ISnapshotReader content = await _storage.OpenSnapshotAsync(snapshot, _stopping.Token))
        {
            await using var stream = new SnapshotStream(content, _shard);
            await _stateMachine.LoadSnapshotAsync(stream, _stopping.Token);
        }

        if (_stopReason is not null)
            return;

        _logger.SnapshotLoaded(GroupId, snapshot.Index, snapshot.SizeBytes, _shard.Time.GetElapsedTime(since).TotalSeconds);
        _bytesSinceSnapshot = 0;
        SetApplied(snapshot.Index);

        // The state holds these entries: that they are committed was shown when they came to wait for this. Their results
        // are another server's.
        while (_waiters.TakeApplied(snapshot.Index) is { } write)
            EndSuccess(write, result: null, isResultLost: true);
        EndAppliedReads(snapshot.Index);
    }
}

/// <summary>One TriggerSnapshotAsync.</summary>
internal sealed class SnapshotCall(RaftServer server, CancellationToken cancellation)
    : TaskCompletionSource<SnapshotDescriptor?>(TaskCreationOptions.RunContinuationsAsynchronously), ILocalCall
{
    public RaftServer Server => server;
    public int WaitingCharge { get; set; }
    public bool IsOperators => true;

    public void Begin() => server.Begin(this);

    public CancellationToken Token { get; } = cancellation;
    public CancellationTokenRegistration Cancellation { get; set; }

    /// <summary>What was applied when it was asked for.</summary>
    public LogIndex Index { get; set; }

    public void Cancel() => server.End(this, new RaftTimeoutException("The snapshot was not written in time; it is taken all the same."));

    public void Break(Exception error) => server.End(this, ILocalCall.Broken(error));

    public void Overloaded(string detail) => TrySetException(new OverloadedException(detail));

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        TrySetException(new StoppedException(reason, WriteOutcome.NotSubmitted));
    }
}

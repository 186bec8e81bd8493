using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// Committed and durable entries, and snapshots, to the state machine: in order, one call at a time. Rule 2.
public sealed partial class RaftServer
{
    /// <summary>What the state machine gets next: entries, or a snapshot in place of all that it covers.</summary>
    private readonly record struct ToApply(IReadOnlyList<Entry> Entries, SnapshotDescriptor? Snapshot);

    private void EnqueueToApply(SnapshotDescriptor? snapshot, IReadOnlyList<Entry> entries)
    {
        if (snapshot is null && entries.Count == 0)
            return;

        if (snapshot is not null)
            _toApply.Enqueue(new ToApply([], snapshot));
        if (entries.Count > 0)
            _toApply.Enqueue(new ToApply(entries, null));
        _toApplyEntries += entries.Count;
        for (int i = 0; i < entries.Count; i++)
            _toApplyBytes += entries[i].CostBytes;
        if (_isApplying)
            return;

        _isApplying = true;
        StopOnFailure(ApplyQueuedAsync());
    }

    private async Task ApplyQueuedAsync()
    {
        while (_stopReason is null && _toApply.TryPeek(out ToApply next))
        {
            if (next.Snapshot is { } snapshot)
            {
                _toApply.Dequeue();
                await LoadSnapshotAsync(snapshot);
            }
            else
            {
                await ApplyNextAsync();
            }

            if (_stopReason is not null)
                return;

            TakeSnapshotIfDue();
            if (_toApply.Count > 0)
                await YieldToMailbox();     // a long backlog must not hold up messages and ticks
        }

        _isApplying = false;
    }

    private async ValueTask ApplyNextAsync()
    {
        TakeNextBatch(out LogIndex last, out int entries, out long bytes);
        IReadOnlyList<object?> results = [];
        if (_applying.Count > 0)
        {
            results = await _stateMachine.ApplyAsync(_applying, _stopping.Token);
            if (_stopReason is not null)
                return;
            if (results.Count != _applying.Count)
                throw new InvalidOperationException($"The state machine gave {results.Count} results for {_applying.Count} commands.");
        }

        _toApplyEntries -= entries;
        _toApplyBytes -= bytes;
        _bytesSinceSnapshot += bytes;
        OnApplied(last, results);
    }

    /// <summary>Fills <see cref="_applying"/> with the next commands, within the bounds of one call; at least one entry.</summary>
    private void TakeNextBatch(out LogIndex last, out int entries, out long bytes)
    {
        last = _appliedIndex;
        entries = 0;
        bytes = 0;
        _applying.Clear();
        while (_toApply.TryPeek(out ToApply next) && next.Snapshot is null)
        {
            IReadOnlyList<Entry> list = next.Entries;
            for (; _toApplyOffset < list.Count; _toApplyOffset++)
            {
                Entry entry = list[_toApplyOffset];
                if (entries > 0 && (_applying.Count >= Settings.MaxApplyEntries || bytes + entry.CostBytes > Settings.MaxApplyBytes))
                    return;

                Invariant.Holds(entry.Index == last.Next);
                last = entry.Index;
                entries++;
                bytes += entry.CostBytes;
                if (entry.Kind is EntryKind.Command or EntryKind.System)
                {
                    _applying.Add(new CommittedCommand(entry.Index, entry.Term, entry.TimeMs, entry.Payload)
                    {
                        IsSystem = entry.Kind == EntryKind.System,
                    });
                }
            }

            _toApply.Dequeue();
            _toApplyOffset = 0;
        }

        Invariant.Holds(entries > 0);
    }

    private void OnApplied(LogIndex last, IReadOnlyList<object?> results)
    {
        _metrics.OnApplied(last, _applying.Count);
        SetApplied(last);

        // Waiters and commands both ascend: one walk.
        int next = 0;
        while (_waiters.TakeApplied(last) is { } write)
        {
            while (next < _applying.Count && _applying[next].Index < write.Entry.Index)
                next++;
            Invariant.Holds(next < _applying.Count && _applying[next].Index == write.Entry.Index);
            EndSuccess(write, results[next]);
        }

        if (_forwardedWrites > 0)
        {
            for (int i = 0; i < _applying.Count; i++)
                _recentResults.Add(_applying[i].Index, results[i]);
        }

        EndAppliedReads(last);
    }

    private void SetApplied(LogIndex index)
    {
        Invariant.Holds(index > _appliedIndex);
        _appliedIndex = index;
        _protocol.OnApplied(index);
        _freshness.OnApplied(index);
        bool madeRoom = _admission.ReleaseUpTo(index);
        _reception.Review();
        Publish();                      // before anybody who waits can look
        if (madeRoom || _waitsForApplied || _protocol.HasOutput)
        {
            _waitsForApplied = false;
            SchedulePoll();
        }
    }

    private void EndAppliedReads(LogIndex upTo)
    {
        while (_waiters.TakeRead(upTo) is { } read)
            End(read);
    }

    private Task YieldToMailbox()
    {
        var turn = new TaskCompletionSource();
        _shard.Post(static state => ((TaskCompletionSource)state!).SetResult(), turn);
        return turn.Task;
    }
}

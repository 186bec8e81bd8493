using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// Committed and durable entries to the state machine, in order, one call at a time. Rule 2.
public sealed partial class RaftServer
{
    private void EnqueueToApply(IReadOnlyList<Entry> entries)
    {
        if (entries.Count == 0)
            return;

        _toApply.Enqueue(entries);
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
        while (_stopReason is null && TakeNextBatch(out LogIndex last, out int entries, out long bytes))
        {
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
            OnApplied(last, results);
            if (_toApply.Count > 0)
                await YieldToMailbox();     // a long backlog must not hold up messages and ticks
        }

        _isApplying = false;
    }

    /// <summary>Fills <see cref="_applying"/> with the next commands, within the bounds of one call.</summary>
    private bool TakeNextBatch(out LogIndex last, out int entries, out long bytes)
    {
        last = _appliedIndex;
        entries = 0;
        bytes = 0;
        _applying.Clear();
        while (_toApply.TryPeek(out IReadOnlyList<Entry>? list))
        {
            for (; _toApplyOffset < list.Count; _toApplyOffset++)
            {
                Entry entry = list[_toApplyOffset];
                if (entries > 0 && (_applying.Count >= Settings.MaxApplyEntries || bytes + entry.CostBytes > Settings.MaxApplyBytes))
                    return true;

                Invariant.Holds(entry.Index == last.Next);
                last = entry.Index;
                entries++;
                bytes += entry.CostBytes;
                if (entry.Kind == EntryKind.Command)
                    _applying.Add(new CommittedCommand(entry.Index, entry.Term, entry.TimeMs, entry.Payload));
            }

            _toApply.Dequeue();
            _toApplyOffset = 0;
        }

        return entries > 0;
    }

    private void OnApplied(LogIndex last, IReadOnlyList<object?> results)
    {
        Invariant.Holds(last > _appliedIndex);
        _appliedIndex = last;
        _protocol.OnApplied(last);
        _metrics.OnApplied(last, _applying.Count);
        bool madeRoom = _admission.ReleaseUpTo(last);
        Publish();

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

        while (_waiters.TakeRead(last) is { } read)
            End(read);

        if (madeRoom || _protocol.HasOutput)
            SchedulePoll();
    }

    private Task YieldToMailbox()
    {
        var turn = new TaskCompletionSource();
        _shard.Post(static state => ((TaskCompletionSource)state!).SetResult(), turn);
        return turn.Task;
    }
}

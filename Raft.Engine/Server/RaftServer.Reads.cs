using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// ReadBarrierAsync: all reads of one poll share one barrier, here or at the leader. Rule 9.
public sealed partial class RaftServer
{
    internal void Begin(LocalRead read)
    {
        if (!TryBegin(read, read.Token))
            return;

        _newReads.Add(read);
        SchedulePoll();
    }

    private void FlushNewReads()
    {
        if (_newReads.Count == 0)
            return;

        List<IReadWaiter> reads = _newReads;
        _newReads = [];
        if (_protocol.Role == Role.Leader)
            StartRead(reads);
        else if (Settings.ForwardCalls && _protocol.Leader is { } leader && leader != Id)
            ForwardReads(reads, leader);
        else
            SendElsewhere(reads);
    }

    private void StartRead(List<IReadWaiter> reads)
    {
        if (_protocol.StartRead() is not { } id)
        {
            SendElsewhere(reads);
            return;
        }

        _metrics.OnReads(reads.Count);
        if (_reads.TryGetValue(id, out List<IReadWaiter>? joined))
            joined.AddRange(reads);
        else
            _reads.Add(id, reads);
    }

    private void CompleteReads(IReadOnlyList<ReadReady> ready, IReadOnlyList<ReadId> failed)
    {
        foreach (ReadReady round in ready)
        {
            if (!_reads.Remove(round.ReadId, out List<IReadWaiter>? reads))
                continue;
            foreach (IReadWaiter read in reads)
            {
                if (!read.HasEnded)
                    read.Confirmed(round.Index);
            }
        }

        foreach (ReadId id in failed)
        {
            if (_reads.Remove(id, out List<IReadWaiter>? reads))
                SendElsewhere(reads);
        }
    }

    private static void SendElsewhere(List<IReadWaiter> reads)
    {
        foreach (IReadWaiter read in reads)
        {
            if (!read.HasEnded)
                read.NotLeader();
        }
    }

    internal void ParkRead(LocalRead read)
    {
        if (!Settings.ForwardCalls && _protocol.Role != Role.Leader)
        {
            Forget(read);
            read.TrySetException(new NotLeaderException(_protocol.Leader));
            return;
        }

        if (_protocol.Leader is null && IsOutside)
            End(read, OutsideError());
        else
            _parkedReads.Add(read);
    }

    internal void OnReadConfirmed(LocalRead read, LogIndex index)
    {
        if (read.HasEnded)
            return;

        if (index <= _appliedIndex)
            End(read);
        else if (_isRemoved && index > _committedKnown)
            End(read, OutsideError());      // it never comes here
        else
            _waiters.AddRead(read, index);
    }

    private void ForwardReads(List<IReadWaiter> reads, ServerId leader)
    {
        var local = new List<LocalRead>(reads.Count);
        foreach (IReadWaiter read in reads)
        {
            if (read is LocalRead own)
                local.Add(own);
            else
                read.NotLeader();
        }

        if (local.Count == 0)
            return;

        var forwarded = new ForwardedReads(leader, local);
        _forwardedReads.Add(forwarded);
        StopOnFailure(ForwardReadsAsync(forwarded));
    }

    private async Task ForwardReadsAsync(ForwardedReads forwarded)
    {
        LeaderReply? reply = null;
        try
        {
            reply = await _rpc.CallAsync(
                forwarded.Leader, new ReadBarrierCall((int)Settings.ForwardTimeout.TotalMilliseconds), _stopping.Token);
        }
        catch (Exception error) when (error is RaftException or OperationCanceledException)
        {
            // A read changes nothing: whatever happened to it, it may be asked again.
        }

        _forwardedReads.Remove(forwarded);
        if (forwarded.IsAbandoned || _stopReason is not null)
            return;

        foreach (LocalRead read in forwarded.Reads)
        {
            if (reply is ReadBarrierReply confirmed)
                OnReadConfirmed(read, confirmed.Index);
            else if (read.HasEnded)
                continue;
            else if (reply is CallRefusedReply { Reason: CallRefusal.NotMember } refused)
                End(read, new NotMemberException(refused.Detail));
            else
                _parkedReads.Add(read);
        }
    }

    /// <summary>Another leader is known: what the former was asked need not be waited for.</summary>
    private void RerouteForwardedReads()
    {
        foreach (ForwardedReads forwarded in _forwardedReads)
        {
            if (forwarded.IsAbandoned || _protocol.Leader is null || _protocol.Leader == forwarded.Leader)
                continue;

            forwarded.IsAbandoned = true;
            foreach (LocalRead read in forwarded.Reads)
            {
                if (!read.HasEnded)
                    _parkedReads.Add(read);
            }
        }
    }

    private void RetryParkedReads()
    {
        if (_parkedReads.Count == 0)
            return;

        List<LocalRead> parked = _parkedReads;
        _parkedReads = [];
        foreach (LocalRead read in parked)
        {
            if (!read.HasEnded)
                _newReads.Add(read);
        }

        SchedulePoll();
    }

    private void ExpireReads(long now)
    {
        foreach (List<IReadWaiter> round in _reads.Values)
        {
            foreach (IReadWaiter read in round)
            {
                if (read is RemoteRead { HasEnded: false } remote && now > remote.Deadline)
                    remote.TrySetResult(new CallRefusedReply(CallRefusal.TimedOut, "The read barrier found no quorum in time. " + DescribeQuorum()));
            }
        }
    }

    private void End(LocalRead read)
    {
        if (read.HasEnded)
            return;

        Forget(read);
        read.TrySetResult(_appliedIndex);
    }

    internal void End(LocalRead read, RaftException error)
    {
        if (read.HasEnded)
            return;

        Forget(read);
        read.TrySetException(error);
    }
}

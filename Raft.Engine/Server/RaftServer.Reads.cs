using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// ReadBarrierAsync: all reads of one poll share one barrier, here or at the leader. Rule 9.
public sealed partial class RaftServer
{
    internal void Begin(LocalRead read)
    {
        if (!TryBegin(read))
            return;

        _newReads.Add(read);
        SchedulePoll();
    }

    private void FlushNewReads()
    {
        if (_newReads.Count == 0)
            return;

        if (_protocol.Role == Role.Leader)
        {
            StartRead();
            return;
        }

        List<IReadWaiter> reads = TakeNewReads();
        if (Settings.ForwardCalls && _protocol.Leader is { } leader && leader != Id)
            ForwardReads(reads, leader);
        else
            SendElsewhere(reads);
    }

    private void StartRead()
    {
        ReadId? round = _protocol.StartRead();      // what it throws stops the server, which ends the reads where they are
        List<IReadWaiter> reads = TakeNewReads();
        if (round is not { } id)
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

    private List<IReadWaiter> TakeNewReads()
    {
        List<IReadWaiter> reads = _newReads;
        _newReads = [];
        return reads;
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
                    Guard(read, round.Index);
            }
        }

        foreach (ReadId id in failed)
        {
            if (_reads.Remove(id, out List<IReadWaiter>? reads))
                SendElsewhere(reads);
        }
    }

    private void Guard(IReadWaiter read, LogIndex confirmed)
    {
        try
        {
            read.Confirmed(confirmed);
        }
        catch (Exception error)
        {
            OnCallFailed(read, error);
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

        // The leader answers within the time-out that it is told. Twice that leaves time for the way.
        var forwarded = new ForwardedReads(leader, local, DeadlineAfter(2 * Settings.ForwardTimeout));
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
        catch (Exception)
        {
            // A read changes nothing: whatever happened to it, it may be asked again. The calls' own tokens bound how often.
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
            if (!forwarded.IsAbandoned && _protocol.Leader is not null && _protocol.Leader != forwarded.Leader)
                Abandon(forwarded);
        }
    }

    /// <summary>Its answer is not waited for any more: the reads are asked again.</summary>
    private void Abandon(ForwardedReads forwarded)
    {
        forwarded.IsAbandoned = true;
        foreach (LocalRead read in forwarded.Reads)
        {
            if (!read.HasEnded)
                _parkedReads.Add(read);
        }

        forwarded.Reads.Clear();
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

    /// <summary>At each tick: late reads are answered, and those that have ended are forgotten, however long their round stays open.</summary>
    private void ExpireReads(long now)
    {
        foreach (List<IReadWaiter> round in _reads.Values)
        {
            foreach (IReadWaiter read in round)
            {
                if (read is RemoteRead { HasEnded: false } remote && now > remote.Deadline)
                    remote.Answer(new CallRefusedReply(CallRefusal.TimedOut, "The read barrier found no quorum in time. " + DescribeQuorum()));
            }

            round.RemoveAll(static read => read.HasEnded);
        }

        foreach (ForwardedReads forwarded in _forwardedReads)
        {
            if (!forwarded.IsAbandoned && now > forwarded.Deadline)
                Abandon(forwarded);
            else
                forwarded.Reads.RemoveAll(static read => read.HasEnded);
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

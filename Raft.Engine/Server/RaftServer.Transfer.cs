using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// Handing leadership over, for callers of our own and forwarded ones. PhD 3.10; rule 10.
public sealed partial class RaftServer
{
    internal void Begin(LocalTransfer call)
    {
        if (!TryBegin(call))
            return;

        call.Deadline = DeadlineAfter(call.Timeout);
        _transferCalls.Add(call);
        Route(call);
    }

    internal void Begin(RemoteTransfer call)
    {
        if (!TryBegin(call))
            return;

        if (_protocol.Role != Role.Leader)
        {
            call.Elsewhere();
        }
        else if (!_protocol.Configuration.Contains(call.From))
        {
            call.Answer(NotMemberReply(call.From));
        }
        else
        {
            _transferCalls.Add(call);
            BeginTransfer(call);
        }
    }

    internal void Route(LocalTransfer call)
    {
        if (call.HasEnded)
            return;

        // A call that waited for another transfer to end may find that it has what it wanted.
        bool isDone = call.IsStepDown ? _protocol.Role != Role.Leader : call.IsParked && IsTarget(call, _protocol.Leader);
        call.IsParked = false;
        if (isDone)
            call.Done(_protocol.Leader);
        else if (_protocol.Role == Role.Leader)
            BeginTransfer(call);
        else if (!Settings.ForwardCalls)
            call.Fail(new NotLeaderException(_protocol.Leader));
        else if (_protocol.Leader is { } leader && leader != Id)
            Watch(call, ForwardAsync(call, leader));
        else
            Park(call);
    }

    private void Park(LocalTransfer call)
    {
        if (_protocol.Leader is null && IsOutside)
            call.Fail(OutsideError());
        else
            call.IsParked = true;
    }

    private static bool IsTarget(ITransferCall call, ServerId? leader) => call.Target is { } target && leader?.Node == target;

    private void BeginTransfer(ITransferCall call)
    {
        double left = MillisecondsUntil(call.Deadline);
        int ticks = (int)Math.Clamp(Math.Ceiling(left / Settings.Tick.TotalMilliseconds), 1, int.MaxValue);
        _isInProtocol = true;
        TransferStart start = _protocol.BeginTransfer(call.Target, ticks);
        _isInProtocol = false;
        SchedulePoll();
        switch (start)
        {
            case TransferStart.Started:
                _logger.HandsOver(GroupId, call.Target?.Value ?? "the best voter");
                call.BegunIn = _protocol.CurrentTerm;
                break;
            case TransferStart.InProgress when call.Target is null:
                call.BegunIn = _protocol.CurrentTerm;       // whoever it goes to
                break;
            case TransferStart.InProgress:
                call.IsParked = true;
                break;
            case TransferStart.NotLeader:
                call.Elsewhere();
                break;
            case TransferStart.NoOtherVoter:
                call.Refused(CallRefusal.NoOtherVoter, "There is no other voter.");
                break;
            default:
                call.Refused(CallRefusal.InvalidTarget, DescribeRefusal(start, call.Target));
                break;
        }
    }

    private static string DescribeRefusal(TransferStart start, NodeId? target) => start switch
    {
        TransferStart.UnknownTarget => $"{target} is no member of the group.",
        TransferStart.NotVoter => $"{target} is no voter, so it cannot lead.",
        TransferStart.Self => $"{target} leads already.",
        _ => $"{target ?? new NodeId("No other voter")} is not alive, so it cannot take leadership over.",
    };

    private async Task ForwardAsync(LocalTransfer call, ServerId leader)
    {
        call.IsAsking = true;
        LeaderReply? reply = null;
        Exception? failure = null;
        try
        {
            reply = await _rpc.CallAsync(leader, new TransferCall(call.Target, MillisecondsUntil(call.Deadline)), call.Token);
        }
        catch (Exception error)
        {
            failure = error;
        }

        call.IsAsking = false;
        if (call.HasEnded || _stopReason is not null)
            return;

        switch (reply)
        {
            case TransferDoneReply done:
                call.Done(done.Leader);
                break;
            case NotLeaderReply _ when ++call.Detours <= DetoursMax && _protocol.Leader is { } known && known != leader:
                Route(call);
                break;
            case NotLeaderReply { Leader: { } named } when call.Detours <= DetoursMax && named != leader && named != Id:
                await ForwardAsync(call, named);
                break;
            case CallRefusedReply { Reason: CallRefusal.InvalidTarget or CallRefusal.NoOtherVoter or CallRefusal.NotMember or CallRefusal.TimedOut } refused:
                call.Refused(refused.Reason, refused.Detail);
                break;
            case CallFailedReply:
            case null when failure is not RaftException { Outcome: WriteOutcome.NotSubmitted }:
                call.Lost = leader;     // not asked again: it may have been done, and twice is once too often
                Review(call, now: null);
                break;
            default:
                Park(call);
                break;
        }
    }

    /// <summary>After the role, term or leader has changed, and (with the time) at each tick.</summary>
    private void ReviewTransfers(long? now)
    {
        for (int i = _transferCalls.Count - 1; i >= 0; i--)
        {
            ITransferCall call = _transferCalls[i];
            if (!call.HasEnded)
                Guard(call, now);
            if (call.HasEnded)
                _transferCalls.Remove(call);
        }
    }

    private void Guard(ITransferCall call, long? now)
    {
        try
        {
            Review(call, now);
        }
        catch (Exception error)
        {
            OnCallFailed(call, error);
        }
    }

    private void Review(ITransferCall call, long? now)
    {
        bool isLate = now > call.Deadline;
        ServerId? leader = _protocol.Leader;
        if (call.BegunIn is { } term)
        {
            bool leadsOn = _protocol.Role == Role.Leader && (_protocol.CurrentTerm != term || !_protocol.IsTransferring);
            bool isHandedOver = _protocol.Role != Role.Leader && (leader is not null || isLate);
            if (leadsOn)
            {
                _metrics.OnTransfer(isDone: false);
                call.TimedOut("Nobody took leadership over in time; this server leads on.", WriteOutcome.NotSubmitted);
            }
            else if (isHandedOver)
            {
                _metrics.OnTransfer(isDone: true);
                call.Done(leader);
            }
        }
        else if (call.Lost is { } lost)
        {
            if (leader is not null && leader != lost)
                call.Done(leader);
            else if (isLate)
                call.TimedOut($"The leader {lost.Node} was asked to hand over and did not answer: it may or may not.", WriteOutcome.Unknown);
        }
        else if (isLate && call is not LocalTransfer { IsAsking: true })
        {
            call.TimedOut("The time was up before leadership could be handed over. " + DescribeQuorum(), WriteOutcome.NotSubmitted);
        }
        else if (call.IsParked)
        {
            if (call is LocalTransfer local)
                Route(local);
            else if (_protocol.Role == Role.Leader)
                BeginTransfer(call);
            else if (IsTarget(call, leader))
                call.Done(leader);
            else
                call.Elsewhere();
        }
    }
}

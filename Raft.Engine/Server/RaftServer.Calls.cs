using Raft.Engine.Errors;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

// The way of a call: charged, posted to the shard, handled there, ended. An error in its handling is its own.
public sealed partial class RaftServer
{
    private static readonly SendOrPostCallback _run = static state => Run((ICall)state!);

    /// <summary>Operators' calls that may wait while <see cref="RaftServerSettings.MaxPendingCalls"/> others do.</summary>
    internal const int OperatorCallsReserve = 1_024;

    private readonly WaitingBytes _waitingBytes;
    private bool _isInProtocol;             // a call's handling is inside the protocol

    /// <summary>A call without a command, as <see cref="Submit(ICall, int)"/> sees it.</summary>
    private const int NoCommand = -1;

    /// <summary>From any thread: the call is posted, or ends at once.</summary>
    internal void Submit(ICall call, int commandBytes = NoCommand)
    {
        if (_stopReason is { } reason)
        {
            call.Stop(reason);
            return;
        }

        int bytes = WaitingBytes.CallBytes + Math.Max(0, commandBytes);
        if (!_waitingBytes.TryAdd(bytes, isCommand: commandBytes != NoCommand))
        {
            _metrics.OnRefused();
            call.Overloaded(DescribeWaiting());
            return;
        }

        call.WaitingCharge = bytes;
        if (!_shard.Post(_run, call))
        {
            ReleaseWaiting(call);
            call.Stop("its shard has stopped");
        }
    }

    private static void Run(ICall call)
    {
        try
        {
            call.Begin();
        }
        catch (Exception error)
        {
            call.Server.OnCallFailed(call, error);
        }
    }

    /// <summary>What the call holds is in the log now, or is not needed any more.</summary>
    internal void ReleaseWaiting(ICall call)
    {
        if (call.WaitingCharge == 0)
            return;

        _waitingBytes.Remove(call.WaitingCharge);
        call.WaitingCharge = 0;
    }

    private string DescribeWaiting() =>
        $"{_waitingBytes.Value} bytes of calls wait on {Id.Node} already (MaxWaitingBytes is {Settings.MaxWaitingBytes}; over all groups {Budget}). Nothing was submitted: try again later.";

    private string Budget => _budget is null ? "no limit" : $"{_budget.WaitingBytes} of {_budget.MaxWaitingBytes}";

    /// <summary>
    /// An error while one call was handled. It is that call's own, unless it says that the protocol or the storage is broken,
    /// or came out of the protocol: that throws only when something of its state is wrong, and may have changed half of it.
    /// </summary>
    private void OnCallFailed(ICall call, Exception error)
    {
        bool isBroken = _isInProtocol || error is InvariantViolationException or CorruptStorageException;
        if (!isBroken && _stopReason is null)
            _logger.CallFailed(error, GroupId, call.GetType().Name);
        ReleaseWaiting(call);
        call.Break(error);      // before the rest: the members must not ask the next leader for what stops this one
        if (isBroken)
            Fail(error);
    }

    /// <summary>One step of one call, of those that are looked at together.</summary>
    private void Guard<T>(T call, Action<RaftServer, T> step)
        where T : ICall
    {
        try
        {
            step(this, call);
        }
        catch (Exception error)
        {
            OnCallFailed(call, error);
        }
    }

    /// <summary>Watches over the part of a call's handling that awaits something.</summary>
    private async Task WatchAsync(ICall call, Task handling)
    {
        try
        {
            await handling;
        }
        catch (Exception error)
        {
            OnCallFailed(call, error);
        }
    }

    private void Watch(ICall call, Task handling) => _ = WatchAsync(call, handling);

    /// <summary>Registers a call of our own caller's; false when it has ended already.</summary>
    /// <remarks>Stopped wins over cancelled: the caller should go elsewhere and not try again.</remarks>
    private bool TryBegin(ILocalCall call)
    {
        if (_stopReason is not null || _protocolOrNull is null)
        {
            ReleaseWaiting(call);
            call.Stop(_stopReason ?? "it has not started");
            return false;
        }

        // A command stays charged until it is in a log; other calls hold nothing but themselves, and are counted from here on.
        if (call is not LocalWrite)
            ReleaseWaiting(call);

        CancellationToken cancellation = call.Token;
        if (cancellation.IsCancellationRequested)
        {
            call.Cancel();
            return false;
        }

        int limit = Settings.MaxPendingCalls;
        if (_calls.Count >= limit && !(call.IsOperators && _calls.Count - limit < OperatorCallsReserve))
        {
            _metrics.OnRefused();
            call.Overloaded($"{_calls.Count} calls wait on {Id.Node} already (MaxPendingCalls is {limit}). Nothing was submitted: try again later.");
            return false;
        }

        _calls.Add(call);
        if (cancellation.CanBeCanceled)
        {
            call.Cancellation = cancellation.UnsafeRegister(
                static state => ((ILocalCall)state!).Server._shard.Post(static state => Cancel((ILocalCall)state!), state), call);
        }

        return true;
    }

    private static void Cancel(ILocalCall call)
    {
        try
        {
            call.Cancel();
        }
        catch (Exception error)
        {
            call.Server.OnCallFailed(call, error);
        }
    }

    /// <summary>A call has ended: it needs no cancellation and no stop any more.</summary>
    internal void Forget(ILocalCall call)
    {
        call.Cancellation.Unregister();
        _calls.Remove(call);
    }

    /// <summary>Registers a forwarded call; false when this server has stopped, or has not started.</summary>
    private bool TryBegin(RemoteCall call)
    {
        if (IsReady)
            return true;

        call.Stop(_stopReason ?? "it has not started");
        return false;
    }

    /// <summary>When a time-out ends, as a time stamp of the shard's clock; never for an infinite one.</summary>
    internal long DeadlineAfter(TimeSpan timeout)
    {
        long now = _shard.Time.GetTimestamp();
        double ticks = timeout.TotalSeconds * _shard.Time.TimestampFrequency;
        return timeout == Timeout.InfiniteTimeSpan || ticks >= long.MaxValue - now ? long.MaxValue : now + (long)ticks;
    }

    private long DeadlineIn(int timeoutMs) => DeadlineAfter(TimeSpan.FromMilliseconds(Math.Max(0, timeoutMs)));

    private int MillisecondsUntil(long deadline)
    {
        double left = (deadline - _shard.Time.GetTimestamp()) * 1000.0 / _shard.Time.TimestampFrequency;
        return (int)Math.Clamp(left, 0, int.MaxValue);
    }
}

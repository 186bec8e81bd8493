using System.Collections.Concurrent;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>One call that waits for its reply.</summary>
internal sealed class PendingCall
{
    private readonly TaskCompletionSource<LeaderReply> _reply = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private volatile SendSegment? _segment;

    /// <summary>What it leaves with. Null until it is known, and then it counts as written: in doubt it is a maybe.</summary>
    public SendSegment? Segment
    {
        get => _segment;
        set => _segment = value;
    }

    public Task<LeaderReply> Reply => _reply.Task;

    public void Succeed(LeaderReply reply) => _reply.TrySetResult(reply);

    public void Fail(RaftException error) => _reply.TrySetException(error);
}

/// <summary>The calls to one server that wait for a reply. Thread-safe.</summary>
internal sealed class PendingCalls(ServerId server)
{
    private readonly ConcurrentDictionary<ulong, PendingCall> _calls = new();

    // Random, so that a late reply to a call of our former start meets none of this one's.
    private ulong _lastId = (ulong)Random.Shared.NextInt64();

    public int Count => _calls.Count;

    public PendingCall Begin(out ulong id)
    {
        id = Interlocked.Increment(ref _lastId);
        var call = new PendingCall();
        _calls[id] = call;
        return call;
    }

    public void Remove(ulong id) => _calls.TryRemove(id, out _);

    /// <summary>A reply that nobody waits for any more is ignored.</summary>
    public void Complete(ulong id, LeaderReply? reply)
    {
        if (_calls.TryRemove(id, out PendingCall? call))
            call.Succeed(reply ?? new CallFailedReply($"The call failed on {server.Node}; it may have had an effect."));
    }

    /// <summary>The server there does not run the group: nobody has heard the call.</summary>
    public void Unheard(ulong id, string group)
    {
        if (_calls.TryRemove(id, out PendingCall? call))
            call.Fail(new DestinationNotAliveException(server, $"{server.Node} does not run group '{group}'; nothing was done."));
    }

    /// <summary>A connection ended.</summary>
    /// <param name="isQueueLost">It was the calls' own: what still waited never leaves, and is safe to ask again. Else it
    /// was the replies', and the calls that wait still leave.</param>
    /// <param name="why">For the exception.</param>
    public void FailAll(bool isQueueLost, string why)
    {
        foreach ((ulong id, _) in _calls)
        {
            if (!_calls.TryRemove(id, out PendingCall? call))
                continue;

            if (isQueueLost && call.Segment is { IsTaken: false })
                call.Fail(new DestinationNotAliveException(server));
            else
                call.Fail(new TransportException($"The connection to {server.Node} ended before the reply came: {why}"));
        }
    }
}

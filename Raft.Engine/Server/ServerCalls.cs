using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>A call of our own caller's: it ends by its own means, by cancellation, or when the server stops.</summary>
internal interface ILocalCall
{
    CancellationTokenRegistration Cancellation { get; set; }

    /// <summary>On the shard: the caller's token was cancelled.</summary>
    void Cancel();

    /// <summary>On the shard: the server stops.</summary>
    void Stop(string reason);
}

/// <summary>One AddEntryAsync: promise and state in one object, the only allocation that a write costs the server.</summary>
internal sealed class LocalWrite(RaftServer server, EntryKind kind, ReadOnlyMemory<byte> command, WaitFor wait, CancellationToken cancellation)
    : TaskCompletionSource<AddedEntry>(TaskCreationOptions.RunContinuationsAsynchronously), IAppend, ILocalCall
{
    public void Begin() => server.Begin(this);

    public EntryKind Kind { get; } = kind;
    public ReadOnlyMemory<byte> Command { get; private set; } = command;
    public WaitFor Wait { get; } = wait;
    public CancellationToken Token { get; } = cancellation;
    public CancellationTokenRegistration Cancellation { get; set; }

    /// <summary>It may be in a log, here or at the leader: from now on a failure is unknown until proven otherwise.</summary>
    public bool IsSubmitted { get; set; }

    /// <summary>Which entry it became, once known.</summary>
    public EntryId Entry { get; set; }

    /// <summary>How many replies have sent it elsewhere since the last tick; bounds the chase of a leader.</summary>
    public int Detours { get; set; }

    public bool HasEnded => Task.IsCompleted;
    public long Deadline => long.MaxValue;      // its token ends it
    public long WaitsSince { get; set; }

    /// <summary>Until when a leader that it is forwarded to may let it wait.</summary>
    public long ForwardDeadline { get; set; }

    public void Appended(EntryId entry) => server.OnOwnAppended(this, entry);
    public void NotLeader() => server.Route(this);
    public void Expire() => server.EndUnsubmitted(this);
    public void OutOfSpace(string reason) => server.EndOutOfSpace(this, reason);

    public void Cancel()
    {
        if (IsSubmitted)
            server.EndUnknown(this, "The caller's time was up after the entry was submitted: it may or may not be committed.", error: null);
        else
            server.EndUnsubmitted(this);
    }

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        TrySetException(new StoppedException(reason, IsSubmitted ? WriteOutcome.Unknown : WriteOutcome.NotSubmitted));
    }

    /// <summary>The log holds it now, or nobody will ever append it.</summary>
    public void ReleaseCommand() => Command = default;
}

/// <summary>A write that another member forwarded to us.</summary>
internal sealed class RemoteWrite(RaftServer server, ServerId from, AddEntryCall call)
    : TaskCompletionSource<LeaderReply>(TaskCreationOptions.RunContinuationsAsynchronously), IAppend
{
    public void Begin() => server.Begin(this);

    public ServerId From { get; } = from;
    public AddEntryCall Call { get; } = call;
    public EntryKind Kind => Call.Kind;
    public ReadOnlyMemory<byte> Command => Call.Command;
    public bool HasEnded => Task.IsCompleted;
    public long Deadline { get; set; }
    public long WaitsSince { get; set; }

    public void Appended(EntryId entry) => server.OnForwardedAppended(this, entry);
    public void NotLeader() => TrySetResult(server.NotLeaderReply());

    public void Expire() => TrySetResult(server.ExpiredReply());
    public void OutOfSpace(string reason) => TrySetResult(new CallRefusedReply(CallRefusal.OutOfSpace, reason));
}

/// <summary>Somebody who waits for a read barrier of this leader.</summary>
internal interface IReadWaiter
{
    bool HasEnded { get; }

    /// <summary>What is applied up to this index may be read.</summary>
    void Confirmed(LogIndex index);

    /// <summary>This server does not lead (any more): it must be asked elsewhere.</summary>
    void NotLeader();
}

/// <summary>One ReadBarrierAsync.</summary>
internal sealed class LocalRead(RaftServer server, CancellationToken cancellation)
    : TaskCompletionSource<LogIndex>(TaskCreationOptions.RunContinuationsAsynchronously), IReadWaiter, ILocalCall
{
    public void Begin() => server.Begin(this);

    public CancellationToken Token { get; } = cancellation;
    public CancellationTokenRegistration Cancellation { get; set; }
    public bool HasEnded => Task.IsCompleted;

    public void Confirmed(LogIndex index) => server.OnReadConfirmed(this, index);
    public void NotLeader() => server.ParkRead(this);
    public void Cancel() => server.End(this, new RaftTimeoutException("The read barrier was not confirmed in time. " + server.DescribeQuorum()));

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        TrySetException(new StoppedException(reason, WriteOutcome.NotSubmitted));
    }
}

/// <summary>A read barrier that another member asks us for.</summary>
internal sealed class RemoteRead(RaftServer server, ServerId from)
    : TaskCompletionSource<LeaderReply>(TaskCreationOptions.RunContinuationsAsynchronously), IReadWaiter
{
    public void Begin() => server.Begin(this);

    public ServerId From { get; } = from;
    public long Deadline { get; set; }
    public bool HasEnded => Task.IsCompleted;

    public void Confirmed(LogIndex index) => server.OnForwardedReadConfirmed(this, index);
    public void NotLeader() => TrySetResult(server.NotLeaderReply());
}

/// <summary>Reads of one poll that went to the leader in one call.</summary>
internal sealed class ForwardedReads(ServerId leader, List<LocalRead> reads)
{
    public ServerId Leader { get; } = leader;
    public List<LocalRead> Reads { get; } = reads;

    /// <summary>Asked again elsewhere: the reply does not matter any more.</summary>
    public bool IsAbandoned { get; set; }
}

/// <summary>One WaitForLeaderAsync or WaitForStateChangeAsync.</summary>
internal sealed class StateWaiter(RaftServer server, bool untilLeader)
    : TaskCompletionSource<ServerId>(TaskCreationOptions.RunContinuationsAsynchronously), ILocalCall
{
    public void Begin() => server.Begin(this);

    public bool UntilLeader { get; } = untilLeader;
    public CancellationTokenRegistration Cancellation { get; set; }
    public CancellationToken Token { get; init; }

    public void Cancel() => server.End(this, new RaftTimeoutException(
        UntilLeader ? "No leader became known in time. " + server.DescribeQuorum() : "Role, term and leader did not change in time."));

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        TrySetException(new StoppedException(reason, WriteOutcome.NotSubmitted));
    }
}

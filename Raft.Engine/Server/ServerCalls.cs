using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>A call on one server, made by its own caller or forwarded by another member.</summary>
/// <remarks>It always ends: with its outcome, with the error that its handling ran into, or because the server stops.</remarks>
internal interface ICall
{
    RaftServer Server { get; }

    /// <summary>Bytes of <see cref="WaitingBytes"/> that it holds; the server sets and releases them.</summary>
    int WaitingCharge { get; set; }

    /// <summary>On the shard, once: its handling begins.</summary>
    void Begin();

    /// <summary>On the shard: its handling failed because of a bug, here or in a plug-in. Whether it had an effect is unknown.</summary>
    void Break(Exception error);

    /// <summary>Too much waits already, so it is not even begun. Any thread.</summary>
    void Overloaded(string detail);

    /// <summary>The server stops. Called on the shard, or by the caller's thread when the shard has ended.</summary>
    void Stop(string reason);
}

/// <summary>A call of this server's own caller. Its caller can cancel it.</summary>
internal interface ILocalCall : ICall
{
    CancellationToken Token { get; }
    CancellationTokenRegistration Cancellation { get; set; }

    /// <summary>Operators change members and hand leadership over also while readers and writers use up the limit on calls.</summary>
    bool IsOperators => false;

    /// <summary>On the shard: the caller's token was cancelled.</summary>
    void Cancel();

    /// <summary>What a call whose handling failed ends with.</summary>
    static CommitStatusUnknownException Broken(Exception error) =>
        new($"The server could not finish the call because of an internal error ({error.Message}): it may or may not have had an effect.", error);
}

/// <summary>A call that another member forwarded. Every way to its end is an answer.</summary>
internal abstract class RemoteCall(RaftServer server, ServerId from)
    : TaskCompletionSource<LeaderReply>(TaskCreationOptions.RunContinuationsAsynchronously), ICall
{
    public RaftServer Server { get; } = server;
    public ServerId From { get; } = from;
    public int WaitingCharge { get; set; }
    public bool HasEnded => Task.IsCompleted;

    public abstract void Begin();

    public void Answer(LeaderReply reply)
    {
        Server.ReleaseWaiting(this);
        TrySetResult(reply);
    }

    public void Break(Exception error) =>
        Answer(new CallFailedReply($"{Server.Id.Node} could not finish the call because of an internal error ({error.Message}); it may have had an effect."));

    public void Overloaded(string detail) => Answer(new CallRefusedReply(CallRefusal.Overloaded, detail));

    /// <summary>Nothing was done for it: what may have had an effect overrides this.</summary>
    public virtual void Stop(string reason) => Answer(new CallRefusedReply(CallRefusal.Stopped, reason));
}

/// <summary>One AddEntryAsync: promise and state in one object, the only allocation that a write costs the server.</summary>
internal sealed class LocalWrite(RaftServer server, EntryKind kind, ReadOnlyMemory<byte> command, WaitFor wait, CancellationToken cancellation)
    : TaskCompletionSource<AddedEntry>(TaskCreationOptions.RunContinuationsAsynchronously), IAppend, ILocalCall
{
    public RaftServer Server => server;
    public int WaitingCharge { get; set; }

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
    public void Refuse(CommandRefusal refusal) => server.EndRefused(this, refusal.Reason, refusal.Detail);

    public void Cancel()
    {
        if (IsSubmitted)
            server.EndUnknown(this, "The caller's time was up after the entry was submitted: it may or may not be committed.", error: null);
        else
            server.EndUnsubmitted(this);
    }

    public void Break(Exception error) => server.EndFailed(this, ILocalCall.Broken(error));

    public void Overloaded(string detail)
    {
        ReleaseCommand();
        TrySetException(new OverloadedException(detail));
    }

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        ReleaseCommand();
        TrySetException(new StoppedException(reason, IsSubmitted ? WriteOutcome.Unknown : WriteOutcome.NotSubmitted));
    }

    /// <summary>The log holds it now, or it will never be appended.</summary>
    public void ReleaseCommand()
    {
        server.ReleaseWaiting(this);
        Command = default;
    }
}

/// <summary>A write that another member forwarded to us.</summary>
internal sealed class RemoteWrite(RaftServer server, ServerId from, AddEntryCall call) : RemoteCall(server, from), IAppend
{
    public override void Begin() => Server.Begin(this);

    public AddEntryCall Call { get; } = call;
    public EntryKind Kind => Call.Kind;
    public ReadOnlyMemory<byte> Command => Call.Command;
    public long Deadline { get; set; }
    public long WaitsSince { get; set; }

    public void Appended(EntryId entry) => Server.OnForwardedAppended(this, entry);
    public void NotLeader() => Answer(Server.NotLeaderReply());

    public void Expire() => Answer(Server.ExpiredReply());
    public void Refuse(CommandRefusal refusal) => Answer(new CallRefusedReply(refusal.Reason, refusal.Detail));
}

/// <summary>Somebody who waits for a read barrier of this leader.</summary>
internal interface IReadWaiter : ICall
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
    public RaftServer Server => server;
    public int WaitingCharge { get; set; }

    public void Begin() => server.Begin(this);

    public CancellationToken Token { get; } = cancellation;
    public CancellationTokenRegistration Cancellation { get; set; }
    public bool HasEnded => Task.IsCompleted;

    public void Confirmed(LogIndex index) => server.OnReadConfirmed(this, index);
    public void NotLeader() => server.ParkRead(this);
    public void Cancel() => server.End(this, new RaftTimeoutException("The read barrier was not confirmed in time. " + server.DescribeQuorum()));

    public void Break(Exception error) => server.End(this, ILocalCall.Broken(error));

    public void Overloaded(string detail) => TrySetException(new OverloadedException(detail));

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        TrySetException(new StoppedException(reason, WriteOutcome.NotSubmitted));
    }
}

/// <summary>A read barrier that another member asks us for.</summary>
internal sealed class RemoteRead(RaftServer server, ServerId from) : RemoteCall(server, from), IReadWaiter
{
    public override void Begin() => Server.Begin(this);

    public long Deadline { get; set; }

    public void Confirmed(LogIndex index) => Server.OnForwardedReadConfirmed(this, index);
    public void NotLeader() => Answer(Server.NotLeaderReply());
}

/// <summary>Reads of one poll that went to the leader in one call.</summary>
internal sealed class ForwardedReads(ServerId leader, List<LocalRead> reads, long deadline)
{
    public ServerId Leader { get; } = leader;
    public List<LocalRead> Reads { get; } = reads;

    /// <summary>A time stamp of the shard's clock. An answer that has not come by then was lost on the way.</summary>
    public long Deadline { get; } = deadline;

    /// <summary>Asked again elsewhere: the reply does not matter any more.</summary>
    public bool IsAbandoned { get; set; }
}

/// <summary>One WaitForLeaderAsync or WaitForStateChangeAsync.</summary>
internal sealed class StateWaiter(RaftServer server, bool untilLeader)
    : TaskCompletionSource<ServerId>(TaskCreationOptions.RunContinuationsAsynchronously), ILocalCall
{
    public RaftServer Server => server;
    public int WaitingCharge { get; set; }

    public void Begin() => server.Begin(this);

    public bool UntilLeader { get; } = untilLeader;
    public CancellationTokenRegistration Cancellation { get; set; }
    public CancellationToken Token { get; init; }

    public void Cancel() => server.End(this, new RaftTimeoutException(
        UntilLeader ? "No leader became known in time. " + server.DescribeQuorum() : "Role, term and leader did not change in time."));

    public void Break(Exception error) => server.End(this, ILocalCall.Broken(error));

    public void Overloaded(string detail) => TrySetException(new OverloadedException(detail));

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        TrySetException(new StoppedException(reason, WriteOutcome.NotSubmitted));
    }
}

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>Somebody who wants leadership handed over.</summary>
internal interface ITransferCall : ICall
{
    NodeId? Target { get; }

    /// <summary>A time stamp of the shard's clock.</summary>
    long Deadline { get; }
    bool HasEnded { get; }

    /// <summary>The term in which this server began to hand over for it; null before.</summary>
    Term? BegunIn { get; set; }

    /// <summary>The leader that it was forwarded to and that did not answer: perhaps because it leads no more.</summary>
    ServerId? Lost { get; set; }

    /// <summary>It waits for a leader, or for another transfer to end.</summary>
    bool IsParked { get; set; }

    void Done(ServerId? leader);
    void Refused(CallRefusal reason, string detail);

    /// <summary>Leadership stays where it is, as far as is known.</summary>
    void TimedOut(string detail, WriteOutcome outcome);

    /// <summary>Another server must be asked.</summary>
    void Elsewhere();
}

/// <summary>One TransferLeadershipAsync or StepDownAsync.</summary>
internal sealed class LocalTransfer(RaftServer server, NodeId? target, bool isStepDown, TimeSpan timeout, CancellationToken cancellation)
    : TaskCompletionSource<ServerId?>(TaskCreationOptions.RunContinuationsAsynchronously), ITransferCall, ILocalCall
{
    public RaftServer Server => server;
    public int WaitingCharge { get; set; }
    public bool IsOperators => true;

    public void Begin() => server.Begin(this);

    public NodeId? Target { get; } = target;
    public bool IsStepDown { get; } = isStepDown;
    public TimeSpan Timeout { get; } = timeout;
    public CancellationToken Token { get; } = cancellation;
    public CancellationTokenRegistration Cancellation { get; set; }
    public long Deadline { get; set; }
    public bool HasEnded => Task.IsCompleted;
    public Term? BegunIn { get; set; }
    public ServerId? Lost { get; set; }
    public bool IsParked { get; set; }
    public bool IsAsking { get; set; }
    public int Detours { get; set; }

    /// <summary>A leader was asked, and its answer is not known: leadership may be handed over, or not.</summary>
    private bool MayHappen => BegunIn is not null || IsAsking || Lost is not null;

    public void Done(ServerId? leader)
    {
        server.Forget(this);
        TrySetResult(leader);
    }

    public void Refused(CallRefusal reason, string detail) => Fail(reason switch
    {
        CallRefusal.NoOtherVoter => new NoOtherVoterException(),
        CallRefusal.InvalidTarget => new InvalidTransferTargetException(detail),
        CallRefusal.NotMember => new NotMemberException(detail),
        _ => new RaftTimeoutException(detail),
    });

    public void TimedOut(string detail, WriteOutcome outcome) => Fail(new RaftTimeoutException(detail, outcome));

    public void Elsewhere() => server.Route(this);

    public void Cancel() => TimedOut(
        "The caller did not wait for how the transfer of leadership ends.",
        MayHappen ? WriteOutcome.Unknown : WriteOutcome.NotSubmitted);

    public void Break(Exception error) => Fail(ILocalCall.Broken(error));

    public void Overloaded(string detail) => TrySetException(new OverloadedException(detail));

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        TrySetException(new StoppedException(reason, MayHappen ? WriteOutcome.Unknown : WriteOutcome.NotSubmitted));
    }

    public void Fail(RaftException error)
    {
        server.Forget(this);
        TrySetException(error);
    }
}

/// <summary>A transfer that another member forwarded to us.</summary>
internal sealed class RemoteTransfer(RaftServer server, ServerId from, NodeId? target, long deadline) : RemoteCall(server, from), ITransferCall
{
    public override void Begin() => Server.Begin(this);

    public NodeId? Target { get; } = target;
    public long Deadline { get; } = deadline;
    public Term? BegunIn { get; set; }
    public ServerId? Lost { get; set; }
    public bool IsParked { get; set; }

    public void Done(ServerId? leader) => Answer(new TransferDoneReply(leader));
    public void Refused(CallRefusal reason, string detail) => Answer(new CallRefusedReply(reason, detail));
    public void TimedOut(string detail, WriteOutcome outcome) => Answer(new CallRefusedReply(CallRefusal.TimedOut, detail));
    public void Elsewhere() => Answer(Server.NotLeaderReply());

    /// <summary>One that has begun may succeed without this server. Asked again, leadership would move twice.</summary>
    public override void Stop(string reason)
    {
        if (BegunIn is null)
            base.Stop(reason);
        else
            Answer(new CallFailedReply($"{Server.Id.Node} stopped while it handed leadership over: {reason}"));
    }
}

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>One change of members that a caller of our own asked for.</summary>
internal sealed class LocalChange(RaftServer server, MembershipChange change, bool isUntilSettled, CancellationToken cancellation)
    : TaskCompletionSource<LogIndex>(TaskCreationOptions.RunContinuationsAsynchronously), ILocalCall
{
    public RaftServer Server => server;
    public int WaitingCharge { get; set; }
    public bool IsOperators => true;

    public void Begin() => server.Begin(this);

    public MembershipChange Change { get; } = change;

    /// <summary>It waits for all of the change, not only for the commit of its first entry.</summary>
    public bool IsUntilSettled { get; } = isUntilSettled;
    public CancellationToken Token { get; } = cancellation;
    public CancellationTokenRegistration Cancellation { get; set; }
    public bool HasEnded => Task.IsCompleted;

    /// <summary>It waits for a leader, or for the next tick.</summary>
    public bool IsParked { get; set; }
    public int Detours { get; set; }

    /// <summary>An attempt is on its way to a leader.</summary>
    public bool IsAsking { get; set; }

    /// <summary>An attempt before this one may have been appended somewhere: a refusal of a later one says nothing of it.</summary>
    public bool IsUncertain { get; set; }

    /// <summary>The first entry of the change, or the configuration that is as wanted; of term zero when the leader knew it as
    /// committed. Null until a leader has said.</summary>
    public EntryId? Entry { get; set; }

    /// <summary>That entry is committed.</summary>
    public bool IsCommitted { get; set; }

    public void Cancel() => server.CancelChange(this);

    public void Break(Exception error) => server.EndFailed(this, ILocalCall.Broken(error));

    public void Overloaded(string detail) => TrySetException(new OverloadedException(detail));

    public void Stop(string reason)
    {
        Cancellation.Unregister();
        bool mayHappen = IsUncertain || IsAsking || Entry is not null;
        TrySetException(new StoppedException(reason, mayHappen ? WriteOutcome.Unknown : WriteOutcome.NotSubmitted));
    }
}

/// <summary>A change of members that another member forwarded to us.</summary>
internal sealed class RemoteChange(RaftServer server, ServerId from, MembershipChange change, long deadline) : RemoteCall(server, from)
{
    public override void Begin() => Server.Begin(this);

    public MembershipChange Change { get; } = change;
    public long Deadline { get; } = deadline;
}

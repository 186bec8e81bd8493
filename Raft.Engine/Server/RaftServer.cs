using Microsoft.Extensions.Logging;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Shards;

namespace Raft.Engine.Server;

/// <summary>Until when <see cref="RaftServer.AddEntryAsync"/> waits.</summary>
public enum WaitFor : byte
{
    /// <summary>A quorum holds it durably.</summary>
    Committed = 1,

    /// <summary>This server's state machine has applied it.</summary>
    Applied = 2,
}

/// <summary>An entry that was added. <see cref="Result"/> is the own state machine's, when the call waited for apply.</summary>
public readonly record struct AddedEntry(LogIndex Index, Term Term, object? Result);

/// <summary>What a server is made of.</summary>
public sealed record RaftServerParts(
    GroupId Group, IShard Shard, IRaftRpc Rpc, IRaftStorage Storage, IStateMachine StateMachine, IFailureDetector FailureDetector, ILogger Logger);

/// <summary>The limits and times of one server.</summary>
public sealed record RaftServerSettings
{
    public required ProtocolSettings Protocol { get; init; }
    public TimeSpan Tick { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Seed of the election timeouts' randomness.</summary>
    public required int RandomSeed { get; init; }
    public int MaxCommandBytes { get; init; } = 1 << 20;

    /// <summary>Admission's budget for this group, bytes. Rule 7.</summary>
    public long MaxUncommittedBytes { get; init; } = 16 << 20;

    /// <summary>A leader whose oldest queued write waits longer than this hands over. Rule 2.</summary>
    public TimeSpan DiskStall { get; init; } = TimeSpan.FromSeconds(2);
}

/// <summary>One member of one group: its public calls hop to the shard and return a task. Thread-safe.</summary>
public sealed partial class RaftServer : IRaftRpcHandler, IAsyncDisposable
{
    public RaftServer(RaftServerParts parts, RaftServerSettings settings) => throw new NotImplementedException();

    public ServerId Id => throw new NotImplementedException();
    public GroupId GroupId => throw new NotImplementedException();
    public RaftServerSettings Settings => throw new NotImplementedException();

    // A consistent picture, published after every batch; readable from any thread.
    public Role Role => throw new NotImplementedException();
    public Term CurrentTerm => throw new NotImplementedException();
    public ServerId? CurrentLeader => throw new NotImplementedException();
    public LogIndex CommitIndex => throw new NotImplementedException();
    public LogIndex AppliedIndex => throw new NotImplementedException();
    public LogIndex DurableIndex => throw new NotImplementedException();
    public LogIndex LastIndex => throw new NotImplementedException();
    public Configuration Configuration => throw new NotImplementedException();
    public LogIndex ConfigurationIndex => throw new NotImplementedException();
    public IReadOnlyList<PeerProgress> Peers => throw new NotImplementedException();
    public bool IsAlive => throw new NotImplementedException();

    /// <summary>Ends (faulted with the cause) when the server stopped by itself: storage or state machine failed, or an invariant broke.</summary>
    public Task Stopped => throw new NotImplementedException();

    /// <summary>Loads, replays nothing yet, and begins to take part.</summary>
    public Task StartAsync(CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Stops at once; every waiting call ends with StoppedException.</summary>
    public Task AbortAsync(string reason) => throw new NotImplementedException();

    /// <summary>Adds a command, on the leader or forwarded to it.</summary>
    /// <remarks>Never throws OperationCanceledException: a cancelled token means RaftTimeoutException while nothing was
    /// submitted, and CommitStatusUnknownException after.</remarks>
    public Task<AddedEntry> AddEntryAsync(ReadOnlyMemory<byte> command, WaitFor wait, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Returns when this server has applied everything that was committed when the call was made; the index applied. Rule 9.</summary>
    public Task<LogIndex> ReadBarrierAsync(CancellationToken cancellation) => throw new NotImplementedException();

    public Task<ServerId> WaitForLeaderAsync(CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Returns at the next change of role, term or leader.</summary>
    public Task WaitForStateChangeAsync(CancellationToken cancellation) => throw new NotImplementedException();

    public void Receive(IReadOnlyList<Message> messages) => throw new NotImplementedException();
    public Task<LeaderReply> ReceiveCallAsync(ServerId from, LeaderCall call) => throw new NotImplementedException();
    public void Unreachable(ServerId server) => throw new NotImplementedException();
    public void LivenessChanged() => throw new NotImplementedException();
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

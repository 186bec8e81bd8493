using Raft.Engine.Protocol;

namespace Raft.Engine.Plugins;

/// <summary>The network as one server of one group sees it.</summary>
/// <remarks>
/// An asynchronous, unreliable network; <c>RpcContract</c> tests each line.
/// Messages may be lost, doubled, late or out of order; they are never changed, and never reach a server other than
/// <see cref="Message.To"/> (node id and storage id) in the same group and cluster.
/// Bounded: what waits for a slow or dead peer is bounded in bytes; above it messages are dropped, and the handler is told with
/// <see cref="IRaftRpcHandler.Unreachable"/>. A peer that is down costs the others nothing.
/// Non-blocking: the caller is a shard's only thread. The handler may be called on any thread.
/// </remarks>
public interface IRaftRpc
{
    /// <summary>Connects the server that messages and calls are handed to. Called once, before anything else.</summary>
    void Start(IRaftRpcHandler handler);

    /// <summary>Sends, each to its <see cref="Message.To"/>; messages to one server in the order given, as far as they arrive.</summary>
    void Send(IReadOnlyList<Message> messages);

    /// <summary>Asks another server, usually the leader.</summary>
    /// <exception cref="Errors.DestinationNotAliveException">Never sent, or at once when the server there does not run the
    /// group: it is safe to ask again.</exception>
    /// <exception cref="Errors.TransportException">It may have arrived.</exception>
    Task<LeaderReply> CallAsync(ServerId to, LeaderCall call, CancellationToken cancellation);

    /// <summary>Sends one chunk of a snapshot and waits for the answer, on a way of its own: it never delays messages or calls.</summary>
    /// <exception cref="Errors.RaftException">No answer came; the chunk may have arrived. The offset in the next answer tells.</exception>
    Task<SnapshotReply> SendSnapshotAsync(ServerId to, SnapshotChunk chunk, CancellationToken cancellation);

    /// <summary>The address book follows the configuration in force exactly, also back when one is truncated.</summary>
    void ConfigurationChanged(Configuration configuration);

    /// <summary>Nothing is delivered to the handler once this returns; later sends are dropped.</summary>
    void Stop();
}

/// <summary>What the network hands to a server. All calls return at once and may come from any thread.</summary>
public interface IRaftRpcHandler
{
    /// <summary>Messages that came together; <see cref="Message.SenderStart"/> is set.</summary>
    void Receive(IReadOnlyList<Message> messages);

    /// <summary>A call of another server; failures are replies, not exceptions.</summary>
    Task<LeaderReply> ReceiveCallAsync(ServerId from, LeaderCall call);

    /// <summary>A chunk of a snapshot; the bytes are borrowed until the task completes.</summary>
    Task<SnapshotReply> ReceiveSnapshotAsync(ServerId from, SnapshotChunk chunk);

    /// <summary>A message to this server was dropped, or its connection ended.</summary>
    void Unreachable(ServerId server);

    /// <summary>The failure detector has news of some server of this group.</summary>
    void LivenessChanged();
}

/// <summary>What a follower asks of the leader.</summary>
public abstract record LeaderCall;

/// <summary>Please add this command; answered once it is appended (not yet committed) with its <see cref="EntryAddedReply"/>.</summary>
/// <param name="Command">The command's bytes.</param>
/// <param name="TimeoutMs">How long the caller still waits: admission gives up after it with a <see cref="CallRefusedReply"/>.</param>
public sealed record AddEntryCall(ReadOnlyMemory<byte> Command, int TimeoutMs) : LeaderCall
{
    /// <summary>Command or System.</summary>
    public EntryKind Kind { get; init; } = EntryKind.Command;
}

/// <summary>Please change the members; answered with an <see cref="EntryAddedReply"/> once the first entry of the change is appended,
/// or, when there is nothing to do, with the configuration that is as wanted: of term zero once that is committed. Rule 8.</summary>
public sealed record ChangeMembersCall(MembershipChange Change, int TimeoutMs) : LeaderCall;

/// <summary>Please hand leadership over; answered with a <see cref="TransferDoneReply"/>. Rule 10.</summary>
/// <param name="Target">Null: to the most caught-up voter that is alive.</param>
public sealed record TransferCall(NodeId? Target, int TimeoutMs) : LeaderCall;

/// <summary>Please run a read barrier; answered with the index that the caller must have applied. Rule 9.</summary>
public sealed record ReadBarrierCall(int TimeoutMs) : LeaderCall;

public abstract record LeaderReply;

public sealed record EntryAddedReply(EntryId Entry) : LeaderReply;

public sealed record ReadBarrierReply(LogIndex Index) : LeaderReply;

/// <summary>Leadership was handed over; who leads now, when it is known.</summary>
public sealed record TransferDoneReply(ServerId? Leader) : LeaderReply;

/// <summary>Nothing was done: ask the leader named, or wait until one is known.</summary>
public sealed record NotLeaderReply(ServerId? Leader, Term Term) : LeaderReply;

/// <summary>Nothing was done, for the reason given.</summary>
public sealed record CallRefusedReply(CallRefusal Reason, string Detail) : LeaderReply;

/// <summary>The handling of the call failed there: it may have had an effect.</summary>
public sealed record CallFailedReply(string Detail) : LeaderReply;

public enum CallRefusal : byte
{
    /// <summary>Admission had no room until the deadline, though a quorum is alive; or too much waits already.</summary>
    Overloaded = 1,

    /// <summary>The command is over the leader's limit.</summary>
    TooBig = 2,

    /// <summary>The caller is no member of the leader's configuration.</summary>
    NotMember = 3,

    /// <summary>The leader's server is stopping.</summary>
    Stopped = 4,

    /// <summary>The deadline passed for another reason than room: a quorum is missing, or leadership is handed over.</summary>
    TimedOut = 5,

    /// <summary>The change of members makes no sense, or would lose the quorum.</summary>
    InvalidConfiguration = 6,

    /// <summary>Another change of members is not done yet.</summary>
    ChangeInProgress = 7,

    /// <summary>The configuration is not the one that the caller expected.</summary>
    ConfigurationMoved = 8,

    /// <summary>The node named cannot take leadership over: unknown, no voter, the leader itself, or not alive.</summary>
    InvalidTarget = 9,

    /// <summary>There is no other voter to hand leadership to.</summary>
    NoOtherVoter = 10,

    /// <summary>The leader's disk is nearly full.</summary>
    OutOfSpace = 11,

    /// <summary>The memory budget of a member that must hold the state is used up, and the command would make the state larger.</summary>
    OutOfMemoryBudget = 12,
}

/// <summary>A piece of a snapshot on its way from the leader. Without bytes it asks where to go on.</summary>
/// <param name="Term">The leader's.</param>
/// <param name="CommitIndex">The leader's commit index.</param>
/// <param name="Snapshot">Of the sender: what the whole content is.</param>
/// <param name="Offset">Of the first byte in the content.</param>
/// <param name="Bytes">At most a chunk; the last one completes the content.</param>
public sealed record SnapshotChunk(Term Term, LogIndex CommitIndex, SnapshotDescriptor Snapshot, long Offset, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>The sender's start count, from the connection's handshake and never from the frame.</summary>
    public long SenderStart { get; init; }
}

/// <summary>The answer to a chunk.</summary>
/// <param name="Term">The receiver's.</param>
/// <param name="Status">What became of it.</param>
/// <param name="NextOffset">With Continue: where to go on.</param>
/// <param name="MatchIndex">With Installed: up to here the receiver's log matches the leader's and is durable.</param>
public sealed record SnapshotReply(Term Term, SnapshotStatus Status, long NextOffset, LogIndex MatchIndex);

public enum SnapshotStatus : byte
{
    /// <summary>Go on at the offset.</summary>
    Continue = 1,

    /// <summary>In force and durable there, or not needed: what it covers is committed there already.</summary>
    Installed = 2,

    /// <summary>Not now: another one is being installed, or the content was not what it should be. Begin anew later.</summary>
    Refused = 3,
}

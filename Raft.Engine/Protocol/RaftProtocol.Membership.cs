namespace Raft.Engine.Protocol;

// Changes of members: joint configurations, joining members, removal. PhD 4; rule 8.
public sealed partial class RaftProtocol
{
    /// <summary>Leader: appends the first entry of a change; the rest follows by itself, whoever leads then.</summary>
    public ChangeResult ProposeChange(MembershipChange change, long timeMs) => throw new NotSupportedException();

    /// <summary>Leader: hands over to the node named, or (null) to the most caught-up voter that is alive, within so many ticks; then,
    /// when nobody took over, it serves on (<see cref="IsTransferring"/> is false again). Rule 10.</summary>
    public TransferStart BeginTransfer(NodeId? target, int ticks) => throw new NotSupportedException();
}

/// <summary>What became of a proposed change.</summary>
/// <param name="Outcome">Whether an entry was appended, and if not, why.</param>
/// <param name="Entry">With Appended: the first entry of the change.</param>
/// <param name="Detail">For people, when it was refused.</param>
public readonly record struct ChangeResult(ChangeOutcome Outcome, EntryId Entry, string Detail);

public enum ChangeOutcome : byte
{
    Appended = 1,

    /// <summary>The configuration is as wanted, or on its way there.</summary>
    NothingToDo = 2,
    NotLeader = 3,
    InProgress = 4,
    Invalid = 5,

    /// <summary>The configuration is not the expected one.</summary>
    Moved = 6,

    /// <summary>Leadership is being handed over: try again after it.</summary>
    Transferring = 7,
}

public enum TransferStart : byte
{
    Started = 1,
    NotLeader = 2,

    /// <summary>It is being handed over already.</summary>
    InProgress = 3,
    NoOtherVoter = 4,

    /// <summary>The configuration does not name the node.</summary>
    UnknownTarget = 5,

    /// <summary>The node is no voter.</summary>
    NotVoter = 6,

    /// <summary>The node is this leader.</summary>
    Self = 7,
    NotAlive = 8,
}

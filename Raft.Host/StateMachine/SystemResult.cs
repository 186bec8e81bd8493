using Raft.Engine.Protocol;

namespace Raft.Host.StateMachine;

/// <summary>What a system command did.</summary>
public abstract record SystemResult;

/// <summary>The group is there. The first command for a group id wins: <paramref name="IsNew"/> tells whether this one did.</summary>
public sealed record GroupCreated(CreatedGroup Group, bool IsNew) : SystemResult;

/// <summary>The hash of an index was compared with the own one.</summary>
/// <param name="Outcome">What came out of it, on this node.</param>
public sealed record HashChecked(HashCheckOutcome Outcome) : SystemResult;

/// <summary>The stamps are known to be that far ahead of the clocks.</summary>
public sealed record TimeCorrected(long OffsetMs) : SystemResult;

/// <summary>The bytes are no system command that this release knows; nothing was done.</summary>
public sealed record UnknownSystemCommand(string Reason) : SystemResult;

public enum HashCheckOutcome : byte
{
    Equal = 1,

    /// <summary>This node's state is not the leader's.</summary>
    Different = 2,

    /// <summary>This node has no hash of that index (any more), or one of another version.</summary>
    NotCompared = 3,
}

/// <summary>A group that the first group's log created.</summary>
/// <param name="First">Its first configuration: index 1, term 1 of its log.</param>
/// <param name="Index">Of the entry that created it.</param>
public sealed record CreatedGroup(GroupId Id, Configuration First, LogIndex Index);

/// <summary>This node's state is not the leader's: one of the two has lost its way, and the leader is believed.</summary>
public sealed record HashAlarm(LogIndex Index, UInt128 Own, UInt128 Leaders);

using Raft.Engine.Protocol;

namespace Raft.Host.StateMachine;

/// <summary>The words of this folder; event ids 2500 to 2599.</summary>
internal static partial class StateMachineLog
{
    [LoggerMessage(2501, LogLevel.Information, "Group {Group}: group '{Created}' was created at index {Index}")]
    public static partial void CreatedGroup(this ILogger logger, GroupId group, GroupId created, LogIndex index);

    [LoggerMessage(2502, LogLevel.Warning, "Group {Group}: the system command at index {Index} is not known, and was passed over: {Reason} Is a node of a newer release the leader?")]
    public static partial void PassedOver(this ILogger logger, GroupId group, LogIndex index, string reason);

    [LoggerMessage(2503, LogLevel.Information, "Group {Group}: a snapshot of index {Index} was loaded")]
    public static partial void LoadedSnapshot(this ILogger logger, GroupId group, LogIndex index);

    [LoggerMessage(2504, LogLevel.Warning, "Group {Group}: from index {Index} on time stamps are known to be {Seconds:F1} s ahead of the clocks; what time it is is told without that")]
    public static partial void CorrectedTime(this ILogger logger, GroupId group, LogIndex index, double seconds);

    [LoggerMessage(2590, LogLevel.Critical, "Group {Group}: the state of this node differs from the leader's at index {Index}: {Own} here, {Leaders} there. Its " +
        "reads are not to be trusted. Compare the state hashes of all nodes in /v1/status; replace this node's data directory, or, if this one agrees with a majority, the leader's")]
    public static partial void StateDiffers(this ILogger logger, GroupId group, LogIndex index, string own, string leaders);
}

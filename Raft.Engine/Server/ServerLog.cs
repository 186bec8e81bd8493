using Microsoft.Extensions.Logging;
using Raft.Engine.Protocol;

namespace Raft.Engine.Server;

/// <summary>The words of this folder: event ids 1100 to 1199, never reused.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(1100, LogLevel.Information, "Group {Group}: {Server} takes part from term {Term}, last index {LastIndex}")]
    public static partial void Started(this ILogger logger, GroupId group, ServerId server, Term term, LogIndex lastIndex);

    [LoggerMessage(1101, LogLevel.Information, "Group {Group}: leader of term {Term}")]
    public static partial void BecameLeader(this ILogger logger, GroupId group, Term term);

    [LoggerMessage(1102, LogLevel.Warning, "Group {Group}: stepped down in term {Term}. {Quorum}")]
    public static partial void LostQuorum(this ILogger logger, GroupId group, Term term, string quorum);

    [LoggerMessage(1103, LogLevel.Information, "Group {Group}: leads no longer, term {Term}")]
    public static partial void SteppedDown(this ILogger logger, GroupId group, Term term);

    [LoggerMessage(1104, LogLevel.Information, "Group {Group}: follows {Leader} in term {Term}")]
    public static partial void Follows(this ILogger logger, GroupId group, ServerId leader, Term term);

    [LoggerMessage(1105, LogLevel.Information, "Group {Group}: configuration of index {Index} is in force: {Members} members, joint: {IsJoint}")]
    public static partial void ConfigurationInForce(this ILogger logger, GroupId group, LogIndex index, int members, bool isJoint);

    [LoggerMessage(1106, LogLevel.Information, "Group {Group}: stopped: {Reason}")]
    public static partial void Stopped(this ILogger logger, GroupId group, string reason);

    [LoggerMessage(1110, LogLevel.Warning, "Group {Group}: the oldest write has waited {Seconds:F1} s for the disk; leadership is handed over. Look at the disk of this node")]
    public static partial void DiskStalled(this ILogger logger, GroupId group, double seconds);

    [LoggerMessage(1190, LogLevel.Critical, "Group {Group}: storage failed, the server stops. {Remedy}")]
    public static partial void StorageFailed(this ILogger logger, Exception error, GroupId group, string remedy);

    [LoggerMessage(1191, LogLevel.Critical, "Group {Group}: storage, the state machine or an invariant failed; the server stops rather than go on in an unknown state")]
    public static partial void Failed(this ILogger logger, Exception error, GroupId group);
}

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

    [LoggerMessage(1111, LogLevel.Information, "Group {Group}: hands leadership over to {Target}")]
    public static partial void HandsOver(this ILogger logger, GroupId group, string target);

    [LoggerMessage(1112, LogLevel.Warning, "Group {Group}: this server was removed by the configuration of index {Index} and takes no part any more. Stop it, or add it again")]
    public static partial void Removed(this ILogger logger, GroupId group, LogIndex index);

    [LoggerMessage(1113, LogLevel.Error, "Group {Group}: {Member} no longer has what it had acknowledged before it was started anew: its disk lost data. It leaves the voters; look at that disk")]
    public static partial void LostData(this ILogger logger, GroupId group, ServerId member);

    [LoggerMessage(1120, LogLevel.Information, "Group {Group}: took a snapshot at index {Index}, term {Term}: {Bytes} bytes in {Seconds:F2} s")]
    public static partial void SnapshotTaken(this ILogger logger, GroupId group, LogIndex index, Term term, long bytes, double seconds);

    [LoggerMessage(1121, LogLevel.Information, "Group {Group}: the state machine loaded the snapshot at index {Index}: {Bytes} bytes in {Seconds:F2} s")]
    public static partial void SnapshotLoaded(this ILogger logger, GroupId group, LogIndex index, long bytes, double seconds);

    [LoggerMessage(1122, LogLevel.Information, "Group {Group}: sends {Peer} the snapshot at index {Index}: {Bytes} bytes")]
    public static partial void SendsSnapshot(this ILogger logger, GroupId group, ServerId peer, LogIndex index, long bytes);

    [LoggerMessage(1123, LogLevel.Information, "Group {Group}: {Peer} has installed the snapshot at index {Index}")]
    public static partial void SnapshotSent(this ILogger logger, GroupId group, ServerId peer, LogIndex index);

    [LoggerMessage(1124, LogLevel.Information, "Group {Group}: {Peer} did not take the snapshot at index {Index}; it has {Bytes} bytes of it. It is tried again if it is still needed")]
    public static partial void SnapshotNotSent(this ILogger logger, GroupId group, ServerId peer, LogIndex index, long bytes);

    [LoggerMessage(1125, LogLevel.Debug, "Group {Group}: no answer of {Peer} to the snapshot's bytes at {Offset}: {Reason}")]
    public static partial void SnapshotChunkFailed(this ILogger logger, GroupId group, ServerId peer, long offset, string reason);

    [LoggerMessage(1126, LogLevel.Information, "Group {Group}: receives from {Leader} the snapshot at index {Index}: {Bytes} bytes, of which {Offset} are here")]
    public static partial void ReceivesSnapshot(this ILogger logger, GroupId group, ServerId leader, LogIndex index, long bytes, long offset);

    [LoggerMessage(1127, LogLevel.Information, "Group {Group}: installs the snapshot of {Leader} at index {Index}, term {Term}")]
    public static partial void InstallsSnapshot(this ILogger logger, GroupId group, ServerId leader, LogIndex index, Term term);

    [LoggerMessage(1128, LogLevel.Warning, "Group {Group}: what {Leader} sent as the snapshot at index {Index} is not what it announced, and is sent anew: {Reason}. Look at the memory and the disks of both nodes if this happens again")]
    public static partial void SnapshotIsWrong(this ILogger logger, GroupId group, ServerId leader, LogIndex index, string reason);

    [LoggerMessage(1140, LogLevel.Error, "Group {Group}: an internal error ended one call ({Call}); the server continues. Report this as a bug")]
    public static partial void CallFailed(this ILogger logger, Exception error, GroupId group, string call);

    [LoggerMessage(1141, LogLevel.Warning, "Group {Group}: a plug-in or a callback of a cancellation token threw; the server continues")]
    public static partial void ForeignCodeFailed(this ILogger logger, Exception error, GroupId group);

    [LoggerMessage(1142, LogLevel.Warning, "Group {Group}: {Batches} writes of {Bytes} bytes wait for the disk: requests of other members that need the disk are dropped until it catches up. Check the disk of this node")]
    public static partial void DiskQueueFull(this ILogger logger, GroupId group, int batches, long bytes);

    [LoggerMessage(1150, LogLevel.Warning, "Group {Group}: the clock of this node is {Seconds:F1} s ahead of the time that other clocks, or the monotonic clock, confirm (below 0: behind it). Entries are not stamped with it. Check the time synchronisation of this node")]
    public static partial void ClockLeapRefused(this ILogger logger, GroupId group, double seconds);

    [LoggerMessage(1190, LogLevel.Critical, "Group {Group}: storage failed, the server stops. {Remedy}")]
    public static partial void StorageFailed(this ILogger logger, Exception error, GroupId group, string remedy);

    [LoggerMessage(1191, LogLevel.Critical, "Group {Group}: storage, the state machine or an invariant failed; the server stops rather than go on in an unknown state")]
    public static partial void Failed(this ILogger logger, Exception error, GroupId group);
}

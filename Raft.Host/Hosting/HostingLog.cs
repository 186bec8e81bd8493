using Raft.Engine.Protocol;

namespace Raft.Host.Hosting;

/// <summary>The words of this folder; event ids 2200 to 2299.</summary>
internal static partial class HostingLog
{
    [LoggerMessage(2201, LogLevel.Information, "Cluster '{Cluster}' formed: uid {Uid}, members {Members}")]
    public static partial void Formed(this ILogger logger, string cluster, ClusterUid uid, string members);

    [LoggerMessage(2202, LogLevel.Information, "Cluster '{Cluster}' adopted: uid {Uid}, members {Members}")]
    public static partial void Adopted(this ILogger logger, string cluster, ClusterUid uid, string members);

    [LoggerMessage(2203, LogLevel.Information, "{Reason}")]
    public static partial void WaitsToForm(this ILogger logger, string reason);

    [LoggerMessage(2204, LogLevel.Warning, "{Reason}")]
    public static partial void CannotForm(this ILogger logger, string reason);

    [LoggerMessage(2205, LogLevel.Information, "Node {Node} takes part: storage {Storage}, start {Start}, cluster uid {Uid}")]
    public static partial void TakesPart(this ILogger logger, string node, string storage, long start, ClusterUid uid);

    [LoggerMessage(2206, LogLevel.Warning, "Raft:Members differs from the configuration in the log. The log decides who is a member; addresses are tried from both: {Difference}")]
    public static partial void MembersDiffer(this ILogger logger, string difference);

    [LoggerMessage(2207, LogLevel.Information, "Cluster '{Cluster}' joined: uid {Uid}; the log comes from its members")]
    public static partial void Joined(this ILogger logger, string cluster, ClusterUid uid);

    [LoggerMessage(2208, LogLevel.Information, "Node {Node} is taken in: {Reason}")]
    public static partial void TakenIn(this ILogger logger, string node, string reason);

    [LoggerMessage(2209, LogLevel.Information, "Node {Node} with storage {Storage} was taken into group {Group}; in the place of a former self: {Replaces}")]
    public static partial void TookIn(this ILogger logger, string node, string storage, GroupId group, bool replaces);

    [LoggerMessage(2211, LogLevel.Warning, "Raft:Groups lists groups that are not there yet: {Missing}. They form when a node that lists them leads the first group: give every node the same list")]
    public static partial void GroupsMissing(this ILogger logger, string missing);

    [LoggerMessage(2212, LogLevel.Warning, "Groups run that Raft:Groups does not list: {Unlisted}. The log wins: add them to the list of every node")]
    public static partial void GroupsUnlisted(this ILogger logger, string unlisted);

    [LoggerMessage(2213, LogLevel.Debug, "Group {Group}: {Work} did not succeed, and is tried again if it is still due: {Reason}")]
    public static partial void CareFailed(this ILogger logger, GroupId group, string work, string reason);

    [LoggerMessage(2214, LogLevel.Information, "Group {Group}: leadership goes to {Target}; this node leads {Count} groups, more than its share")]
    public static partial void Spreads(this ILogger logger, GroupId group, string target, int count);

    [LoggerMessage(2215, LogLevel.Information, "Draining: leadership goes to others, the node is not ready, and serves on")]
    public static partial void Drains(this ILogger logger);

    [LoggerMessage(2216, LogLevel.Information, "The drain has ended: the node may lead, and is ready again")]
    public static partial void DrainEnded(this ILogger logger);

    [LoggerMessage(2217, LogLevel.Debug, "Group {Group}: leadership was not handed over: {Reason}")]
    public static partial void HandOverFailed(this ILogger logger, GroupId group, string reason);

    [LoggerMessage(2218, LogLevel.Warning, "The disk of {Directory} is nearly full: {Free} bytes are free and {Reusable} in the data file can be used again; Raft:Limits:MinFreeDiskBytes is {Min}. This node hands over leadership and, where no other voter has space, rejects writes but deletions. Free up disk space or enlarge the volume")]
    public static partial void LacksSpace(this ILogger logger, string directory, long free, long reusable, long min);

    [LoggerMessage(2219, LogLevel.Information, "The disk of {Directory} has {Free} bytes free again: commands are taken")]
    public static partial void HasSpaceAgain(this ILogger logger, string directory, long free);

    [LoggerMessage(2220, LogLevel.Information, "Logs and snapshots of all groups take {Bytes} bytes, more than Raft:Limits:MaxTotalLogDiskBytes = {Budget}: taking a snapshot of group {Group}, whose log has grown by {LogBytes} bytes")]
    public static partial void LogBudgetExceeded(this ILogger logger, long bytes, long budget, GroupId group, long logBytes);

    [LoggerMessage(2221, LogLevel.Warning, "Logs and snapshots of all groups take {Bytes} bytes, more than Raft:Limits:MaxTotalLogDiskBytes = {Budget}, and no snapshot would let go of much: it is the snapshots themselves. Raise the limit, or delete data")]
    public static partial void LogBudgetCannotBeHeld(this ILogger logger, long bytes, long budget);

    [LoggerMessage(2230, LogLevel.Warning, "The settings do not fit this machine: {Warning}")]
    public static partial void SettingsWarning(this ILogger logger, string warning);

    [LoggerMessage(2231, LogLevel.Warning, "The memory budget is used up: {Shortage} Writes that make it larger are refused (507 out-of-memory-budget). Delete keys, or give the node more memory")]
    public static partial void LacksMemory(this ILogger logger, string shortage);

    [LoggerMessage(2232, LogLevel.Information, "The memory budget has room again: {Bytes} of {Max} bytes are used")]
    public static partial void HasMemoryAgain(this ILogger logger, long bytes, long max);

    [LoggerMessage(2233, LogLevel.Warning, "The {Endpoint} endpoint has {Max} connections, as many as allowed: further ones are closed ({Refused} so far). Raise Kestrel:Limits and the limit of open files, or look for clients that do not close theirs")]
    public static partial void RefusesConnections(this ILogger logger, string endpoint, int max, long refused);

    [LoggerMessage(2234, LogLevel.Information, "Limits of this start: memory {Memory} bytes, state {State}, in flight {InFlight}, cache {Cache} and journal {Journal} in each group; connections of clients {Clients}, of peers {Peers}")]
    public static partial void LimitsOfThisStart(this ILogger logger, long memory, long state, long inFlight, long cache, long journal, int clients, int peers);

    [LoggerMessage(2240, LogLevel.Warning, "Group {Group}: its time stamps are {Seconds:F1} s ahead of the clocks that confirm the time, since a clock was wrong. A correction goes into the log: from there on idempotency keys and times are told by the clocks again")]
    public static partial void CorrectsTime(this ILogger logger, GroupId group, double seconds);

    [LoggerMessage(2250, LogLevel.Information, "Group {Group}: the log names this node at its new address from index {Index} on (was {Old}, is {New})")]
    public static partial void AddressCorrected(this ILogger logger, GroupId group, LogIndex index, string old, string @new);

    [LoggerMessage(2251, LogLevel.Warning, "Own address: {Fault}")]
    public static partial void AddressNotProven(this ILogger logger, string fault);

    [LoggerMessage(2290, LogLevel.Critical, "Quarantine: the process stays up, and takes no part. {Reason}")]
    public static partial void Quarantined(this ILogger logger, string reason);

    [LoggerMessage(2291, LogLevel.Critical, "The node stops: {Reason}")]
    public static partial void Stops(this ILogger logger, Exception? error, string reason);

    [LoggerMessage(2292, LogLevel.Warning, "Stopping: {What} failed")]
    public static partial void StopStepFailed(this ILogger logger, Exception error, string what);
}

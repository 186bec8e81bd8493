namespace Raft.Host.Storage;

/// <summary>Words of this folder; ids 2000 to 2099, never reused.</summary>
internal static partial class StorageLog
{
    [LoggerMessage(2000, LogLevel.Information, "Made the data directory {Directory} with storage id {StorageId}")]
    public static partial void DirectoryMade(this ILogger logger, string directory, string storageId);

    [LoggerMessage(2001, LogLevel.Information, "Opened {Directory}: start {StartCount}, WAL sequence {Sequence}, {Replayed} records replayed, {Groups} groups, in {Milliseconds} ms")]
    public static partial void DirectoryOpened(this ILogger logger, string directory, long startCount, long sequence, int replayed, int groups, long milliseconds);

    [LoggerMessage(2002, LogLevel.Information, "Checkpoint {Number} was cut off and has been written again ({Pages} pages)")]
    public static partial void CheckpointRepeated(this ILogger logger, long number, int pages);

    [LoggerMessage(2003, LogLevel.Information, "The manifest's cluster uid was repaired from the log: {Uid}")]
    public static partial void ManifestRepaired(this ILogger logger, string uid);

    [LoggerMessage(2004, LogLevel.Debug, "Checkpoint {Number}: {Pages} pages, covered to sequence {Covered}, {Milliseconds} ms")]
    public static partial void Checkpointed(this ILogger logger, long number, int pages, long covered, long milliseconds);

    [LoggerMessage(2005, LogLevel.Warning, "Deleted {Path}, left over from a directory that was never finished")]
    public static partial void UnfinishedDeleted(this ILogger logger, string path);

    [LoggerMessage(2006, LogLevel.Information, "Closed {Directory} at WAL sequence {Sequence}")]
    public static partial void DirectoryClosed(this ILogger logger, string directory, long sequence);

    [LoggerMessage(2008, LogLevel.Information, "Copied what lives in the data file, {LiveBytes} of {OldBytes} bytes, into a new one of {NewBytes} bytes, in {Milliseconds} ms")]
    public static partial void DataFileRewritten(this ILogger logger, long liveBytes, long oldBytes, long newBytes, long milliseconds);

    [LoggerMessage(2009, LogLevel.Warning, "The data file of {OldBytes} bytes, of which {LiveBytes} live, could not be copied into a smaller one, and stays: {Message}")]
    public static partial void DataFileNotRewritten(this ILogger logger, long oldBytes, long liveBytes, string message);

    [LoggerMessage(2010, LogLevel.Information, "Brought {Directory} to database format {DatabaseFormat} and WAL format {WalFormat}; an older release refuses it from now on")]
    public static partial void FormatUpgraded(this ILogger logger, string directory, int databaseFormat, int walFormat);

    [LoggerMessage(2030, LogLevel.Error, "A checkpoint of {Directory} found no room on the disk. Nothing is lost: the write-ahead log keeps what it holds until a checkpoint succeeds, and takes writes until it is full. Make room. {Message}")]
    public static partial void CheckpointLacksRoom(this ILogger logger, string directory, string message);

    [LoggerMessage(2031, LogLevel.Information, "Checkpoints of {Directory} find room again")]
    public static partial void CheckpointHasRoom(this ILogger logger, string directory);

    [LoggerMessage(2032, LogLevel.Warning, "The disk of {Directory} is nearly full: gave back the reserve of {Bytes} bytes, so that the node can start. Make room")]
    public static partial void ReserveReleased(this ILogger logger, string directory, long bytes);

    [LoggerMessage(2033, LogLevel.Warning, "Deleted {Path} of {Bytes} bytes, left over from a run that was cut off")]
    public static partial void LeftoverDeleted(this ILogger logger, string path, long bytes);

    [LoggerMessage(2034, LogLevel.Warning, "The manifest could not be written for lack of room, and is repaired from the write-ahead log at a later start: {Message}")]
    public static partial void ManifestLacksRoom(this ILogger logger, string message);

    [LoggerMessage(2035, LogLevel.Warning, "Group {Group}: a snapshot was abandoned, and its file deleted, for lack of room on the disk: {Message}")]
    public static partial void SnapshotAbandoned(this ILogger logger, string group, string message);

    [LoggerMessage(2036, LogLevel.Warning, "Deleted what had come of a snapshot of group {Group}: nothing came for {Seconds} s, and others wait to be received")]
    public static partial void ReceptionGivenUp(this ILogger logger, string group, long seconds);

    [LoggerMessage(2007, LogLevel.Warning, "Moved the damaged {Directory} aside to {Target}: the node comes back with another storage id. Keep it until the cluster is sound, then delete it")]
    public static partial void MovedAside(this ILogger logger, string directory, string target);
}

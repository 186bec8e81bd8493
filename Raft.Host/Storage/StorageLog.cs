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

    [LoggerMessage(2007, LogLevel.Warning, "Moved the damaged {Directory} aside to {Target}: the node comes back with another storage id. Keep it until the cluster is sound, then delete it")]
    public static partial void MovedAside(this ILogger logger, string directory, string target);
}

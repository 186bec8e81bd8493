namespace Raft.Host.Storage;

/// <summary>What tests, benchmarks and simulations may change; a node runs on the defaults.</summary>
internal sealed record StorageSettings
{
    public static readonly StorageSettings Default = new();

    /// <summary>The defaults, and less where there is little memory.</summary>
    /// <param name="memoryBytes">What the process may use.</param>
    public static StorageSettings For(long memoryBytes) => Default with
    {
        LagBytesMax = Math.Clamp(memoryBytes / 24, 4 << 20, Default.LagBytesMax),
        DatabaseLogBytes = (int)Math.Clamp(memoryBytes / 48, 2 << 20, Default.DatabaseLogBytes),
        TransactionBytes = (int)Math.Clamp(memoryBytes / 96, 1 << 20, Default.TransactionBytes),
    };

    public IStorageFiles Files { get; init; } = NativeFiles.Instance;

    public IStorageThreads Threads { get; init; } = StorageThreads.Instance;

    /// <summary>What decides when something is due; metrics have a clock of their own.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Where storage ids, salts, nonces and the names of files come from. Any thread.</summary>
    public Func<ulong> Random { get; init; } = DataDirectory.RandomUInt64;

    /// <summary>What a failure at run time ends with.</summary>
    public Action<StorageFailedException> OnFailure { get; init; } = FailStop.EndProcess;

    /// <summary>Where the process goes on after a failure, as in a simulation: LiteDB's objects are not kept for ever then.</summary>
    public bool ForgetsFailedStores { get; init; }

    /// <summary>A multiple of 4,096; part of the format, so it is in the manifest.</summary>
    public int SegmentBytes { get; init; } = 16 << 20;

    /// <summary>The payload of a WAL record; one larger entry goes alone.</summary>
    public int RecordBytes { get; init; } = 4 << 20;

    /// <summary>The database thread takes records when so many bytes wait, or after <see cref="CopyDelayMs"/>.</summary>
    public int CopyBytes { get; init; } = 1 << 20;

    public int CopyDelayMs { get; init; } = 80;

    /// <summary>Bytes of records in memory that the database does not have: the log waits before it goes further ahead. A record larger
    /// than that goes alone.</summary>
    public long LagBytesMax { get; init; } = 64 << 20;

    /// <summary>One LiteDB transaction at the most: much larger ones get slow.</summary>
    public int TransactionBytes { get; init; } = 4 << 20;

    /// <summary>LiteDB's log in memory, at which a checkpoint is due.</summary>
    public int DatabaseLogBytes { get; init; } = 8 << 20;

    /// <summary>A checkpoint after so long without a record.</summary>
    public int IdleCheckpointMs { get; init; } = 1000;

    /// <summary>What a start may need on a full disk: the data file grows by at most the write-ahead log, and two copies of a checkpoint.</summary>
    public long ReserveBytes => ((long)SegmentBytes * Manifest.SegmentCount) + (4L * DatabaseLogBytes);

    /// <summary>After so long a checkpoint that found no room on the disk is tried again.</summary>
    public int SpaceRetryMs { get; init; } = 1000;

    public int ChunkBytes { get; init; } = 64 << 10;

    /// <summary>What is read from the database for a peer in one turn, before records may go first.</summary>
    public int ReadTurnBytes { get; init; } = 256 << 10;

    /// <summary>A checkpoint is written in pieces of so many bytes, whole pages, each synced: one long sync would hold up the log's.</summary>
    public int CheckpointPieceBytes { get; init; } = 512 << 10;

    /// <summary>A data file from so many bytes on, of which less than a quarter lives, is copied into a new one at the start.</summary>
    public long RewriteFromBytes { get; init; } = 64 << 20;

    /// <summary>As <see cref="CheckpointPieceBytes"/> for a snapshot, in blocks of 64 KiB.</summary>
    public int SnapshotPieceBlocks { get; init; } = 16;
}

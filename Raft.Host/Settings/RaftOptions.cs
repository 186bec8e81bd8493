namespace Raft.Host.Settings;

/// <summary>Section <c>Raft</c> of the configuration: every key with its unit and default.</summary>
/// <remarks>Names that end in Ms are milliseconds, in Bytes bytes. <see cref="StrictBinder"/> refuses keys that are not here.</remarks>
public sealed class RaftOptions
{
    /// <summary>What people call the cluster: 1 to 63 letters, digits, '.', '-' or '_'. Part of the cluster's identity. Default "raft".</summary>
    public string ClusterId { get; set; } = "raft";

    /// <summary>What people call this node, unique in the cluster; same characters. Default "n1".</summary>
    public string NodeId { get; set; } = "n1";

    /// <summary>Where this node keeps its data; made when it is missing. Relative to the working directory. Default "data".</summary>
    public string DataDirectory { get; set; } = "data";

    /// <summary>Whether an empty node without <see cref="Members"/> forms a cluster of one. Default false; the shipped file says true.</summary>
    public bool Bootstrap { get; set; }

    /// <summary>Who forms the cluster, this node included; the same list on every node. After formation the log says who is a member;
    /// the addresses here are then tried besides those in the log, and this node's own entry corrects the log's. Default none.</summary>
    public List<MemberOptions> Members { get; set; } = [];

    /// <summary>Where the other nodes reach this node's Peer endpoint: scheme, host, port. Needed where it listens on every address
    /// (0.0.0.0, [::], *). Default: the entry of this node in <see cref="Members"/>, or else where it listens.</summary>
    public string AdvertisedPeerUrl { get; set; } = "";

    /// <summary>Where clients and other nodes reach this node's Api endpoint. Default: the entry of this node in <see cref="Members"/>,
    /// or else where it listens; not told when that is every address.</summary>
    public string AdvertisedApiUrl { get; set; } = "";

    /// <summary>Peer endpoints of members of a running cluster that this node, when it is new, asks to take it in. It then never
    /// forms one. Default none.</summary>
    public List<string> Join { get; set; } = [];

    /// <summary>Whether a node that comes back without its disk, or with a damaged or older one, is replaced by itself. Here: it
    /// asks for it; on the leader: it is granted. Default auto.</summary>
    public RejoinMode Rejoin { get; set; } = RejoinMode.Auto;

    /// <summary>The groups of the cluster, the same on every node. The first forms it and holds the list of the others; it cannot
    /// change later. Default one, named "default".</summary>
    public List<GroupOptions> Groups { get; set; } = [];

    /// <summary>Threads that own groups; 0 is one per core. Default 0.</summary>
    public int Shards { get; set; }

    /// <summary>The protocol's clock, milliseconds. Default 50.</summary>
    public int TickMs { get; set; } = 50;

    /// <summary>An election is due after a random number of ticks from this to twice this. Default 10.</summary>
    public int ElectionTicks { get; set; } = 10;

    /// <summary>How long a request may take before it is answered without an outcome, milliseconds. Default 5000.</summary>
    public int RequestTimeoutMs { get; set; } = 5000;

    /// <summary>A leader whose oldest disk write has waited longer hands over, milliseconds. Default 2000.</summary>
    public int DiskStallMs { get; set; } = 2000;

    public FailureDetectorOptions FailureDetector { get; set; } = new();

    public LimitsOptions Limits { get; set; } = new();

    public JournalOptions Journal { get; set; } = new();

    public IdempotencyOptions Idempotency { get; set; } = new();

    public ClockOptions Clock { get; set; } = new();

    public SecurityOptions Security { get; set; } = new();
}

public enum RejoinMode
{
    Auto,
    Off,
}

public sealed class MemberOptions
{
    /// <summary>The member's <see cref="RaftOptions.NodeId"/>.</summary>
    public string Id { get; set; } = "";

    /// <summary>Where the other nodes reach its Peer endpoint: scheme, host, port.</summary>
    public string PeerUrl { get; set; } = "";

    /// <summary>Where clients reach its Api endpoint; used for status and hints. Default empty: not told.</summary>
    public string ApiUrl { get; set; } = "";

    /// <summary>Whether it counts in quorums; false makes it a learner. Default true.</summary>
    public bool Voter { get; set; } = true;
}

public sealed class GroupOptions
{
    /// <summary>The group's name.</summary>
    public string Id { get; set; } = "";
}

public sealed class FailureDetectorOptions
{
    /// <summary>One small frame per pair of nodes in this time, milliseconds. Default 100.</summary>
    public int PingMs { get; set; } = 100;

    /// <summary>Who was silent for longer counts as dead, milliseconds. Default 400.</summary>
    public int TimeoutMs { get; set; } = 400;
}

public sealed class LimitsOptions
{
    /// <summary>The largest command: one body, or one batch. Default 1 MiB.</summary>
    public int MaxCommandBytes { get; set; } = 1 << 20;

    /// <summary>Memory that the states of all groups may take (journal, keys, idempotency table, with overhead). Above, writes that would
    /// make it larger are refused with 507; deletes and reads are served. Default 0: by the memory (<see cref="MemoryDefaults"/>).</summary>
    public long MaxStateBytes { get; set; }

    /// <summary>Admitted and not yet applied, per group; as much again may wait for room, for a leader or for its answer. Default 16 MiB, or a 24th of the memory.</summary>
    public long MaxUncommittedBytes { get; set; } = 16L << 20;

    /// <summary>The same over all groups of the process; a quarter of it again may wait. Default 256 MiB, or a twelfth of the memory.</summary>
    public long MaxTotalBytes { get; set; } = 256L << 20;

    /// <summary>Recent entries kept in memory for lagging peers, per group. Default 8 MiB, or a 48th of the memory, divided by the groups.</summary>
    public long MaxCacheBytes { get; set; } = 8L << 20;

    /// <summary>With less free space than this on the data directory's file system, free pages of the data file included, a node leads nothing
    /// that another could lead, and takes no commands but deletions where it leads all the same (507). It reads on, and follows on. 0: never.
    /// Default 128 MiB.</summary>
    public long MinFreeDiskBytes { get; set; } = 128L << 20;

    /// <summary>A snapshot is taken at the latest when a group's log on disk has grown by this since the last one. Default 1 GiB.</summary>
    public long MaxLogDiskBytes { get; set; } = 1L << 30;

    /// <summary>Logs and snapshots of all groups of this node together; above it the group whose log has grown most takes a snapshot, one after
    /// the other. 0, the default: a quarter of the data directory's file system.</summary>
    public long MaxTotalLogDiskBytes { get; set; }

    /// <summary>And not before it has grown by this. Default 64 MiB.</summary>
    public long SnapshotFloorBytes { get; set; } = 64L << 20;

    /// <summary>Entries that a snapshot leaves in the log for lagging peers. Default 10,000.</summary>
    public long SnapshotTrailingEntries { get; set; } = 10_000;

    /// <summary>Bytes of them at the most. Default 16 MiB.</summary>
    public long SnapshotTrailingBytes { get; set; } = 16L << 20;

    /// <summary>Bytes of snapshots that a group sends in a second; 0 is as fast as they are taken. Default 64 MiB.</summary>
    public long SnapshotSendBytesPerSecond { get; set; } = 64L << 20;

    /// <summary>Bytes of a snapshot in one message. Default 512 KiB.</summary>
    public int SnapshotChunkBytes { get; set; } = 512 << 10;

    /// <summary>Append requests under way to one peer. Default 64.</summary>
    public int MaxInFlightAppends { get; set; } = 64;

    /// <summary>Bytes of entries in one append request; a single larger entry goes alone. Default 256 KiB.</summary>
    public int MaxAppendBytes { get; set; } = 256 << 10;
}

public sealed class JournalOptions
{
    /// <summary>Journal entries kept; older ones answer 410. Default 1,000,000.</summary>
    public long MaxEntries { get; set; } = 1_000_000;

    /// <summary>Bytes of journal entries kept. Default 256 MiB, or half of Limits:MaxStateBytes, divided by the groups.</summary>
    public long MaxBytes { get; set; } = 256L << 20;
}

public sealed class IdempotencyOptions
{
    /// <summary>Idempotency keys kept; a table full of young keys answers 429. Default 100,000, or what a quarter of Limits:MaxStateBytes holds, divided by the groups.</summary>
    public int MaxKeys { get; set; } = 100_000;

    /// <summary>For how long a key is kept at least, by the leader's time stamps, seconds. Default 600.</summary>
    public int MinAgeSeconds { get; set; } = 600;
}

public sealed class ClockOptions
{
    /// <summary>By how much the clock of a leader may differ from the time that a quorum's clocks confirm, milliseconds. Default 5000.</summary>
    public int MaxLeapMs { get; set; } = 5000;

    /// <summary>For how long a clock that leapt must run evenly to be believed where no other clock confirms it (a single voter), and stamps
    /// must be ahead before they are corrected, milliseconds. Default 30000.</summary>
    public int ConfirmMs { get; set; } = 30_000;
}

public sealed class SecurityOptions
{
    /// <summary>Whether endpoints beyond loopback may listen without TLS. Default false.</summary>
    public bool AllowInsecure { get; set; }
}

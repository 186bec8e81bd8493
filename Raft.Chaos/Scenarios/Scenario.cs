using Raft.Chaos.Cluster;
using Raft.Chaos.Faults;
using Raft.Chaos.Machine;

namespace Raft.Chaos.Scenarios;

/// <summary>What is done to a cluster, and for how long.</summary>
internal sealed record Scenario(string Name, string Summary)
{
    public required ClusterOptions Cluster { get; init; }

    /// <summary>The kinds of fault that are drawn from.</summary>
    public required FaultKind[] Kinds { get; init; }

    /// <summary>How many faults a round has; null: as many as fit together.</summary>
    public int? AtOnce { get; init; } = 1;

    /// <summary>How long it goes on; null where the number of faults decides.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>How many faults there are at the least; with a duration the run fails when there were fewer.</summary>
    public int Times { get; init; }

    /// <summary>Whether one node is spared from everything that ends a process.</summary>
    public bool HasSurvivor { get; init; }

    /// <summary>Whether writes must be acknowledged again before the next round begins.</summary>
    public bool WaitsForWrites { get; init; }

    /// <summary>Whether clients read what a node has, however old, and record it as if it were the newest: then the checker must find it.</summary>
    public bool HasStaleReads { get; init; }

    private const int MixDescriptors = 2048;

    /// <summary>Scenarios by their names, as the command line has them.</summary>
    public static Scenario Of(Arguments arguments)
    {
        int nodes = arguments.Nodes;
        FileSystemKind fileSystem = arguments.FileSystem;
        return arguments.Scenario switch
        {
            "mix" => new Scenario("mix", "all faults, several at a time")
            {
                Cluster = new ClusterOptions(nodes, fileSystem, HasFaultyDisks: true, HasFakeTime: true, HasCpuGroups: true, HasDelays: true, Descriptors: MixDescriptors),
                Kinds = FaultPlan.All,
                AtOnce = null,
                Duration = TimeSpan.FromMinutes(arguments.Minutes ?? 20),
                Times = (int)((arguments.Minutes ?? 20) * 10),
                HasSurvivor = true,
            },
            "kill-all" => new Scenario("kill-all", "SIGKILL of all nodes at once")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory),
                Kinds = [KillAll.Kind],
                Times = arguments.Times ?? 100,
                WaitsForWrites = true,
            },
            "power-cuts" => new Scenario("power-cuts", $"power cuts of one, some or all nodes on {fileSystem}")
            {
                Cluster = new ClusterOptions(nodes, fileSystem),
                Kinds = [PowerCut.Kind, PowerCutOfMany.Kind with { Weight = PowerCut.Kind.Weight }],
                Times = arguments.Times ?? 30,
                WaitsForWrites = true,
            },
            "lying-disks" => new Scenario("lying-disks", "power cuts on disks that do not keep what they say they keep: it must FAIL")
            {
                Cluster = new ClusterOptions(nodes, fileSystem, HasFaultyDisks: true, HasLyingDisks: true),
                Kinds = [PowerCutOfMany.Kind],
                Times = arguments.Times ?? 5,
                WaitsForWrites = true,
            },
            "stale-reads" => new Scenario("stale-reads", "partitions, and reads that are not linearizable: it must FAIL")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory),
                Kinds = [Partition.Kind],
                Times = arguments.Times ?? 3,
                WaitsForWrites = true,
                HasStaleReads = true,
            },
            "failing-syncs" => new Scenario("failing-syncs", "fdatasync fails with EIO or ENOSPC")
            {
                Cluster = new ClusterOptions(nodes, fileSystem, HasFaultyDisks: true),
                Kinds = [DiskFault.FailingSync],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            "full-disk" => new Scenario("full-disk", "no room on a node's file system")
            {
                Cluster = new ClusterOptions(nodes, fileSystem),
                Kinds = [FullDisk.Kind],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            "slow-disk" => new Scenario("slow-disk", "slow syncs")
            {
                Cluster = new ClusterOptions(nodes, fileSystem, HasFaultyDisks: true),
                Kinds = [SlowDisk.Kind],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            "clocks" => new Scenario("clocks", "wall clocks jump by hours")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory, HasFakeTime: true),
                Kinds = [ClockJump.Kind],
                AtOnce = nodes,
                Duration = TimeSpan.FromMinutes(arguments.Minutes ?? 6),
                HasSurvivor = true,
            },
            "clock-leaps" => new Scenario("clock-leaps", "the leader's clock leaps by an hour or 400 days, and returns")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory, HasFakeTime: true),
                Kinds = [LeaderLeap.Kind],
                Times = arguments.Times ?? 12,
                WaitsForWrites = true,
            },
            "failing-reads" => new Scenario("failing-reads", "starts on a disk that cannot be read")
            {
                Cluster = new ClusterOptions(nodes, fileSystem, HasFaultyDisks: true),
                Kinds = [FailingRead.Kind],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            "filled-disk" => new Scenario("filled-disk", "another program fills a node's disk, and the node starts there")
            {
                Cluster = new ClusterOptions(nodes, fileSystem),
                Kinds = [FilledByAnother.Kind],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            "small-memory" => new Scenario("small-memory", "containers of 256 MiB and values of 1 MiB")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory, MemoryBytes: 256 << 20),
                Kinds = [LargeValues.Kind, Kill.Kind, KillAll.Kind],
                AtOnce = 2,
                Times = arguments.Times ?? 12,
                WaitsForWrites = true,
            },
            "descriptors" => new Scenario("descriptors", "more idle connections than a node may have files open")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory, Descriptors: 1024),
                Kinds = [IdleConnections.Kind],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            "new-addresses" => new Scenario("new-addresses", "all nodes stop, and start under new peer addresses")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory),
                Kinds = [NewAddresses.Kind, NewAddress.Kind with { Weight = NewAddresses.Kind.Weight }],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            "removed-restarts" => new Scenario("removed-restarts", "a removed member is started again on its old disk")
            {
                Cluster = new ClusterOptions(nodes, FileSystemKind.Directory),
                Kinds = [RemovedRestart.Kind],
                Times = arguments.Times ?? 10,
                WaitsForWrites = true,
            },
            _ => throw new ArgumentException($"There is no scenario '{arguments.Scenario}'."),
        };
    }
}

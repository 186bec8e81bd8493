using Raft.Chaos.Machine;

namespace Raft.Chaos.Cluster;

/// <summary>What the nodes of a run stand on.</summary>
/// <param name="Nodes">How many.</param>
/// <param name="FileSystem">Of each node's disk.</param>
/// <param name="HasFaultyDisks">Whether disks can fail and be slow on demand.</param>
/// <param name="HasFakeTime">Whether wall clocks can jump.</param>
/// <param name="HasCpuGroups">Whether a node's share of the processor can be cut.</param>
/// <param name="HasLyingDisks">Whether syncs are said to be done and are not: then the checks must find what is lost.</param>
/// <param name="HasDelays">Whether packets can be delayed.</param>
/// <param name="MemoryBytes">The memory limit of each node's control group; null: none.</param>
/// <param name="Descriptors">How many files and connections each node may have open; null: as many as the run itself.</param>
internal sealed record ClusterOptions(
    int Nodes, FileSystemKind FileSystem, bool HasFaultyDisks = false, bool HasFakeTime = false, bool HasCpuGroups = false, bool HasDelays = false,
    bool HasLyingDisks = false, long? MemoryBytes = null, int? Descriptors = null)
{
    public Tool[] Needs =>
    [
        .. Tool.OfEveryRun,
        .. NodeDisk.NeedsOf(FileSystem, HasFaultyDisks),
        .. FileSystem == FileSystemKind.Directory ? [] : new[] { Tool.XfsIo },
        .. HasFakeTime ? Helpers.ClockNeeds : [],
        .. HasCpuGroups ? new[] { Tool.CpuQuota } : [],
        .. MemoryBytes is not null ? new[] { Tool.MemoryLimit } : [],
        .. HasDelays ? Helpers.DelayNeeds : [],
    ];
}

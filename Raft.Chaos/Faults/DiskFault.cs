using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>System calls of a node's storage fail: it must end by itself, and acknowledge nothing of it.</summary>
/// <param name="cluster">The cluster.</param>
/// <param name="draw">Which node.</param>
/// <param name="readErrno">What reads fail with; 0: they do not.</param>
/// <param name="writeErrno">The same of writes.</param>
/// <param name="syncErrno">The same of syncs.</param>
internal sealed class DiskFault(ChaosCluster cluster, Draw draw, int readErrno = 0, int writeErrno = 0, int syncErrno = 0)
    : NodeFault(cluster, draw, isDeadly: true)
{
    private const int InputOutputError = 5, NoSpace = 28;
    private const int StorageFailed = 70, NotStarted = 1;

    public static readonly FaultKind FailingSync = new(
        "failing sync", FaultScope.DeadlyToNode, 6, (cluster, draw) => new DiskFault(cluster, draw, syncErrno: draw.Strength < 0.7 ? InputOutputError : NoSpace));

    public static readonly FaultKind FailingWrite = new(
        "failing write", FaultScope.DeadlyToNode, 4, (cluster, draw) => new DiskFault(cluster, draw, writeErrno: draw.Strength < 0.7 ? InputOutputError : NoSpace));

    protected override string Text => string.Create(
        CultureInfo.InvariantCulture, $"errno of reads {readErrno}, writes {writeErrno}, syncs {syncErrno}{(LosesTheRest ? " and what was not synced lost" : "")}, for");

    /// <summary>After a sync that failed the kernel may have dropped what it was to keep.</summary>
    private bool LosesTheRest => syncErrno != 0 && Draw.Number % 2 == 0;

    protected override Task BeginAsync(ChaosNode node)
    {
        node.AllowEnd("its disk fails");
        node.Disk.Break(readErrno, writeErrno, syncErrno);
        return Task.CompletedTask;
    }

    protected override async Task EndAsync(ChaosNode node)
    {
        // Whoever writes nothing notices nothing, and lives on.
        bool hasEnded = node.Process.ExitCode is not null;
        if (hasEnded && LosesTheRest)
        {
            await node.Disk.CutPowerAsync();
            await node.Disk.RemountAsync();
        }

        node.Disk.Mend();
        await node.RequireLifeAsync(StorageFailed, NotStarted);
    }
}

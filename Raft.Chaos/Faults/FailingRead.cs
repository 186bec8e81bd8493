using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>A node starts on a disk that cannot be read (EIO): an unreadable sector is damage like a flipped bit. It must stay up, out of
/// service, and not restart in a loop; once the disk can be read again it serves, on its old data or as a replacement of itself.</summary>
internal sealed class FailingRead(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: true)
{
    private const int InputOutputError = 5;

    public static readonly FaultKind Kind = new("failing read", FaultScope.Operation, 4, (cluster, draw) => new FailingRead(cluster, draw));

    protected override string Text => "reads that fail at the start of";

    protected override Task<bool> CanBeginAsync() => Operator.DoAllVoteAsync(Cluster);

    protected override async Task BeginAsync(ChaosNode node)
    {
        node.HasNewDisk = true;
        node.MayBeDamaged = true;
        await node.KillAsync("its disk cannot be read");
        node.Disk.Break(readErrno: InputOutputError);
        node.Start();
        node.AllowEnd("its disk cannot be read");
    }

    protected override async Task EndAsync(ChaosNode node)
    {
        if (node.Process.ExitCode is { } code)
            Cluster.Log.Found($"{node.Id} ended with exit code {code} on a disk that cannot be read; quarantine is right.{Environment.NewLine}{node.Process.Tail(15)}");
        node.Disk.Mend();

        // Whoever reads at a start only reads again at the next one.
        await node.KillAsync("its disk can be read again");
        node.Start();
        if (!await ChaosCluster.AreReadyAsync([node], ChaosCluster.Patience))
            Cluster.Log.Found($"{node.Id} is not ready though its disk can be read again");
        node.MayBeDamaged = false;
    }
}

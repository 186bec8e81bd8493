namespace Raft.Simulator;

/// <summary>Every sync of a disk takes long.</summary>
internal sealed class SlowDiskFault : IFault
{
    public string Name => "slow-disk";
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        ISimulatedStorage storage = nemesis.AnyNode(random).Storage;
        storage.SyncTimeMax = Nemesis.Between(random, 5, 800);
        nemesis.After(Nemesis.Between(random, 200, 4000), () => storage.SyncTimeMax = TimeSpan.FromMilliseconds(1));
    }
}

/// <summary>Syncs of a disk do not end for a while.</summary>
internal sealed class HungDiskFault : IFault
{
    public string Name => "hung-disk";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        ISimulatedStorage storage = node.Storage;
        if (random.Next(2) == 0)
        {
            storage.IsHung = true;
            nemesis.After(Nemesis.Between(random, 100, 3000), () => storage.IsHung = false);
            return;
        }

        // Only what is behind the log hangs, so that the log runs full; often the power goes while it catches up.
        storage.IsLagging = true;
        int? calls = random.Next(2) == 0 ? random.Next(40) : null;
        nemesis.After(Nemesis.Between(random, 100, 3000), () =>
        {
            storage.IsLagging = false;
            if (calls is { } count && node.Storage == storage)
                node.CrashSoon(count, isInFileCall: true);
        });
        if (calls is not null)
            nemesis.After(Nemesis.Between(random, 3500, 5000), node.Start);
    }
}

/// <summary>A disk's writes fail: its node must stop before it says anything more, and comes back when the cause is gone.</summary>
internal sealed class FailingDiskFault : IFault
{
    public string Name => "failing-disk";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        if (!node.IsUp)
            return;

        node.Storage.Fail();
        nemesis.After(Nemesis.Between(random, 100, 2500), () =>
        {
            node.Crash("its disk was repaired");
            node.Start();
        });
    }
}

/// <summary>A disk is copied, the node goes on, and the copy is put back. The others remember how far the disk had vouched, and
/// must refuse it; its node is wiped then. Design 4.5</summary>
/// <remarks>Their memory ends with their processes, and only who has heard remembers: so nothing else goes wrong meanwhile, and
/// it is done only where all have heard of more than the copy holds.</remarks>
internal sealed class OldDiskFault : IFault
{
    private static readonly TimeSpan Judged = TimeSpan.FromSeconds(1);

    public const string FaultName = "old-disk";

    public string Name => FaultName;
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        if (!node.IsUp || node.Storage.Copy() is not { } copy)
            return;

        ISimulatedStorage original = node.Storage;
        nemesis.After(Nemesis.Between(random, 100, 1500), () =>
        {
            SimulatedCluster cluster = nemesis.Cluster;
            bool isRemembered = cluster.Nodes.All(other => other == node || (other.IsUp && !other.IsPaused && other.Memory.Of(copy.Id) > copy.Sequence));
            if (node.Storage != original || !node.IsUp || node.IsPaused || !isRemembered || !cluster.Links.AreWhole || !cluster.CanLose(node))
                return;

            cluster.DelicateUntil = nemesis.World.Time.Now + Judged;
            node.PutBack(copy);
            node.Start();
            (SimulatedNode, long)[] remembering = [.. cluster.Nodes.Where(other => other != node).Select(other => (other, other.StartCount))];
            nemesis.World.Schedule(Judged, () =>
            {
                // What was planned before may still have ended a process, and with it its memory.
                bool haveAllRun = Array.TrueForAll(remembering, one => one.Item1.IsUp && !one.Item1.IsPaused && one.Item1.StartCount == one.Item2);
                if (haveAllRun && node.IsUp && !node.IsPaused && node.Storage == copy && cluster.Links.AreWhole)
                    nemesis.World.Violate($"OldDisksAreRefused: {node.Server} runs on an old copy of its disk, and nobody minds");
            });
            nemesis.After(2 * Judged, () =>
            {
                if (node.Storage != copy)
                    return;
                node.Wipe();
                node.Start();
                nemesis.Operator.Replace(node);
            });
        });
    }
}

/// <summary>Bits flip on a disk. Its next start must find it, and its node takes no part until an operator has wiped it.</summary>
internal sealed class DamagedDiskFault : IFault
{
    public string Name => "damaged-disk";
    public int Weight => 1;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        if (node.Storage.Groups.Count == 0 || !nemesis.Cluster.CanLose(node))
            return;

        nemesis.Cluster.DiskLostAt = nemesis.World.Time.Now;    // it will be wiped: until then nobody else may leave
        node.Crash("crash, and bits flip");
        node.Storage.Damage(random);
        nemesis.After(Nemesis.Between(random, 10, 1000), node.Start);
        nemesis.After(Nemesis.Between(random, 1500, 3000), () =>
        {
            if (!node.Storage.IsDamaged)
                return;
            node.Wipe();
            node.Start();
            nemesis.Operator.Replace(node);
        });
    }
}

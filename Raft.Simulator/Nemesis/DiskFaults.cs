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
        ISimulatedStorage storage = nemesis.AnyNode(random).Storage;
        storage.IsHung = true;
        nemesis.After(Nemesis.Between(random, 100, 3000), () => storage.IsHung = false);
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

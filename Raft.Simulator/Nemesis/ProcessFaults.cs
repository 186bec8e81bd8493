namespace Raft.Simulator;

/// <summary>A process is killed and its machine loses power; it starts again a little later.</summary>
internal sealed class CrashFault : IFault
{
    public string Name => "crash";
    public int Weight => 4;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        node.Crash("crash");
        nemesis.After(Nemesis.Between(random, 10, 2500), node.Start);
    }
}

/// <summary>The same between any two pieces of its work.</summary>
internal sealed class CrashAtAwaitFault : IFault
{
    public string Name => "crash-at-await";
    public int Weight => 4;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        node.CrashSoon(random.Next(60), isInFileCall: random.Next(2) == 0);
        nemesis.After(Nemesis.Between(random, 500, 2500), node.Start);
    }
}

/// <summary>All machines lose power at once.</summary>
internal sealed class PowerCutFault : IFault
{
    public string Name => "power-cut";
    public int Weight => 1;

    public void Strike(Nemesis nemesis, Random random)
    {
        foreach (SimulatedNode node in nemesis.Cluster.Nodes)
        {
            node.Crash("power cut");
            nemesis.After(Nemesis.Between(random, 10, 1000), node.Start);
        }
    }
}

/// <summary>A process stands still; its connections stay open.</summary>
internal sealed class PauseFault : IFault
{
    public string Name => "pause";
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        node.Pause(true);
        nemesis.After(Nemesis.Between(random, 50, 3000), () => node.Pause(false));
    }
}

/// <summary>A node loses its disk and comes back with an empty one; an operator takes it in again as the new server that it is.</summary>
internal sealed class WipeFault : IFault
{
    public string Name => "wipe";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        if (!nemesis.Cluster.CanLose(node))
            return;

        node.Wipe();
        nemesis.After(Nemesis.Between(random, 10, 1500), () =>
        {
            node.Start();
            nemesis.Operator.Replace(node);
        });
    }
}

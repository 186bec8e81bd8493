namespace Raft.Simulator;

/// <summary>The clocks of a node run fast or slow.</summary>
internal sealed class ClockRateFault : IFault
{
    public string Name => "clock-rate";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode node = nemesis.AnyNode(random);
        node.Clock.Rate = random.Next(4) == 0 ? Math.Pow(4, (2 * random.NextDouble()) - 1) : 0.8 + (0.4 * random.NextDouble());
        nemesis.After(Nemesis.Between(random, 500, 6000), () => node.Clock.Rate = 1);
    }
}

/// <summary>Who leads is cut off, and its clocks run slowly: its own idea of how long it may lead is wrong, while clients still reach it.</summary>
internal sealed class SlowLeaderFault : IFault
{
    public string Name => "slow-leader";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        if (nemesis.Cluster.LeaderOf(nemesis.Cluster.Groups[random.Next(nemesis.Cluster.Groups.Count)])?.Node is not { } node)
            return;

        TimeSpan howLong = Nemesis.Between(random, 600, 2500);
        node.Clock.Rate = 0.1 + (0.4 * random.NextDouble());
        nemesis.After(howLong, () => node.Clock.Rate = 1);
        nemesis.DisturbLinks(howLong, links => Cut(links, true), links => Cut(links, false));

        void Cut(Links links, bool isCut)
        {
            for (int other = 1; other <= nemesis.Cluster.Nodes.Count; other++)
            {
                links.Cut(node.Number, other, isCut);
                links.Cut(other, node.Number, isCut);
            }
        }
    }
}

/// <summary>The wall clock of a node jumps by up to a day.</summary>
internal sealed class WallClockFault : IFault
{
    public string Name => "wall-clock";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random) =>
        nemesis.AnyNode(random).Clock.WallOffset = TimeSpan.FromHours((48 * random.NextDouble()) - 24);
}

/// <summary>The wall clocks of one node, or of all, leap by an hour or by 400 days, ahead or back; mostly they come back to the right time.</summary>
internal sealed class ClockLeapFault : IFault
{
    public const string FaultName = "clock-leap";

    public string Name => FaultName;
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        SimulatedNode drawn = nemesis.AnyNode(random);
        TimeSpan leap = random.Next(2) == 0 ? TimeSpan.FromHours(1) : TimeSpan.FromDays(400);
        if (random.Next(3) == 0)
            leap = -leap;
        bool isOnAll = random.Next(4) == 0;
        TimeSpan? howLong = random.Next(4) == 0 ? null : Nemesis.Between(random, 100, 4000);
        foreach (SimulatedNode node in isOnAll ? nemesis.Cluster.Nodes : [drawn])
        {
            node.Clock.WallOffset += leap;
            if (howLong is { } time)
                nemesis.After(time, () => node.Clock.WallOffset -= leap);
        }
    }
}

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

/// <summary>The wall clock of a node jumps by up to a day.</summary>
internal sealed class WallClockFault : IFault
{
    public string Name => "wall-clock";
    public int Weight => 1;

    public void Strike(Nemesis nemesis, Random random) =>
        nemesis.AnyNode(random).Clock.WallOffset = TimeSpan.FromHours((48 * random.NextDouble()) - 24);
}

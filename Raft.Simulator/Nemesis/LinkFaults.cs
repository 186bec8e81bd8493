namespace Raft.Simulator;

/// <summary>Some share of all messages is lost.</summary>
internal sealed class LossFault : IFault
{
    public string Name => "loss";
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        double share = 0.4 * random.NextDouble();
        nemesis.DisturbLinks(Nemesis.Between(random, 200, 4000), links => links.Loss = share, links => links.Loss = 0);
    }
}

/// <summary>Some messages arrive twice.</summary>
internal sealed class DoublingFault : IFault
{
    public string Name => "doubling";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        double share = 0.5 * random.NextDouble();
        nemesis.DisturbLinks(Nemesis.Between(random, 200, 4000), links => links.Doubling = share, links => links.Doubling = 0);
    }
}

/// <summary>Messages overtake each other, and take long.</summary>
internal sealed class ReorderFault : IFault
{
    public string Name => "reorder";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        TimeSpan delayMax = Nemesis.Between(random, 1, 150);
        nemesis.DisturbLinks(
            Nemesis.Between(random, 200, 4000),
            links => (links.IsReordering, links.DelayMax) = (true, delayMax),
            links => (links.IsReordering, links.DelayMax) = (false, TimeSpan.FromMilliseconds(1)));
    }
}

/// <summary>One way from a node to another is slow: what left before a change of leaders arrives after it.</summary>
internal sealed class SlowLinkFault : IFault
{
    public string Name => "slow-link";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        (int from, int to) = (nemesis.AnyNode(random).Number, nemesis.AnyNode(random).Number);
        TimeSpan by = Nemesis.Between(random, 5, 1500);
        nemesis.DisturbLinks(Nemesis.Between(random, 200, 4000), links => links.Slow(from, to, by), links => links.Slow(from, to, TimeSpan.Zero));
    }
}

/// <summary>Answers to forwarded calls get lost: what was asked for happened, and the node that asked does not know.</summary>
internal sealed class LostRepliesFault : IFault
{
    public string Name => "lost-replies";
    public int Weight => 2;

    public void Strike(Nemesis nemesis, Random random)
    {
        double share = random.NextDouble();
        nemesis.DisturbLinks(Nemesis.Between(random, 200, 2000), links => links.ReplyLoss = share, links => links.ReplyLoss = 0);
    }
}

namespace Raft.Simulator;

/// <summary>One node hears nobody, and nobody hears it.</summary>
internal sealed class IsolationFault : IFault
{
    public string Name => "isolation";
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        int alone = nemesis.AnyNode(random).Number;
        int nodes = nemesis.Cluster.Nodes.Count;
        nemesis.DisturbLinks(Nemesis.Between(random, 100, 3000), links => Cut(links, true), links => Cut(links, false));

        void Cut(Links links, bool isCut)
        {
            for (int other = 1; other <= nodes; other++)
            {
                links.Cut(alone, other, isCut);
                links.Cut(other, alone, isCut);
            }
        }
    }
}

/// <summary>The nodes fall into two parts.</summary>
internal sealed class SplitFault : IFault
{
    public string Name => "split";
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        int[] numbers = nemesis.Shuffled(random);
        int first = random.Next(1, numbers.Length + 1);
        nemesis.DisturbLinks(Nemesis.Between(random, 100, 3000), links => Cut(links, true), links => Cut(links, false));

        void Cut(Links links, bool isCut)
        {
            foreach (int one in numbers.Take(first))
            {
                foreach (int other in numbers.Skip(first))
                {
                    links.Cut(one, other, isCut);
                    links.Cut(other, one, isCut);
                }
            }
        }
    }
}

/// <summary>One way from a node, or all ways to it, or all ways from it, are cut; the other direction is not.</summary>
internal sealed class OneWayFault : IFault
{
    public string Name => "one-way";
    public int Weight => 3;

    public void Strike(Nemesis nemesis, Random random)
    {
        int node = nemesis.AnyNode(random).Number;
        int kind = random.Next(3);
        int[] others = kind == 0 ? [nemesis.AnyNode(random).Number] : nemesis.Shuffled(random);
        nemesis.DisturbLinks(Nemesis.Between(random, 100, 3000), links => Cut(links, true), links => Cut(links, false));

        void Cut(Links links, bool isCut)
        {
            foreach (int other in others)
            {
                if (kind == 2)
                    links.Cut(other, node, isCut);
                else
                    links.Cut(node, other, isCut);
            }
        }
    }
}

/// <summary>Each node reaches only its two neighbours.</summary>
internal sealed class RingFault : IFault
{
    public string Name => "ring";
    public int Weight => 1;

    public void Strike(Nemesis nemesis, Random random)
    {
        int[] ring = nemesis.Shuffled(random);
        nemesis.DisturbLinks(Nemesis.Between(random, 100, 3000), links => Cut(links, true), links => Cut(links, false));

        void Cut(Links links, bool isCut)
        {
            for (int a = 0; a < ring.Length; a++)
            {
                for (int b = 0; b < ring.Length; b++)
                {
                    int apart = Math.Abs(a - b);
                    if (apart > 1 && apart < ring.Length - 1)
                        links.Cut(ring[a], ring[b], isCut);
                }
            }
        }
    }
}

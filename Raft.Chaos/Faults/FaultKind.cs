using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>How much of the cluster a fault wants.</summary>
internal enum FaultScope
{
    /// <summary>One node.</summary>
    Node,

    /// <summary>One node, whose process may end.</summary>
    DeadlyToNode,

    /// <summary>The wires between the nodes.</summary>
    Network,

    /// <summary>Something that an operator does: membership, leadership.</summary>
    Operation,

    /// <summary>All nodes at once, with nothing beside it.</summary>
    Everything,
}

/// <summary>What the seed says of one fault.</summary>
/// <param name="Number">Which node, which wire.</param>
/// <param name="OnLeader">Whether the leader is preferred.</param>
/// <param name="Strength">From 0 to 1.</param>
/// <param name="Delay">After the round's begin.</param>
/// <param name="Duration">How long it lasts.</param>
internal sealed record Draw(int Number, bool OnLeader, double Strength, TimeSpan Delay, TimeSpan Duration)
{
    private const double LongOnes = 0.06;

    public static Draw From(Random random) => new(
        random.Next(1_000_000), random.NextDouble() < 0.5, random.NextDouble(),
        TimeSpan.FromMilliseconds(random.Next(0, 1500)),
        TimeSpan.FromMilliseconds(random.NextDouble() < LongOnes ? random.Next(5000, 20_000) : random.Next(1000, 5000)));
}

/// <summary>A kind of fault.</summary>
/// <param name="Name">One or two words.</param>
/// <param name="Scope">What it wants.</param>
/// <param name="Weight">How often it is drawn, compared with the others.</param>
/// <param name="Make">One of it.</param>
internal sealed record FaultKind(string Name, FaultScope Scope, int Weight, Func<ChaosCluster, Draw, IFault> Make);

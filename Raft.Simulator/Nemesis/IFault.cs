namespace Raft.Simulator;

/// <summary>Something that goes wrong, or that an operator does, at some moment of a run. It ends by itself; what has not ended
/// when the faults stop is healed.</summary>
internal interface IFault
{
    /// <summary>As --without names it.</summary>
    string Name { get; }

    /// <summary>How often, against the others.</summary>
    int Weight { get; }

    /// <summary>Only where the real store runs.</summary>
    bool NeedsRealStorage => false;

    void Strike(Nemesis nemesis, Random random);
}

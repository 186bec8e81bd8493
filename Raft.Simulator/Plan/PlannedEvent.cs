namespace Raft.Simulator;

/// <summary>One event of a plan. What exactly it does is drawn from its own seed, so that it does not change when others are left out.</summary>
/// <param name="Number">Its place in the plan.</param>
/// <param name="At">Since the beginning.</param>
/// <param name="Kind">The name of a fault, or <see cref="Client"/>.</param>
/// <param name="Seed">Its own.</param>
internal readonly record struct PlannedEvent(int Number, TimeSpan At, string Kind, int Seed)
{
    public const string Client = "client";

    public Random NewRandom() => new(Seed);
}

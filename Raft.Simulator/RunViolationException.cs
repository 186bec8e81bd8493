namespace Raft.Simulator;

/// <summary>Something that must always hold did not.</summary>
internal sealed class RunViolationException(string what, TimeSpan at) : Exception(what)
{
    public TimeSpan At { get; } = at;
}

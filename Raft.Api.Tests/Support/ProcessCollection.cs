namespace Raft.Api.Tests.Support;

/// <summary>Tests with real processes run one after the other, and with nothing beside them: they share two cores.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessCollection
{
    public const string Name = "processes";
}

using Raft.Engine.Plugins;

namespace Raft.Host.StateMachine;

/// <summary>The built-in state machine: a journal and a key-value map over one log.</summary>
public sealed class Store : IStateMachine
{
    public ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation) => throw new NotImplementedException();
}

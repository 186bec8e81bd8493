using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Simulator;

/// <summary>Around the real state machine of a group: shows the invariants what is applied, and what it amounts to.</summary>
internal sealed class ObservedMachine(GroupStateMachine inner, Store store, SimulatedServer server, SimulatedGroup group) : IStateMachine
{
    public async ValueTask<IReadOnlyList<object?>> ApplyAsync(IReadOnlyList<CommittedCommand> commands, CancellationToken cancellation)
    {
        IReadOnlyList<object?> results = await inner.ApplyAsync(commands, cancellation);
        for (int i = 0; i < commands.Count; i++)
            group.OnApplied(server, commands[i]);
        ShowState();
        return results;
    }

    public IStateSnapshot TakeSnapshot() => inner.TakeSnapshot();

    public async ValueTask LoadSnapshotAsync(Stream content, CancellationToken cancellation)
    {
        await inner.LoadSnapshotAsync(content, cancellation);
        ShowState();
    }

    private void ShowState()
    {
        StoreStatus status = store.Status;
        group.OnState(server, new LogIndex(status.AppliedIndex), status.StateHash);
    }
}

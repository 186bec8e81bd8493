using Raft.Engine.Plugins;
using Raft.Host.StateMachine;

namespace Raft.Host.Memory;

/// <summary>Refuses the commands of one group that would make its state larger than the node's memory allows.</summary>
/// <param name="budget">Of the node.</param>
/// <param name="state">The group's state machine.</param>
/// <param name="node">The node's name, for the refusal.</param>
/// <param name="commandBytesMax">The largest command.</param>
internal sealed class StateGate(StateBudget budget, IMeasuredState state, string node, int commandBytesMax) : ICommandGate
{
    private volatile string? _peerShortage;
    private long _refused;

    /// <summary>A live voter of the group that holds more than its budget, for people; null: there is none. What it must not hold is not
    /// proposed: a voter that runs out of memory is a vote less.</summary>
    public string? PeerShortage
    {
        get => _peerShortage;
        set => _peerShortage = value;
    }

    /// <summary>Commands that were refused here.</summary>
    public long Refused => Volatile.Read(ref _refused);

    /// <summary>As if each entry were as large as it may be, and all of it remained.</summary>
    public bool CanDecide(long unappliedEntries) => unappliedEntries <= budget.FreeBytes / commandBytesMax;

    public CommandRefusal? Check(ReadOnlyMemory<byte> command)
    {
        long free = budget.FreeBytes;
        string? peer = _peerShortage;
        if (peer is null && state.GrowthMax(command.Length) <= free)
            return null;

        long growth = state.GrowthOf(command.Span);
        if (growth <= 0 || (peer is null && growth <= free))
            return null;

        Interlocked.Increment(ref _refused);
        return new CommandRefusal(CallRefusal.OutOfMemoryBudget, peer ??
            $"The states of all groups on '{node}' take {budget.StateBytes} bytes, and {budget.InFlightBytes} more are on their way; " +
            $"{growth} bytes more would be over Raft:Limits:MaxStateBytes = {budget.MaxBytes}.");
    }
}

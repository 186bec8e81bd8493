using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>Equal indexes, equal states: whatever way a state came there, by commands or by a snapshot.</summary>
internal sealed class EqualStates : IInvariant
{
    private readonly Dictionary<LogIndex, UInt128> _hashes = [];

    public string? OnState(SimulatedServer server, LogIndex index, UInt128 hash) =>
        _hashes.TryAdd(index, hash) || _hashes[index] == hash ? null : $"the state of {server} at {index} differs from another server's there";
}

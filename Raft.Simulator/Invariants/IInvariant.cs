using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>Something that must hold of one group in the whole run and not just now: so each has a memory. It is shown what
/// happens, as it happens, and says what is wrong with it; null when nothing is.</summary>
internal interface IInvariant
{
    /// <summary>What a server says of itself changed. On its shard, between two turns. <paramref name="before"/> is null after a start.</summary>
    string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now) => null;

    /// <summary>A server hands this to its storage.</summary>
    string? OnPersisting(SimulatedServer server, PersistRequest request) => null;

    /// <summary>Its storage said that this is durable; the server has not heard it yet.</summary>
    string? OnDurable(SimulatedServer server, PersistRequest request) => null;

    /// <summary>A message is about to leave, lost or not.</summary>
    string? OnSent(SimulatedServer sender, Message message) => null;

    /// <summary>The answer to a piece of a snapshot is about to leave.</summary>
    string? OnChunkAnswered(SimulatedServer sender, SnapshotChunk chunk, SnapshotReply reply) => null;

    /// <summary>A state machine was given this.</summary>
    string? OnApplied(SimulatedServer server, in CommittedCommand command) => null;

    /// <summary>What a state amounts to after the command at this index.</summary>
    string? OnState(SimulatedServer server, LogIndex index, UInt128 hash) => null;

    /// <summary>A client was told that its write is this entry, and committed.</summary>
    string? OnAcknowledged(SimulatedServer server, EntryId entry) => null;
}

using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>A leader never takes anything back from its own log. PhD 3.5</summary>
internal sealed class LeaderAppendOnly : IInvariant
{
    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now) =>
        before is { Role: Role.Leader } && now.Role == Role.Leader && now.Term == before.Term && now.LastIndex < before.LastIndex
            ? $"the log of {server}, which leads term {now.Term}, shrank from {before.LastIndex} to {now.LastIndex}"
            : null;
}

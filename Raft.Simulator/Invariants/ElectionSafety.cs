using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>At most one leader per term, in the whole run and not just now. PhD 3.4</summary>
internal sealed class ElectionSafety : IInvariant
{
    private readonly Dictionary<Term, ServerId> _leaders = [];

    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        if (now.Role != Role.Leader || _leaders.TryAdd(now.Term, server.Id) || _leaders[now.Term] == server.Id)
            return null;
        return $"{_leaders[now.Term]} and {server.Id} both led term {now.Term}";
    }
}

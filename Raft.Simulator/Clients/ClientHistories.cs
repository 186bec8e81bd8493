using Raft.Engine.Protocol;
using Raft.Simulator.Histories;

namespace Raft.Simulator;

/// <summary>What all clients asked and were answered, group by group.</summary>
internal sealed class ClientHistories
{
    private readonly Dictionary<GroupId, History> _histories = [];

    public History Of(SimulatedGroup group)
    {
        if (!_histories.TryGetValue(group.Id, out History? history))
            _histories.Add(group.Id, history = new History());
        return history;
    }

    public string? FindViolation()
    {
        foreach ((GroupId group, History history) in _histories)
        {
            if (LinearizabilityChecker.Check(history) is { } violation)
                return $"Linearizability: group {group}: {violation}";
        }

        return null;
    }
}

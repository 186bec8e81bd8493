using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>The configuration in force is the last one in the server's log, or its snapshot's, and no configuration is without
/// a voter: not the current members, not the members before them while joint, not the target. PhD 4.1, 4.3</summary>
/// <remarks>Compared with the simulator's own book of the disk, requests under way included, and not with the server's memory.</remarks>
internal sealed class ConfigurationInForce(GroupLedger ledger) : IInvariant
{
    private readonly HashSet<SimulatedServer> _changed = [];

    public string? OnPersisting(SimulatedServer server, PersistRequest request)
    {
        // A configuration goes with a truncation, and a snapshot may bring one.
        if (request.TruncateFrom is not null || request.Snapshot is not null)
            _changed.Add(server);

        foreach (Entry entry in request.Entries)
        {
            if (entry.Kind != EntryKind.Configuration)
                continue;
            _changed.Add(server);
            if (FaultOf(Configuration.Decode(entry.Payload.Span)) is { } fault)
                return $"{server} appends at {entry.Index} in term {entry.Term} {fault}";
        }

        return null;
    }

    public string? OnStatus(SimulatedServer server, ServerStatus? before, ServerStatus now)
    {
        if (before is null || !ReferenceEquals(before.Configuration, now.Configuration) || before.ConfigurationIndex != now.ConfigurationIndex)
            _changed.Add(server);
        if (!_changed.Contains(server))
            return null;

        // A status between two polls may be ahead of what was handed to the disk: the next one is not.
        DurableShadow disk = ledger.ShadowOf(server.Id);
        if (disk.LastEntry() is var (end, term) && (end != now.LastIndex || (term is not null && term != server.TermAt(end))))
            return null;

        _changed.Remove(server);
        (LogIndex index, Configuration last) = disk.LastConfiguration();
        if (now.ConfigurationIndex != index || !ClusterView.AreSame(now.Configuration, last))
            return $"{server} goes by the configuration at {now.ConfigurationIndex}; the last one in its log is at {index}";
        return now.Configuration.Current.Count > 0 && FaultOf(now.Configuration) is { } fault ? $"{server} goes by {fault}" : null;
    }

    /// <summary>What is wrong with the configuration by itself; null when nothing is.</summary>
    internal static string? FaultOf(Configuration configuration)
    {
        if (!HasVoter(configuration.Current))
            return "a configuration without a voter";
        if (configuration.IsJoint && !HasVoter(configuration.Previous))
            return "a joint configuration without a voter before the change";
        return configuration.Target.Count > 0 && !HasVoter(configuration.Target) ? "a configuration whose target has no voter" : null;
    }

    private static bool HasVoter(IReadOnlyList<Member> members) => members.Any(member => member.Kind == MemberKind.Voter);
}

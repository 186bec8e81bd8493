using System.Collections.Concurrent;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Memory;
using Raft.Host.Settings;
using Raft.Host.StateMachine;

namespace Raft.Host.Hosting;

/// <summary>One group as this node runs it.</summary>
public sealed record HostedGroup(GroupId Id, RaftServer Server, GroupStateMachine Machine)
{
    /// <summary>The built-in state machine; null when an embedder brought another.</summary>
    public Store? Store { get; } = Machine.Inner as Store;

    /// <summary>What refuses commands for which there is no memory; null when the state machine does not say what it takes.</summary>
    internal StateGate? Gate { get; init; }

    /// <summary>This replica's state is not that of the others (<see cref="GroupStateMachine.HashAlarm"/>): nothing may be read from it.</summary>
    public bool IsOutOfService => Machine.HashAlarm is not null;
}

/// <summary>Group id -> server. Empty until the node has formed or joined a cluster.</summary>
public sealed class GroupRegistry(NodeSettings settings)
{
    /// <summary>The first group's id when none is configured.</summary>
    public static readonly GroupId DefaultGroup = new("default");

    /// <summary>What stands in metrics for groups without a label of their own.</summary>
    public const string OtherGroups = "other";

    /// <summary>So many groups have a label of their own in metrics: series cost whoever keeps them.</summary>
    private const int LabelledGroups = 100;

    private readonly HashSet<string> _labelled = [.. settings.Raft.Groups.Take(LabelledGroups).Select(group => group.Id)];
    private readonly ConcurrentDictionary<string, HostedGroup> _groups = new(StringComparer.Ordinal);

    /// <summary>The group that forms the cluster, holds the list of the others, and answers where no group is named.</summary>
    public GroupId FirstId { get; } = FirstGroup(settings.Raft);

    /// <summary>Null until it runs.</summary>
    public HostedGroup? First => Find(FirstId.Value);

    /// <summary>Groups that are certain to come: a cluster that has just formed agreed on them. The node is not ready before.</summary>
    public IReadOnlyList<string> Expected { get; set; } = [];

    public ICollection<HostedGroup> All => _groups.Values;

    public int Count => _groups.Count;

    /// <summary>The value of the label <c>group</c>: the id, for the groups that stand first in the configuration. So every node labels
    /// the same ones, and whoever runs them chooses which.</summary>
    public string LabelOf(GroupId group) => _labelled.Contains(group.Value) ? group.Value : OtherGroups;

    public HostedGroup? Find(string group) => _groups.GetValueOrDefault(group);

    public void Add(HostedGroup group)
    {
        if (!_groups.TryAdd(group.Id.Value, group))
            throw new InvalidOperationException($"Group '{group.Id}' is there already.");
    }

    /// <summary>The node takes part no longer.</summary>
    public void Clear() => _groups.Clear();

    internal static GroupId FirstGroup(RaftOptions options) => new(options.Groups[0].Id);
}

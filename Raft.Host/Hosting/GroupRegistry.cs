using System.Collections.Concurrent;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.StateMachine;

namespace Raft.Host.Hosting;

/// <summary>One group as this node runs it.</summary>
public sealed record HostedGroup(GroupId Id, RaftServer Server, GroupStateMachine Machine)
{
    public Store? Store => Machine.Inner as Store;
}

/// <summary>Group id -> server. Empty until the node has formed or adopted a cluster.</summary>
public sealed class GroupRegistry
{
    public static readonly GroupId DefaultGroup = new("default");

    private readonly ConcurrentDictionary<string, HostedGroup> _groups = new(StringComparer.Ordinal);

    public ICollection<HostedGroup> All => _groups.Values;

    public HostedGroup? First => Find(DefaultGroup.Value);

    public HostedGroup? Find(string group) => _groups.GetValueOrDefault(group);

    public void Add(HostedGroup group)
    {
        if (!_groups.TryAdd(group.Id.Value, group))
            throw new InvalidOperationException($"Group '{group.Id}' is there already.");
    }
}

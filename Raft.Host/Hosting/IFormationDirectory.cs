using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>What formation needs of a data directory.</summary>
public interface IFormationDirectory
{
    StorageId StorageId { get; }

    long StartCount { get; }

    /// <summary>Another directory was here before and was moved aside: the node is lost, and not new.</summary>
    bool IsLost { get; }

    /// <summary>Of a lost one: the cluster that it was in; null when that is not known.</summary>
    ClusterUid? FormerUid { get; }

    /// <summary>Writes uid and first configuration as one; durable when it completes.</summary>
    Task FormAsync(ClusterUid uid, GroupId group, Configuration first);

    /// <summary>Writes the uid alone: the log comes from the members. Durable when it completes.</summary>
    Task AdoptAsync(ClusterUid uid);
}

/// <summary>The real one.</summary>
internal sealed class FormationDirectory(NodeStore store) : IFormationDirectory
{
    public StorageId StorageId => store.StorageId;

    public long StartCount => store.StartCount;

    public bool IsLost => store.Former is not null;

    public ClusterUid? FormerUid => store.Former?.ClusterUid;

    public Task FormAsync(ClusterUid uid, GroupId group, Configuration first) => store.FormAsync(uid, group, first);

    public Task AdoptAsync(ClusterUid uid) => store.AdoptAsync(uid);
}

using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

/// <summary>What formation needs of a data directory.</summary>
public interface IFormationDirectory
{
    StorageId StorageId { get; }

    long StartCount { get; }

    /// <summary>Writes uid and first configuration as one; durable when it completes.</summary>
    Task FormAsync(ClusterUid uid, GroupId group, Configuration first);
}

/// <summary>The real one.</summary>
internal sealed class FormationDirectory(NodeStore store) : IFormationDirectory
{
    public StorageId StorageId => store.StorageId;

    public long StartCount => store.StartCount;

    public Task FormAsync(ClusterUid uid, GroupId group, Configuration first) => store.FormAsync(uid, group, first);
}

using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Host.Peers;
using Raft.Host.Storage;

namespace Raft.Host.Hosting;

public sealed record Former(ClusterUid? ClusterUid);

public sealed class DamagedDirectory : IDisposable
{
    public CorruptStorageException Damage => throw new NotSupportedException();
    public ClusterUid? ClusterUid => null;
    public StorageId? StorageId => null;
    public string? MoveAside() => throw new NotSupportedException();
    public NodeStore Open() => throw new NotSupportedException();
    public void Dispose() { }
}

internal static class StandIns
{
    extension(NodeStore store)
    {
        public Former? Former => store.ClusterUid is null ? null : null;
        public IReadOnlyCollection<GroupId> GroupIds => store.ClusterUid is null ? [] : [];
        public Task CreateGroupAsync(GroupId group, Configuration first) => throw new NotSupportedException();
        public static NodeStore? TryOpen(NodeStoreSettings settings, ILoggerFactory logs, out DamagedDirectory? damaged) { damaged = null; return NodeStore.Open(settings, logs); }
        public Task<DamagedDirectory> CloseAsDamagedAsync(CorruptStorageException damage) => throw new NotSupportedException();
    }

    extension(PeerStatus peer)
    {
        public int LeadsCount => peer.QueuedBytes < 0 ? 1 : 0;
    }
}

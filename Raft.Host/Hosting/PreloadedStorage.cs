using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Hosting;

/// <summary>A group's storage whose state was read before its server exists, so that damage and a foreign directory are
/// found before anything takes part.</summary>
internal sealed class PreloadedStorage(IRaftStorage storage, PersistedState state) : IRaftStorage
{
    private PersistedState? _state = state;

    public ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation)
    {
        PersistedState loaded = Interlocked.Exchange(ref _state, null) ?? throw new InvalidOperationException("The state is read once.");
        return ValueTask.FromResult(loaded);
    }

    public Task PersistAsync(PersistRequest? request) => storage.PersistAsync(request);

    public ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation) =>
        storage.ReadEntriesAsync(from, to, maxBytes, cancellation);

    public Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation) =>
        storage.WriteSnapshotAsync(picture, cancellation);

    public ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
        storage.ReceiveSnapshotAsync(descriptor, cancellation);

    public ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
        storage.OpenSnapshotAsync(descriptor, cancellation);
}

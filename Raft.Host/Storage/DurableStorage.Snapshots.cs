using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

// The group's snapshots. Rule 6: first the file, whole; then the record that names it; then the older one goes.
internal sealed partial class DurableStorage
{
    public Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation) =>
        _threads.FailStop?.Cause is { } cause
            ? Task.FromException<SnapshotFile>(cause)
            : _threads.Snapshots!.WriteAsync(this, picture, cancellation);          // set before the group is handed out

    public ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
        _threads.FailStop?.Cause is { } cause
            ? ValueTask.FromException<ISnapshotReceiver>(cause)
            : _threads.Snapshots!.ReceiveAsync(this, descriptor, cancellation);

    public ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
        _threads.FailStop?.Cause is { } cause
            ? ValueTask.FromException<ISnapshotReader>(cause)
            : _threads.Snapshots!.OpenAsync(this, descriptor, cancellation);

    /// <summary>A mistake of the caller's is refused before anything of the request counts: once a record holds it, the log
    /// could not be opened any more.</summary>
    private void CheckSnapshot(PersistRequest request)
    {
        LogIndex newest = _newestSnapshot;
        if (request.Snapshot is { } snapshot)
        {
            if (snapshot.Index < newest)
                throw new ArgumentException($"The snapshot at {snapshot.Index} is older than the one at {newest}.", nameof(request));
            if (!_threads.Snapshots!.IsComplete(this, snapshot.SnapshotId))
                throw new ArgumentException($"The file of snapshot {snapshot.SnapshotId} is not complete.", nameof(request));
            newest = snapshot.Index;
        }

        if (request.DeleteThrough > newest)
            throw new ArgumentException($"The log cannot be deleted up to {request.DeleteThrough}: the newest snapshot is at {newest}.", nameof(request));
        _newestSnapshot = newest;
    }
}

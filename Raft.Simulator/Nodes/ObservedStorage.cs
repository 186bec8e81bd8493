using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Simulator;

/// <summary>Between a server and its storage: keeps the second book, and shows the invariants what is stored.</summary>
internal sealed class ObservedStorage(IRaftStorage inner, SimulatedServer server, SimulatedGroup group) : IRaftStorage
{
    private readonly DurableShadow _shadow = group.Ledger.ShadowOf(server.Id);

    public async ValueTask<PersistedState> LoadAsync(long cacheBytes, CancellationToken cancellation)
    {
        PersistedState found = await inner.LoadAsync(cacheBytes, cancellation);
        if (_shadow.IsSuspect || _shadow.IsNew)
            _shadow.Reset(found, found.LastIndex < found.FirstIndex ? [] : await ReadAllAsync(found, cancellation));
        else if (_shadow.Compare(found) is { } difference)
            group.Violate("StorageKeepsItsWord", $"{server.Id}: {difference}");
        return found;
    }

    public Task PersistAsync(PersistRequest? request)
    {
        Task done = inner.PersistAsync(request);
        if (request is null)
            return done;

        _shadow.Begin(request);
        group.OnPersisting(server, request);
        return FinishAsync(done, request);
    }

    private async Task FinishAsync(Task done, PersistRequest request)
    {
        await done;
        _shadow.Complete(request);
        group.OnDurable(server, request);
    }

    public ValueTask<IReadOnlyList<Entry>> ReadEntriesAsync(LogIndex from, LogIndex to, int maxBytes, CancellationToken cancellation) =>
        inner.ReadEntriesAsync(from, to, maxBytes, cancellation);

    public Task<SnapshotFile> WriteSnapshotAsync(IStateSnapshot picture, CancellationToken cancellation) =>
        inner.WriteSnapshotAsync(picture, cancellation);

    public ValueTask<ISnapshotReceiver> ReceiveSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
        inner.ReceiveSnapshotAsync(descriptor, cancellation);

    public ValueTask<ISnapshotReader> OpenSnapshotAsync(SnapshotDescriptor descriptor, CancellationToken cancellation) =>
        inner.OpenSnapshotAsync(descriptor, cancellation);

    private async Task<List<Entry>> ReadAllAsync(PersistedState found, CancellationToken cancellation)
    {
        List<Entry> all = [];
        for (LogIndex next = found.FirstIndex; next <= found.LastIndex; next = found.FirstIndex + all.Count)
            all.AddRange(await inner.ReadEntriesAsync(next, found.LastIndex, int.MaxValue, cancellation));
        return all;
    }
}

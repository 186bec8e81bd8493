using System.Text;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;

namespace Raft.Engine.Tests.Simulation;

/// <summary>One group's writer, and what it was told is durable: it survives the processes whose store it writes into.</summary>
internal sealed class StoredGroup(World world, GroupId id)
{
    private readonly List<SnapshotDescriptor> _snapshots = [];
    private LogIndex _asked;
    private LogIndex _acknowledged;
    private Term _term;
    private Term _acknowledgedTerm;
    private LogIndex _acknowledgedSnapshot;

    public int Acknowledged { get; private set; }

    /// <summary>Everything that was acknowledged is there, and nothing that nobody asked for.</summary>
    public async Task CheckAsync(NodeStore store)
    {
        IRaftStorage storage = store.Group(id);
        PersistedState found = await storage.LoadAsync(cacheBytes: 2000, CancellationToken.None);
        Assert.InRange(found.TermAndVote.Term.Value, _acknowledgedTerm.Value, _term.Value);
        Assert.InRange(found.LastIndex.Value, _acknowledged.Value, _asked.Value);
        (_acknowledgedTerm, _acknowledged, _asked) = (found.TermAndVote.Term, found.LastIndex, found.LastIndex);

        LogIndex snapshot = found.Snapshot?.Index ?? LogIndex.Zero;
        Assert.True(snapshot >= _acknowledgedSnapshot);
        _acknowledgedSnapshot = snapshot;
        if (found.Snapshot is { } descriptor)
        {
            Assert.Contains(descriptor.SnapshotId, _snapshots.Select(known => known.SnapshotId));
            await CheckSnapshotAsync(storage, descriptor);
        }

        Assert.True(found.FirstIndex <= snapshot.Next);
        await CheckEntriesAsync(storage, found.FirstIndex, found.LastIndex);
    }

    /// <summary>Writes, reads and takes snapshots until the store has failed, or is closed.</summary>
    public async Task RunAsync(NodeStore store)
    {
        IRaftStorage storage = store.Group(id);
        try
        {
            while (true)
                await StepAsync(storage);
        }
        catch (Exception error) when (error is StorageFailedException or ObjectDisposedException)
        {
            // The process ends.
        }
    }

    private async Task StepAsync(IRaftStorage storage)
    {
        switch (world.Random.Next(8))
        {
            case 0:
                _term = _term.Next;
                await PersistAsync(storage, new PersistRequest(new TermAndVote(_term, null), null, []));
                break;
            case 1 when _acknowledged > LogIndex.Zero:
                await CheckEntriesAsync(storage, LogIndex.Max(_acknowledgedSnapshot.Next, _acknowledged - world.Random.Next(20)), _acknowledged);
                break;
            case 2 when _acknowledged > _acknowledgedSnapshot:
                await TakeSnapshotAsync(storage, _acknowledged);
                break;
            default:
                Entry[] entries = [.. Enumerable.Range(1, world.Random.Next(1, 6)).Select(n => EntryAt(_asked + n))];
                _asked = entries[^1].Index;
                await PersistAsync(storage, new PersistRequest(null, null, entries));
                _acknowledged = entries[^1].Index;
                break;
        }
    }

    private async Task PersistAsync(IRaftStorage storage, PersistRequest request)
    {
        await storage.PersistAsync(request);
        Acknowledged++;
        _acknowledgedTerm = request.TermAndVote?.Term ?? _acknowledgedTerm;
    }

    private async Task TakeSnapshotAsync(IRaftStorage storage, LogIndex index)
    {
        SnapshotFile file = await storage.WriteSnapshotAsync(new Picture(ContentAt(index)), CancellationToken.None);
        var descriptor = new SnapshotDescriptor(file.SnapshotId, index, new Term(1), Configuration.Empty, new LogIndex(1), file.SizeBytes, file.Hash);
        _snapshots.Add(descriptor);
        await PersistAsync(storage, new PersistRequest(null, null, []) { Snapshot = descriptor, DeleteThrough = index - world.Random.Next(5) });
        _acknowledgedSnapshot = index;
        await CheckSnapshotAsync(storage, descriptor);
    }

    private async Task CheckSnapshotAsync(IRaftStorage storage, SnapshotDescriptor descriptor)
    {
        await using ISnapshotReader reader = await storage.OpenSnapshotAsync(descriptor, CancellationToken.None);
        byte[] content = new byte[reader.SizeBytes];
        Assert.Equal(content.Length, await reader.ReadAsync(0, content, CancellationToken.None));
        Assert.Equal(ContentAt(descriptor.Index), content);
    }

    private async Task CheckEntriesAsync(IRaftStorage storage, LogIndex from, LogIndex to)
    {
        // A token that could be cancelled takes another way through the store.
        using var cancellation = new CancellationTokenSource();
        for (LogIndex next = from; next <= to;)
        {
            IReadOnlyList<Entry> entries = await storage.ReadEntriesAsync(next, to, maxBytes: 3000, cancellation.Token);
            Assert.NotEmpty(entries);
            foreach (Entry entry in entries)
            {
                Assert.Equal(next, entry.Index);
                Assert.Equal(EntryAt(next).Payload.ToArray(), entry.Payload.ToArray());
                next = next.Next;
            }
        }
    }

    private Entry EntryAt(LogIndex index) =>
        new(index, new Term(1), EntryKind.Command, index.Value, Encoding.UTF8.GetBytes($"{id} {index}".PadRight((int)(index.Value * 37 % 700), '.')));

    /// <summary>More than one piece now and then.</summary>
    private byte[] ContentAt(LogIndex index)
    {
        byte[] content = new byte[index.Value * 7919 % 150_000];
        new Random((int)index.Value).NextBytes(content);
        return content;
    }

    private sealed class Picture(byte[] content) : IStateSnapshot
    {
        public async Task WriteAsync(Stream target, CancellationToken cancellation)
        {
            await target.WriteAsync(content.AsMemory(0, content.Length / 2), cancellation);
#pragma warning disable CA1849 // a state machine may do that too
            target.Write(content.AsSpan(content.Length / 2));
#pragma warning restore CA1849
        }

        public void Dispose()
        {
        }
    }
}

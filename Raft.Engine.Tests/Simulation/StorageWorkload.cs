using System.IO.Hashing;
using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Storage;

namespace Raft.Engine.Tests.Simulation;

/// <summary>A store's life on one disk: formation, terms and votes, appends, truncations, batches longer than a record, snapshots taken
/// and received, compaction, checkpoints; a clean stop, a kill, and reopening after each. The same seed gives the same calls.</summary>
internal sealed class StorageWorkload
{
    public static readonly ClusterUid Uid = new(77);
    private const int StepsOfALife = 40;
    private readonly World _world;
    private readonly Func<Task> _afterEach;
    private readonly AskedGroup[] _groups = [.. new[] { "one", "two", "three" }.Select(name => new AskedGroup(new GroupId(name)))];
    private readonly List<Task> _underWay = [];
    private VirtualStorageThreads? _threads;
    private NodeStore? _store;
    private Task? _formed;
    private long _startCount;
    private long _sequence;

    /// <param name="world">Its random numbers decide.</param>
    /// <param name="afterEach">Called after each step.</param>
    public StorageWorkload(World world, Func<Task> afterEach)
    {
        _world = world;
        _afterEach = afterEach;
        Files.Changing = (operation, path) =>
        {
            // Other threads go on between the calls of this one.
            if (world.Random.Next(3) == 0)
                _threads?.RunAnother();
            Changing?.Invoke($"{operation} {Path.GetFileName(path)}");
        };
    }

    public SimulatedFiles Files { get; } = new();

    /// <summary>Hears of each call that changes something, before it does.</summary>
    public Action<string>? Changing { get; set; }

    private int Random(int below) => _world.Random.Next(below);

    public static NodeStore Open(VirtualStorageThreads threads) =>
        NodeStore.Open(new NodeStoreSettings("/data", new NodeId("n1")), NullLoggerFactory.Instance, threads.Settings() with
        {
            // So small that everything comes round soon: four records fill a segment, sixteen the log.
            SegmentBytes = 16 << 10,
            RecordBytes = 6 << 10,
            CopyBytes = 6 << 10,
            CopyDelayMs = 3,
            TransactionBytes = 12 << 10,
            DatabaseLogBytes = 96 << 10,
            IdleCheckpointMs = 10,
            ChunkBytes = 2 << 10,
            CheckpointPieceBytes = 32 << 10,
        });

    /// <summary>What a start may find if the power goes now.</summary>
    public Expected ExpectedNow() => new(
        _groups.ToDictionary(group => group.Id, group => group.Allowed()),
        _store?.StartCount ?? _startCount, _store?.DurableSequence ?? _sequence, _formed?.IsCompletedSuccessfully == true);

    public async Task RunAsync()
    {
        for (int life = 0; life < 3; life++)
        {
            // Now and then a thread comes late, so that the log runs full.
            _threads = new VirtualStorageThreads(_world, Files) { WakeTime = () => TimeSpan.FromMilliseconds(Random(4) == 0 ? Random(20) : 0) };
            NodeStore store = _store = Open(_threads);
            await _afterEach();
            if (life == 0)
                await FormAsync(store);
            for (int step = 0; step < StepsOfALife; step++)
            {
                await StepAsync(store, _groups[Random(_groups.Length)]);
                await _afterEach();
            }

            await CatchUpAsync();
            if (life == 1)
            {
                _threads.Kill();
                Files.Restart();
            }

            await store.DisposeAsync();
            (_startCount, _sequence, _store) = (store.StartCount, store.DurableSequence, null);
            await _afterEach();
        }
    }

    private async Task FormAsync(NodeStore store)
    {
        Configuration first = Configuration.Of([new Member(new NodeId("n1"), new StorageId(1), MemberKind.Voter, "http://a", "http://b")]);
        var entry = new Entry(new LogIndex(1), new Term(1), EntryKind.Configuration, 0, first.Encode());
        _formed = store.FormAsync(Uid, _groups[0].Id, first);
        _groups[0].Asked(_groups[0].Newest with { Vote = new TermAndVote(new Term(1), null), Log = [entry] }, _formed);
        await _formed;
    }

    private async Task StepAsync(NodeStore store, AskedGroup group)
    {
        IRaftStorage storage = store.Group(group.Id);
        GroupState now = group.Newest;
        long term = Math.Max(1, now.Vote.Term.Value);
        TermAndVote vote = VoteOf(term + 1);
        switch (Random(14))
        {
            case 0:
                Ask(storage, group, now with { Vote = vote }, vote, null, []);
                break;
            case 1 or 2 when now.Log.Length > 1:
                // What a snapshot covers was committed.
                int keep = Math.Max(now.Log.Length - Random(Math.Min(now.Log.Length, 9)), (int)((now.Snapshot?.Index.Value ?? 0) - now.First + 1));
                Entry[] fresh = Entries(now.First + keep, Random(4), term + 1);
                Ask(storage, group, now with { Vote = vote, Log = [.. now.Log[..keep], .. fresh] }, vote, new LogIndex(now.First + keep), fresh);
                break;
            case 3:
                AskInParts(storage, group, now, Entries(now.Last + 1, Random(4) == 0 ? 60 : 12, term, bytes: 700));
                break;
            case 4 or 5 when now.Log.Length > 0:
                await TakeSnapshotAsync(storage, group);
                break;
            case 6:
                await ReceiveSnapshotAsync(storage, group, now);
                break;
            case 7:
                await CatchUpAsync();
                await _world.PassAsync(TimeSpan.FromMilliseconds(Random(30)));     // it may copy, or be idle and checkpoint
                break;
            default:
                Entry[] more = Entries(now.Last + 1, 1 + Random(4), term);
                Ask(storage, group, now with { Log = [.. now.Log, .. more] }, null, null, more);
                break;
        }

        if (Random(3) > 0)
            await CatchUpAsync();                   // else the next one goes with it
    }

    private async Task TakeSnapshotAsync(IRaftStorage storage, AskedGroup group)
    {
        await CatchUpAsync();
        GroupState now = group.Newest;
        byte[] content = Content(now.Last);
        SnapshotFile file = await storage.WriteSnapshotAsync(new Picture(content), CancellationToken.None);
        var taken = new SnapshotDescriptor(file.SnapshotId, new LogIndex(now.Last), TermAt(now), Configuration.Empty, new LogIndex(1), file.SizeBytes, file.Hash);
        long mark = Math.Max(now.First - 1, now.Last - Random(6));
        group.Asked(
            now with { First = mark + 1, Log = now.Log[(int)(mark + 1 - now.First)..], Snapshot = taken, Content = content },
            Started(storage.PersistAsync(new PersistRequest(null, null, []) { Snapshot = taken, DeleteThrough = new LogIndex(mark) })));
    }

    private async Task ReceiveSnapshotAsync(IRaftStorage storage, AskedGroup group, GroupState now)
    {
        long index = now.Last + 1 + Random(5);
        byte[] content = Content(index);
        var foreign = new SnapshotDescriptor("foreign", new LogIndex(index), TermAt(now), Configuration.Empty, new LogIndex(1), content.Length, XxHash128.HashToUInt128(content));
        await using (ISnapshotReceiver before = await storage.ReceiveSnapshotAsync(foreign, CancellationToken.None))
            await before.WriteAsync(content.AsMemory(0, content.Length / 2), CancellationToken.None);
        await using ISnapshotReceiver receiver = await storage.ReceiveSnapshotAsync(foreign, CancellationToken.None);
        await receiver.WriteAsync(content.AsMemory((int)receiver.NextOffset), CancellationToken.None);
        SnapshotDescriptor received = foreign with { SnapshotId = (await receiver.CompleteAsync(CancellationToken.None)).SnapshotId };
        group.Asked(
            now with { First = index + 1, Log = [], Snapshot = received, Content = content },
            Started(storage.PersistAsync(new PersistRequest(null, new LogIndex(now.First), []) { Snapshot = received, DeleteThrough = new LogIndex(index) })));
    }

    private void Ask(IRaftStorage storage, AskedGroup group, GroupState then, TermAndVote? vote, LogIndex? truncateFrom, Entry[] entries) =>
        group.Asked(then, Started(storage.PersistAsync(new PersistRequest(vote, truncateFrom, entries))));

    /// <summary>A batch longer than a record: what is there of it after a cut may end after any of its entries.</summary>
    private void AskInParts(IRaftStorage storage, AskedGroup group, GroupState now, Entry[] entries)
    {
        Task whole = Started(storage.PersistAsync(new PersistRequest(null, null, entries)));
        var never = new TaskCompletionSource();
        for (int count = 1; count < entries.Length; count++)
            group.Asked(now with { Log = [.. now.Log, .. entries[..count]] }, never.Task);
        group.Asked(now with { Log = [.. now.Log, .. entries] }, whole);
    }

    private Task Started(Task persist)
    {
        _underWay.Add(persist);
        return persist;
    }

    private async Task CatchUpAsync()
    {
        foreach (Task task in _underWay)
            await task;
        _underWay.Clear();
    }

    private static Term TermAt(GroupState state) => state.Log.Length > 0 ? state.Log[^1].Term : state.Snapshot?.Term ?? new Term(1);

    private TermAndVote VoteOf(long term) => new(new Term(term), Random(2) == 0 ? null : new ServerId(new NodeId("n" + Random(3)), new StorageId(7)));

    private Entry[] Entries(long from, int count, long term, int bytes = 0)
    {
        var entries = new Entry[count];
        for (int i = 0; i < count; i++)
        {
            byte[] payload = new byte[bytes > 0 ? bytes : Random(Random(4) == 0 ? 1500 : 60)];
            _world.Random.NextBytes(payload);
            entries[i] = new Entry(new LogIndex(from + i), new Term(term), EntryKind.Command, from, payload);
        }

        return entries;
    }

    /// <summary>Now and then more than one piece.</summary>
    private byte[] Content(long index)
    {
        byte[] content = new byte[Random(5) == 0 ? 70_000 + Random(20_000) : 500 + Random(3_000)];
        new Random((int)index).NextBytes(content);
        return content;
    }

    private sealed class Picture(byte[] content) : IStateSnapshot
    {
        public async Task WriteAsync(Stream target, CancellationToken cancellation) => await target.WriteAsync(content, cancellation);

        public void Dispose()
        {
        }
    }
}

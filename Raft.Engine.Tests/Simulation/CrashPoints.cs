using System.IO.Hashing;
using System.Text;
using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using static Raft.Simulator.SimulatedFiles;

namespace Raft.Engine.Tests.Simulation;

/// <summary>Cuts the power of a recorded workload before every call that changes something, with every outcome where they are few, and
/// opens what is left with the real code.</summary>
internal sealed class CrashPoints(int seed)
{
    /// <summary>So many outcomes of one cut are tried all; of more a sample.</summary>
    private const int AllUpTo = 64;
    private const int SampleOfOutcomes = 12;
    private const int TornOutcomes = 2;

    /// <summary>One of so many images is cut again while it is opened, used or closed.</summary>
    private const int SecondCutOneIn = 6;
    private const int ImagesOfAThread = 40;

    private readonly Random _random = new(seed);
    private readonly List<Cut> _cuts = [];
    private readonly HashSet<UInt128> _seen = [];
    private readonly List<(SimulatedFiles Image, Cut Cut, string Outcome)> _images = [];

    private sealed record Cut(int Number, string Call, Capture Disk, Expected Expected);

    public int Cuts { get; private set; }
    public int Images { get; private set; }
    public int SecondCuts { get; private set; }

    /// <summary>The calls before which this workload is cut, without the numbers in their names.</summary>
    public static IReadOnlyCollection<string> CallsOf(int seed)
    {
        var calls = new HashSet<string>(StringComparer.Ordinal);
        World.Run(seed, async world =>
        {
            var workload = new StorageWorkload(world, afterEach: () => Task.CompletedTask);
            workload.Changing = call => calls.Add(KindOf(call));
            await workload.RunAsync();
        });
        return calls;
    }

    public void Run()
    {
        World.Run(seed, async world =>
        {
            var workload = new StorageWorkload(world, afterEach: () =>
            {
                MakeImages();
                return Task.CompletedTask;
            });
            workload.Changing = call =>
            {
                _cuts.Add(new Cut(++Cuts, call, workload.Files.CaptureDisk(), workload.ExpectedNow()));
            };
            await workload.RunAsync();
            workload.Changing("the end");
            MakeImages();
        });
        CheckImages();
    }

    private void MakeImages()
    {
        foreach (Cut cut in _cuts)
        {
            foreach ((int names, Fate[] fates) in Outcomes(cut.Disk))
            {
                string outcome = $"{names} of {cut.Disk.Names} names, writes {string.Concat(fates.Select(fate => fate.ToString()[0]))}";
                SimulatedFiles image = cut.Disk.PowerOn(names, fates, _random);
                if (!_seen.Add(HashOf(image, cut.Expected)))
                    continue;                       // the same bytes and the same promises were tried
                _images.Add((image, cut, outcome));
                if (_images.Count >= ImagesOfAThread)
                    CheckImages();
            }
        }

        _cuts.Clear();
    }

    private IEnumerable<(int Names, Fate[] Fates)> Outcomes(Capture disk)
    {
        bool areFew = disk.Writes <= 6 && (disk.Names + 1) << disk.Writes <= AllUpTo;
        if (areFew)
        {
            for (int names = 0; names <= disk.Names; names++)
            {
                for (int subset = 0; subset < 1 << disk.Writes; subset++)
                    yield return (names, [.. Enumerable.Range(0, disk.Writes).Select(write => (subset >> write & 1) == 0 ? Fate.Lost : Fate.Whole)]);
            }
        }

        int torn = disk.Writes == 0 ? 0 : TornOutcomes;
        for (int sample = areFew ? SampleOfOutcomes - torn : 0; sample < SampleOfOutcomes; sample++)
            yield return (_random.Next(disk.Names + 1), [.. Enumerable.Range(0, disk.Writes).Select(_ => (Fate)Math.Min(2, _random.Next(4)))]);
    }

    /// <summary>On a thread of their own: with it goes what LiteDB leaves in thread-local variables.</summary>
    private void CheckImages()
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                foreach ((SimulatedFiles image, Cut cut, string outcome) in _images)
                    Check(image, cut, outcome);
            }
            catch (Exception error)
            {
                failure = error;
            }
        });
        thread.Start();
        thread.Join();
        Images += _images.Count;
        _images.Clear();
        if (failure is not null)
            throw new CrashPointException(failure.Message.Split('\n')[0], failure);
    }

    private void Check(SimulatedFiles image, Cut cut, string outcome)
    {
        string what = $"seed {seed}, cut {cut.Number} before {cut.Call} ({outcome})";
        (Capture Disk, Expected Expected, string Call)? second = null;
        int secondAt = _random.Next(SecondCutOneIn) == 0 ? _random.Next(1, 40) : 0;
        World.Run(_random.Next(), async world =>
        {
            Expected expected = cut.Expected;
            image.Changing = (operation, path) =>
            {
                if (--secondAt == 0)
                    second = (image.CaptureDisk(), expected, $"{operation} {Path.GetFileName(path)}");
            };
            expected = await CheckAsync(world, image, expected, what, isClosed: secondAt > 0);
        });

        if (second is not { } again)
            return;
        SecondCuts++;
        SimulatedFiles left = again.Disk.PowerOn(
            _random.Next(again.Disk.Names + 1), [.. Enumerable.Range(0, again.Disk.Writes).Select(_ => (Fate)Math.Min(2, _random.Next(4)))], _random);
        World.Run(_random.Next(), world => CheckAsync(world, left, again.Expected, $"{what}, and again before {again.Call}", isClosed: false));
    }

    /// <summary>Opens it, compares, and says what must be there from now on.</summary>
    internal static async Task<Expected> CheckAsync(World world, SimulatedFiles image, Expected expected, string what, bool isClosed)
    {
        var threads = new VirtualStorageThreads(world, image);
        NodeStore store;
        try
        {
            store = StorageWorkload.Open(threads);
        }
        catch (Exception error) when (error is CorruptStorageException or DataDirectoryException)
        {
            throw new CrashPointException($"{what}: a power cut alone is no damage, and no reason not to open, but: {error.Message}", error);
        }

        if (store.StartCount <= expected.StartCount || store.OpeningSequence <= expected.Sequence)
            throw new CrashPointException($"{what}: start {store.StartCount} at sequence {store.OpeningSequence}, after start {expected.StartCount} with sequence {expected.Sequence}");
        if (store.ClusterUid is { } uid ? uid != StorageWorkload.Uid : expected.IsFormed)
            throw new CrashPointException($"{what}: the cluster is {store.ClusterUid}");

        var found = new Dictionary<GroupId, GroupState[]>();
        foreach ((GroupId id, GroupState[] allowed) in expected.Groups)
            found[id] = [await CheckAsync(store.Group(id), allowed, $"{what}: group {id}")];
        string[] snapshots = [.. found.Values.Select(group => group[0].Snapshot?.SnapshotId + ".snap").Where(name => name != ".snap").Order(StringComparer.Ordinal)];
        string[] files = [.. image.Paths.Where(path => path.Contains("/snapshots/", StringComparison.Ordinal)).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        if (!snapshots.SequenceEqual(files))
            throw new CrashPointException($"{what}: the snapshot files are {string.Join(", ", files)}, in force are {string.Join(", ", snapshots)}");

        var now = new Expected(found, store.StartCount, store.DurableSequence, store.ClusterUid is not null);
        if (!isClosed)
            threads.Kill();                         // the disk is not looked at again
        await store.DisposeAsync();
        return now;
    }

    private static async Task<GroupState> CheckAsync(IRaftStorage storage, GroupState[] allowed, string what)
    {
        PersistedState state = await storage.LoadAsync(long.MaxValue, CancellationToken.None);
        GroupState found = Array.FindLast(allowed, one => one.IsSame(state)) ?? throw new CrashPointException(
            $"{what}: found {state.TermAndVote}, entries [{state.FirstIndex}, {state.LastIndex}], snapshot at {state.Snapshot?.Index.ToString() ?? "none"}; acknowledged is {allowed[0]}; newest {allowed[^1]}");

        var read = new List<Entry>();
        while (read.Count < found.Log.Length)
        {
            IReadOnlyList<Entry> some = await storage.ReadEntriesAsync(new LogIndex(found.First + read.Count), new LogIndex(found.Last), 8 << 10, CancellationToken.None);
            if (some.Count == 0)
                break;
            read.AddRange(some);
        }

        if (!GroupState.AreSame(found.Log, read))
            throw new CrashPointException($"{what}: what is read is not what was loaded");
        if (found.Snapshot is { } snapshot)
        {
            await using ISnapshotReader reader = await storage.OpenSnapshotAsync(snapshot, CancellationToken.None);
            byte[] content = new byte[reader.SizeBytes];
            await reader.ReadAsync(0, content, CancellationToken.None);
            if (!content.AsSpan().SequenceEqual(found.Content))
                throw new CrashPointException($"{what}: the snapshot's content is another");
        }

        return found;
    }

    /// <summary>"rename 1f..2c-07..aa.part" is "rename .part", "pwrite raft-1f..2c.db" is "pwrite .db".</summary>
    private static string KindOf(string call) => call.Contains('.', StringComparison.Ordinal) && !call.EndsWith(".json.tmp", StringComparison.Ordinal)
        ? $"{call.Split(' ')[0]} {Path.GetExtension(call)}" : call;

    private static UInt128 HashOf(SimulatedFiles image, Expected expected)
    {
        var hash = new XxHash128();
        foreach (string path in image.Paths)
        {
            hash.Append(Encoding.UTF8.GetBytes(path));
            if (image.IsFile(path))
                hash.Append(image.Content(path));
        }

        // A group's allowed states follow from how many were acknowledged and asked for.
        hash.Append(BitConverter.GetBytes(expected.StartCount));
        hash.Append(BitConverter.GetBytes(expected.Sequence));
        hash.Append(BitConverter.GetBytes(expected.IsFormed));
        foreach (GroupState[] allowed in expected.Groups.Values)
            hash.Append(Encoding.UTF8.GetBytes($"{allowed.Length} {allowed[0]}"));
        return hash.GetCurrentHashAsUInt128();
    }
}

/// <summary>A power cut has broken a promise, or the directory.</summary>
internal sealed class CrashPointException(string what, Exception? cause = null) : Exception(what, cause);

using Raft.Engine.Errors;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Host.Storage;
using static Raft.Simulator.SimulatedFiles;

namespace Raft.Engine.Tests.Simulation;

/// <summary>A disk that answers wrongly. From moments of a recorded workload on, each with one fault, the real code must find proof of damage, or
/// hold everything that was acknowledged, work on, and open again.</summary>
internal sealed class DiskFaults
{
    private const int PageBytes = 8192, BlockBytes = 4096, SectorBytes = 512;
    private const int ImagesOfAThread = 40;

    private readonly Random _random;
    private readonly int _seed;
    private readonly List<Moment> _moments = [];
    private readonly List<(SimulatedFiles Image, Expected Expected, string What)> _images = [];

    /// <summary>A kill (all that was written is there) or a power cut, before a call.</summary>
    private sealed record Moment(string Call, Capture Disk, Expected Expected, bool IsPowerCut)
    {
        public SimulatedFiles PowerOn(Random random) =>
            Disk.PowerOn(IsPowerCut ? 0 : Disk.Names, [.. Enumerable.Repeat(IsPowerCut ? Fate.Lost : Fate.Whole, Disk.Writes)], random);
    }

    /// <param name="seed">Of the workload.</param>
    /// <param name="everySoManyCalls">Between two moments, on average.</param>
    public DiskFaults(int seed, int everySoManyCalls)
    {
        _seed = seed;
        _random = new Random(seed);
        World.Run(seed, async world =>
        {
            var workload = new StorageWorkload(world, afterEach: () => Task.CompletedTask);
            workload.Files.RemembersOverwritten = true;
            workload.Changing = call =>
            {
                if (workload.ExpectedNow() is { StartCount: > 0 } expected && _random.Next(everySoManyCalls) == 0)
                    _moments.Add(new Moment(call, workload.Files.CaptureDisk(), expected, _random.Next(2) == 0));
            };
            await workload.RunAsync();
            workload.Changing = null;
            _moments.Add(new Moment("the end", workload.Files.CaptureDisk(), workload.ExpectedNow(), IsPowerCut: true));     // after a clean stop
        });
    }

    public int Damaged { get; private set; }
    public int Unharmed { get; private set; }

    /// <summary>One fault of each kind, at each moment.</summary>
    public void TryRandom(int ofEach)
    {
        foreach (Moment moment in _moments)
        {
            foreach (DiskFault fault in Enum.GetValues<DiskFault>())
            {
                for (int i = 0; i < ofEach; i++)
                {
                    SimulatedFiles image = moment.PowerOn(_random);
                    if (image.InjectFault(fault, _random) is { } place)
                        Add(image, moment, place);
                }
            }
        }

        CheckImages();
    }

    /// <summary>At this moment each sector and each page: lost, each of its older contents, with a changed bit, and unreadable.</summary>
    /// <param name="moment">Counted from the end; the last is a clean stop.</param>
    /// <param name="oneIn">Of the sectors that are neither in a header nor in the log; of blocks and pages more.</param>
    public void TryAll(int moment, int oneIn)
    {
        Moment at = _moments[^(1 + moment)];
        SimulatedFiles whole = at.PowerOn(_random);
        foreach (string path in whole.Paths.Where(whole.IsFile))
        {
            bool isLog = Path.GetFileName(path).StartsWith("wal-", StringComparison.Ordinal);
            int length = whole.Content(path).Length;
            foreach (int unit in new[] { SectorBytes, BlockBytes, PageBytes })
            {
                for (int offset = 0; offset < length; offset += unit)
                {
                    bool isOneOfMany = unit == SectorBytes ? !isLog && offset % (64 << 10) >= BlockBytes : !isLog;
                    if (isOneOfMany && _random.Next(Math.Max(1, oneIn * SectorBytes / (unit * 4))) > 0)
                        continue;
                    int bytes = Math.Min(unit, length - offset);
                    IEnumerable<byte[]> older = whole.OldContents(path, offset, bytes).Reverse().DistinctBy(Convert.ToBase64String);
                    foreach (byte[] content in (oneIn == 1 ? older : older.Take(2)).Prepend(new byte[bytes]))
                        TryReplaced(at, path, offset, content);
                    if (unit == SectorBytes)
                        TryChanged(at, path, offset + _random.Next(bytes));
                    if (unit == BlockBytes)
                        TryUnreadable(at, path, offset);
                }
            }
        }

        CheckImages();
    }

    private void TryReplaced(Moment moment, string path, int offset, byte[] content)
    {
        SimulatedFiles image = moment.PowerOn(_random);
        if (image.TryReplace(path, offset, content))
            Add(image, moment, $"{path} at {offset}, {content.Length} bytes {(content.AsSpan().ContainsAnyExcept((byte)0) ? "stale" : "zeroed")}");
    }

    /// <summary>In the last record too: no power cut changes a bit.</summary>
    private void TryChanged(Moment moment, string path, int offset)
    {
        SimulatedFiles image = moment.PowerOn(_random);
        image.Flip(path, offset, (byte)(1 << _random.Next(8)));
        Add(image, moment, $"{path}: a bit has changed at {offset}");
    }

    private void TryUnreadable(Moment moment, string path, int offset)
    {
        SimulatedFiles image = moment.PowerOn(_random);
        image.MakeUnreadable(path, offset, BlockBytes);
        Add(image, moment, $"{path} at {offset} cannot be read");
    }

    private void Add(SimulatedFiles image, Moment moment, string fault)
    {
        _images.Add((image, moment.Expected, $"seed {_seed}, {(moment.IsPowerCut ? "power cut" : "killed")} before {moment.Call}: {fault}"));
        if (_images.Count >= ImagesOfAThread)
            CheckImages();
    }

    /// <summary>On a thread of their own, as in <see cref="CrashPoints"/>.</summary>
    private void CheckImages()
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                foreach ((SimulatedFiles image, Expected expected, string what) in _images)
                    World.Run(_random.Next(), world => CheckAsync(world, image, expected, what));
            }
            catch (Exception error)
            {
                failure = error;
            }
        });
        thread.Start();
        thread.Join();
        _images.Clear();
        if (failure is not null)
            throw new CrashPointException(failure.Message.Split('\n')[0], failure);
    }

    private async Task CheckAsync(World world, SimulatedFiles image, Expected expected, string what)
    {
        NodeStore store;
        var threads = new VirtualStorageThreads(world, image);
        Dictionary<string, byte[]> data = DataOf(image);
        try
        {
            store = StorageWorkload.Open(threads);
        }
        catch (CorruptStorageException damage)
        {
            Damaged++;
            if ((damage.File.Contains("/copy", StringComparison.Ordinal) || damage.File.EndsWith(".db", StringComparison.Ordinal)) && DataOf(image).Any(file => !file.Value.AsSpan().SequenceEqual(data[file.Key])))
                throw new CrashPointException($"{what}: the data file was written before it was known to be damaged");
            return;
        }
        catch (Exception error)
        {
            throw new CrashPointException($"{what}: neither proof of damage nor a start: {error.GetType().Name}: {error.Message}", error);
        }

        Unharmed++;
        threads.Kill();
        image.Restart();
        await store.DisposeAsync();
        try
        {
            // All is there; it works on, through some checkpoints and reads; and it opens again.
            expected = await CrashPoints.CheckAsync(world, image, expected, what, isClosed: true);
            expected = await WorkAsync(world, image, expected);
            await CrashPoints.CheckAsync(world, image, expected, what, isClosed: true);
        }
        catch (CrashPointException error) when (error.InnerException is not CorruptStorageException)
        {
            throw;
        }
        catch (Exception error)
        {
            throw new CrashPointException($"{what}: opened, and failed later: {error.GetType().Name}: {error.Message}", error);
        }
    }

    /// <summary>The data files. One that a rewrite left half built beside the one in force is deleted first of all, and is nobody's data.</summary>
    private static Dictionary<string, byte[]> DataOf(SimulatedFiles image) =>
        image.Paths.Where(path => path.EndsWith(".db", StringComparison.Ordinal)).ToDictionary(path => path, path => image.Content(path).ToArray());

    private static async Task<Expected> WorkAsync(World world, SimulatedFiles image, Expected expected)
    {
        var threads = new VirtualStorageThreads(world, image);
        await using NodeStore store = StorageWorkload.Open(threads);
        var groups = new Dictionary<GroupId, GroupState[]>();
        foreach ((GroupId id, GroupState[] allowed) in expected.Groups)
        {
            GroupState state = allowed[0];
            Term term = state.Log.Length > 0 ? state.Log[^1].Term : state.Snapshot?.Term ?? new Term(1);
            for (int i = 0; i < 4; i++)
            {
                var entry = new Entry(new LogIndex(state.Last + 1), term, EntryKind.Command, 1, new byte[900]);
                await store.Group(id).PersistAsync(new PersistRequest(null, null, [entry]));
                state = state with { Log = [.. state.Log, entry] };
                await world.PassAsync(TimeSpan.FromMilliseconds(15));       // a checkpoint, when idle for ten
            }

            groups[id] = [state];
        }

        return expected with { Groups = groups, StartCount = store.StartCount, Sequence = store.DurableSequence };
    }
}

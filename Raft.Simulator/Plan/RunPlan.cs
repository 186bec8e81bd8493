using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Simulator;

/// <summary>What a run will be, as its seed has it: how many nodes, with which limits, which operations and faults, and when.</summary>
/// <remarks>Every run draws which faults there are and how often: a fault that is rare among all others is common where it is alone.</remarks>
internal sealed class RunPlan
{
    private RunPlan(RunSettings settings)
    {
        IsAllForbidden = settings.IsAllForbidden;
        IsStorageReal = settings.IsStorageReal ?? settings.Seed % 10 == 0;
        HasPermanentFault = settings.Permanent is not null ? settings.Permanent != PermanentFaults.None : settings.Seed % 3 == 0;
        Permanent = settings.Permanent;
        var random = new Random(settings.Seed);
        int drawn = random.Next(100) switch { < 3 => 1, < 8 => 2, < 65 => 3, < 72 => 4, _ => 5 };
        Voters = settings.Voters ?? drawn;
        Nodes = Voters + random.Next(3);
        Groups = random.Next(5) == 0 ? random.Next(2, 4) : 1;
        Shards = Groups > 1 ? 2 : 1;
        Clients = random.Next(2, 6);
        Keys = random.Next(1, 5);
        ProtocolSettings = DrawProtocol(random);
        ServerSettings = DrawServer(random, ProtocolSettings, HasPermanentFault);
        MaxTotalBytes = random.Next(3) == 0 ? 2 * ServerSettings.MaxUncommittedBytes : 256 << 20;
        Events = Draw(settings, random, IsStorageReal);
        HasLyingDisks = Events.Any(planned => planned.Kind == LyingDiskFault.FaultName);
        HasOldDisks = Events.Any(planned => planned.Kind == OldDiskFault.FaultName);
    }

    /// <inheritdoc cref="RunSettings.IsAllForbidden"/>
    public bool IsAllForbidden { get; }

    /// <summary>The disks are the real store's, on simulated files.</summary>
    public bool IsStorageReal { get; }

    /// <summary>After the faults one stays, and the rest must be live.</summary>
    public bool HasPermanentFault { get; }

    /// <inheritdoc cref="RunSettings.Permanent"/>
    public string? Permanent { get; }

    /// <summary>Disks may return something else than was written, so they remember what they have overwritten.</summary>
    public bool HasLyingDisks { get; }

    /// <summary>Somebody may put old disks back, so the handshakes of connections are played too.</summary>
    public bool HasOldDisks { get; }

    /// <summary>Of all nodes together; those beyond the voters begin empty and outside.</summary>
    public int Nodes { get; }

    public int Voters { get; }
    public int Groups { get; }

    /// <summary>Of each process.</summary>
    public int Shards { get; }

    public int Clients { get; }

    /// <summary>How many different keys clients use: few, so that they meet.</summary>
    public int Keys { get; }

    public ProtocolSettings ProtocolSettings { get; }
    public RaftServerSettings ServerSettings { get; }
    public long MaxTotalBytes { get; }

    /// <summary>No command of a client is larger.</summary>
    public const int MaxClientCommandBytes = 1_200;

    /// <summary>No entry is larger, overhead included.</summary>
    public const int MaxEntryBytes = 4 << 10;

    public IReadOnlyList<PlannedEvent> Events { get; }

    public TimeSpan End => Events.Count == 0 ? TimeSpan.FromSeconds(1) : Events[^1].At;

    public static RunPlan Draw(RunSettings settings) => new(settings);

    private static ProtocolSettings DrawProtocol(Random random)
    {
        var settings = new ProtocolSettings { Self = default, StartCount = 0 };
        return random.Next(3) switch
        {
            0 => settings with { SnapshotTrailingEntries = random.Next(2) == 0 ? 2 : 10_000 },
            1 => settings with { MaxInFlightAppends = 2, MaxAppendBytes = 300, MaxInFlightBytes = 600, MaxCacheBytes = 500, SnapshotTrailingEntries = 3 },
            _ => settings with { MaxInFlightAppends = 8, MaxAppendBytes = 2 << 10, MaxCacheBytes = 8 << 10, SnapshotTrailingEntries = 20, SnapshotTrailingBytes = 2 << 10 },
        };
    }

    private static RaftServerSettings DrawServer(Random random, ProtocolSettings protocol, bool hasPermanentFault)
    {
        var settings = new RaftServerSettings
        {
            Protocol = protocol,
            RandomSeed = 0,
            MaxCommandBytes = 3 << 10,
            ForwardTimeout = TimeSpan.FromSeconds(1),
            SnapshotFloorBytes = random.Next(3) switch { 0 => 1 << 10, 1 => 5 << 10, _ => 40 << 10 },
            SnapshotChunkBytes = random.Next(2) == 0 ? 300 : 4 << 10,
            MaxUncommittedBytes = random.Next(3) switch { 0 => 5 << 10, 1 => 64 << 10, _ => 16 << 20 },
            MaxApplyEntries = random.Next(2) == 0 ? 1 : 64,
            // While every disk is slow: were it shorter than a write, leaders would hand over in a circle.
            DiskStall = hasPermanentFault ? TimeSpan.FromSeconds(2) : TimeSpan.FromMilliseconds(500),
            ClockConfirmation = TimeSpan.FromSeconds(2),
        };
        settings = settings with { SnapshotSendBytesPerSecond = random.Next(3) == 0 ? 8 << 10 : 0 };

        // Not drawn but derived, so that the rest of every run's plan stays as it was.
        return settings with
        {
            MaxWaitingBytes = settings.MaxUncommittedBytes switch { 5 << 10 => 800, 64 << 10 => 8 << 10, _ => 16 << 20 },
            MaxPendingCalls = settings.SnapshotChunkBytes == 300 && settings.MaxApplyEntries == 1 ? 2 : 131_072,
            MaxQueuedBatches = settings.MaxApplyEntries == 1 ? 16 : 1_024,
        };
    }

    private static List<PlannedEvent> Draw(RunSettings settings, Random random, bool isStorageReal)
    {
        // The pace, and the share of faults among the events.
        double spanMs = settings.Operations * (15 + (25 * random.NextDouble()));
        double faultShare = 0.03 + (0.15 * random.NextDouble());
        List<(string Name, int UpTo)> wheel = [];
        int total = 0;
        foreach (IFault fault in Faults.All)
        {
            int weight = random.Next(4) == 0 ? 0 : fault.Weight * random.Next(1, 4);
            if (weight > 0 && (isStorageReal || !fault.NeedsRealStorage))
                wheel.Add((fault.Name, total += weight));
        }

        double[] times = new double[settings.Operations];
        for (int i = 0; i < times.Length; i++)
            times[i] = random.NextDouble() * spanMs;
        Array.Sort(times);

        List<PlannedEvent> events = [];
        for (int number = 0; number < times.Length; number++)
        {
            bool isFault = random.NextDouble() < faultShare;
            int turn = random.Next(Math.Max(1, total));
            int seed = random.Next();
            string kind = isFault && total > 0 ? wheel.Find(one => turn < one.UpTo).Name : PlannedEvent.Client;
            if (!settings.Without.Contains(kind) && !settings.Dropped.Contains(number))
                events.Add(new PlannedEvent(number, TimeSpan.FromMilliseconds(1000 + times[number]), kind, seed));
        }

        return events;
    }
}

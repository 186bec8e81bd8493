using System.Text;
using Microsoft.Extensions.Logging;
using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Engine.Tests.Scenarios;

/// <summary>A few servers of one group in a world of their own.</summary>
internal sealed class Cluster
{
    public static readonly GroupId Group = new("g");

    private Cluster(World world, int voters, int learners, Func<RaftServerSettings, RaftServerSettings> settings)
    {
        World = world;
        Network = new SimulatedNetwork(world);
        List<Engine.Protocol.Member> members = [];
        for (int i = 1; i <= voters + learners; i++)
        {
            members.Add(new Engine.Protocol.Member(
                new NodeId($"n{i}"), new StorageId((UInt128)i), i <= voters ? MemberKind.Voter : MemberKind.Learner, $"http://n{i}:1", $"http://n{i}:2"));
        }

        Configuration = Configuration.Of(members);
        Members = [.. members.Select(member => new Member(this, member.Id, settings))];
    }

    public World World { get; }
    public SimulatedNetwork Network { get; }
    public Configuration Configuration { get; }
    public IReadOnlyList<Member> Members { get; }

    /// <summary>Forms a cluster, starts all members, and plays the scenario.</summary>
    public static void Run(
        int voters, int seed, Func<Cluster, Task> scenario, int learners = 0,
        Func<RaftServerSettings, RaftServerSettings>? settings = null, bool isStarted = true) =>
        World.Run(seed, async world =>
        {
            var cluster = new Cluster(world, voters, learners, settings ?? (one => one));
            foreach (Member member in cluster.Members)
            {
                member.Disk.Store(new PersistRequest(
                    new TermAndVote(new Term(1), null), null,
                    [new Entry(new LogIndex(1), new Term(1), EntryKind.Configuration, 0, cluster.Configuration.Encode())]));
                if (!isStarted)
                    continue;
                await world.PassAsync(TimeSpan.FromMilliseconds(50 * world.Random.NextDouble()));    // ticks out of step
                await member.StartAsync();
            }

            await scenario(cluster);
        });

    /// <summary>Waits for a leader of the highest term, which a majority follows.</summary>
    public async Task<Member> LeaderAsync(Member? otherThan = null)
    {
        Member? leader = null;
        await World.UntilAsync(
            () =>
            {
                leader = Members.Where(member => member.IsUp && member.Server.Role == Role.Leader && member != otherThan)
                    .MaxBy(member => member.Server.CurrentTerm.Value);
                return leader is not null
                    && Members.Count(member => member.IsUp && member.Server.CurrentLeader == leader.Id) > Configuration.Current.Count(m => m.Kind == MemberKind.Voter) / 2;
            },
            otherThan is null ? "a leader" : $"a leader other than {otherThan.Id.Node}");
        return leader!;
    }

    public async Task<(Member Leader, Member[] Followers)> RolesAsync()
    {
        Member leader = await LeaderAsync();
        Member[] followers = [.. Members.Where(member => member != leader)];
        await EventuallyAsync(member => member.Server.CurrentLeader == leader.Id);
        return (leader, followers);
    }

    /// <summary>Waits until this holds for every member that is up.</summary>
    public Task EventuallyAsync(Func<Member, bool> holds) =>
        World.UntilAsync(() => Members.Where(member => member.IsUp).All(holds), "something of every member");

    /// <summary>Waits until every member that is up has applied exactly these.</summary>
    public async Task ConvergesToAsync(params string[] commands)
    {
        await EventuallyAsync(member => member.Applied.SequenceEqual(commands));
    }

    public Task PassAsync(double seconds) => World.PassAsync(TimeSpan.FromSeconds(seconds));
}

/// <summary>One member: its disk lives on when its process does not.</summary>
internal sealed class Member
{
    private readonly Cluster _cluster;
    private readonly Func<RaftServerSettings, RaftServerSettings> _settings;
    private long _start;

    public Member(Cluster cluster, ServerId id, Func<RaftServerSettings, RaftServerSettings> settings)
    {
        _cluster = cluster;
        _settings = settings;
        Id = id;
        World world = cluster.World;
        Disk = new SimulatedDisk(world.Schedule) { SyncTime = () => TimeSpan.FromMilliseconds(0.2 + world.Random.NextDouble()) };
    }

    public ServerId Id { get; }
    public SimulatedDisk Disk { get; }
    public RecordingMachine Machine { get; private set; } = new();
    public RaftServer Server { get; private set; } = null!;      // set by StartAsync
    public VirtualShard Shard { get; private set; } = null!;
    public SimulatedNetwork.Endpoint Endpoint { get; private set; } = null!;
    public bool IsUp { get; private set; }
    public IReadOnlyList<string> Applied => Machine.Applied;
    public bool IsLeader => Server.Role == Role.Leader;
    public MemoryBudget? Budget { get; set; }

    /// <summary>Which commands its server accepts.</summary>
    public Gate Gate { get; } = new();

    /// <summary>What its storage is from its next start on.</summary>
    public Func<IRaftStorage, IRaftStorage> Wrap { get; set; } = storage => storage;

    /// <summary>By how much its wall clock is ahead, from its next start on.</summary>
    public TimeSpan WallOffset { get; set; }

    public async Task StartAsync()
    {
        _start++;
        Machine = new RecordingMachine();
        Shard = _cluster.World.NewShard();
        Endpoint = _cluster.Network.Connect(Id, _start);
        Shard.Clock.WallOffset = WallOffset;
        Endpoint.Clock = Shard.Clock;
        var settings = _settings(new RaftServerSettings
        {
            RandomSeed = _cluster.World.Random.Next(),
            Protocol = new ProtocolSettings { Self = Id, StartCount = _start },
        });
        Server = new RaftServer(
            new RaftServerParts(Cluster.Group, Shard, Endpoint, Wrap(Disk.Open()), Machine, Endpoint, new TraceLogger(_cluster.World, Id)) { Budget = Budget, Gate = Gate },
            settings with { Protocol = settings.Protocol with { Self = Id, StartCount = _start } });
        await Server.StartAsync(CancellationToken.None);
        IsUp = true;
    }

    /// <summary>As SIGKILL and a power cut: what was not synced is lost.</summary>
    public void Crash()
    {
        _cluster.World.Trace($"{Id.Node} crashes");
        IsUp = false;
        Disk.Crash();
        Shard.Kill();
        _cluster.Network.Disconnect(Id);
    }

    /// <summary>As SIGSTOP: the node's threads stand still, its connections stay open.</summary>
    public void Pause()
    {
        Shard.IsPaused = true;
        Endpoint.IsPaused = true;
    }

    public void Resume()
    {
        Shard.IsPaused = false;
        Endpoint.IsPaused = false;
    }

    public Task<AddedEntry> AddAsync(string command, WaitFor wait = WaitFor.Applied, CancellationToken cancellation = default) =>
        Server.AddEntryAsync(Encoding.UTF8.GetBytes(command), wait, cancellation);

    public Task<LogIndex> ReadAsync(CancellationToken cancellation = default) => Server.ReadBarrierAsync(cancellation);

    public override string ToString() => Id.Node.Value;
}

/// <summary>The servers' log becomes part of the trace that a failed scenario prints.</summary>
internal sealed class TraceLogger(World world, ServerId server) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        world.Trace($"{server.Node} {formatter(state, exception)}{(exception is null ? "" : " " + exception)}");
}

/// <summary>Refuses commands while it is closed; for the tests' memory budget.</summary>
internal sealed class Gate : ICommandGate
{
    private volatile string? _closed;

    /// <summary>Why commands are refused; null: they are not.</summary>
    public string? Closed
    {
        get => _closed;
        set => _closed = value;
    }

    /// <summary>Decides only when everything of earlier leaders is applied.</summary>
    public bool NeedsAll { get; set; }

    public bool CanDecide(long unappliedEntries) => !NeedsAll || unappliedEntries == 0;

    public CommandRefusal? Check(ReadOnlyMemory<byte> command) =>
        _closed is { } reason ? new CommandRefusal(CallRefusal.OutOfMemoryBudget, reason) : null;
}

using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.StateMachine;

namespace Raft.Simulator;

/// <summary>One group on one node, for one life of its process.</summary>
internal sealed class SimulatedServer
{
    private const long CorrectFromMs = 10_000;

    private ServerStatus? _seen;
    private Task _correcting = Task.CompletedTask;

    public SimulatedServer(SimulatedNode node, SimulatedGroup group, VirtualShard shard, long start, MemoryBudget budget)
    {
        Node = node;
        Group = group;
        Shard = shard;
        Id = node.Server;
        Start = start;
        Store = new Store { RunAside = node.Storage.RunAsideAsync };
        Machine = new GroupStateMachine(group.Id, Store, NullLogger<GroupStateMachine>.Instance);
        Endpoint = group.Network.Connect(Id, start);
        Endpoint.Clock = node.Clock;
        World world = node.Cluster.World;
        Server = new RaftServer(
            new RaftServerParts(
                group.Id, shard, Endpoint,
                new ObservedStorage(node.Storage.Group(group.Id), this, group),
                new ObservedMachine(Machine, Store, this, group),
                Endpoint,
                world.Tracing == Tracing.None ? NullLogger.Instance : new WorldLogger(world, $"{Id.Node} {group.Id}"))
            {
                Budget = budget,
            },
            node.Cluster.Plan.ServerSettings with
            {
                RandomSeed = world.Random.Next(),
                Protocol = node.Cluster.Plan.ProtocolSettings with { Self = Id, StartCount = start },
            });
    }

    public SimulatedNode Node { get; }
    public SimulatedGroup Group { get; }
    public VirtualShard Shard { get; }
    public ServerId Id { get; }
    public long Start { get; }
    public Store Store { get; }
    public GroupStateMachine Machine { get; }
    public SimulatedNetwork.Endpoint Endpoint { get; }
    public RaftServer Server { get; }
    public ServerStatus Status => Server.Status;

    /// <summary>Between two turns: what has changed is shown to the invariants.</summary>
    /// <param name="isLastWord">Also when it has stopped by itself.</param>
    public void Look(bool isLastWord = false)
    {
        KeepTime();
        ServerStatus now = Server.Status;
        if (ReferenceEquals(now, _seen) || !(Server.IsAlive || isLastWord))
            return;

        ServerStatus? before = _seen;
        _seen = now;
        Shard.Look(() => Group.OnStatus(this, before, now));
    }

    /// <summary>As the host does: what the log says of its time is told to the server, and a log that is ahead is corrected.</summary>
    private void KeepTime()
    {
        Server.ClockOffsetMs = Machine.TimeOffsetMs;
        long wanted = Server.WantedClockOffsetMs;
        if (wanted - Machine.TimeOffsetMs >= CorrectFromMs && _correcting.IsCompleted && Server.IsAlive && Server.AreClocksKnown)
            _correcting = CorrectTimeAsync(wanted);
    }

    private async Task CorrectTimeAsync(long offsetMs)
    {
        try
        {
            await Server.AddSystemEntryAsync(SystemCommands.Encode(new TimeCorrection(offsetMs)), WaitFor.Applied, CancellationToken.None);
        }
        catch (RaftException)
        {
            // It is tried again while it is due.
        }
    }

    public Term? TermAt(LogIndex index) => Server.Protocol.TermAt(index);

    public override string ToString() => $"{Id}({Start})";
}

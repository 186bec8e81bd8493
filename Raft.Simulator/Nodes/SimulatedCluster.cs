using Raft.Engine.Protocol;
using Raft.Host.StateMachine;

namespace Raft.Simulator;

/// <summary>All nodes and groups of a run.</summary>
internal sealed class SimulatedCluster
{
    private UInt128 _lastStorage;

    public SimulatedCluster(World world, RunPlan plan)
    {
        World = world;
        Plan = plan;
        Links = new Links(plan.Nodes);
        Nodes = [.. Enumerable.Range(1, plan.Nodes).Select(number => new SimulatedNode(this, number))];
        var first = Configuration.Of(Nodes.Take(plan.Voters).Select(node => node.AsMember(MemberKind.Voter)));
        Groups.Add(new SimulatedGroup(this, new GroupId("g1"), first));
    }

    public World World { get; }
    public RunPlan Plan { get; }
    public Links Links { get; }
    public IReadOnlyList<SimulatedNode> Nodes { get; }
    public List<SimulatedGroup> Groups { get; } = [];
    public SimulatedGroup First => Groups[0];

    /// <summary>Somebody asked for a change of members: until then it may still come into some log.</summary>
    public TimeSpan ChangeMayHappenUntil { get; set; }

    /// <summary>Until then nothing else may go wrong.</summary>
    public TimeSpan DelicateUntil { get; set; }

    /// <summary>Nodes of which nothing can be expected while a permanent fault lasts, and which no operator takes in again.</summary>
    public HashSet<SimulatedNode> Lost { get; } = [];

    /// <summary>When the last disk was taken away, or found damaged.</summary>
    public TimeSpan DiskLostAt { get; set; } = TimeSpan.FromHours(-1);

    /// <summary>The servers of a group whose processes run.</summary>
    public IEnumerable<SimulatedServer> ServersOf(SimulatedGroup group)
    {
        foreach (SimulatedNode node in Nodes)
        {
            if (node.Find(group) is { } server)
                yield return server;
        }
    }

    public SimulatedNode NodeOf(ServerId server) => Nodes[Links.NumberOf(server) - 1];

    /// <summary>Who leads in the highest term; null: nobody does at the moment.</summary>
    public SimulatedServer? LeaderOf(SimulatedGroup group)
    {
        SimulatedServer? leader = null;
        foreach (SimulatedServer server in ServersOf(group))
        {
            if (server.Status.Role == Role.Leader && !(leader?.Status.Term >= server.Status.Term))
                leader = server;
        }

        return leader;
    }

    public async Task FormAsync()
    {
        foreach (SimulatedNode node in Nodes.Take(Plan.Voters))
            await node.Storage.CreateGroupAsync(First.Id, First.First);
        foreach (SimulatedNode node in Nodes)
        {
            await World.PassAsync(TimeSpan.FromMilliseconds(50 * World.Random.NextDouble()));     // ticks out of step
            node.Start();
        }
    }

    public ISimulatedStorage NewStorage(NodeId node) =>
        Plan.IsStorageReal ? new RealStorage(World, node, Plan.HasLyingDisks) : new ModelStorage(World, new StorageId(++_lastStorage << 96));

    public void LinksChanged()
    {
        foreach (SimulatedGroup group in Groups)
            group.ApplyLinks();
    }

    /// <summary>What the wall clock of a server's node says; null: the server is not on its node any more.</summary>
    public long? ClockOf(ServerId server) =>
        NodeOf(server) is var node && node.Server == server ? node.Clock.GetUtcNow().ToUnixTimeMilliseconds() : null;

    public void ClocksChange()
    {
        foreach (SimulatedGroup group in Groups)
            group.ClocksChange();
    }

    /// <summary>The group that a command of the first group's log created.</summary>
    public SimulatedGroup GroupOf(CreatedGroup created)
    {
        if (Groups.Find(group => group.Id == created.Id) is { } known)
            return known;

        var group = new SimulatedGroup(this, created.Id, created.First);
        Groups.Add(group);
        return group;
    }

    /// <summary>Whether every configuration that is, or may come to be, in force keeps a majority of intact disks without this node's.</summary>
    public bool CanLose(SimulatedNode lost)
    {
        // Who takes away a disk and a member at the same time may lose the quorum by it.
        if (World.Time.Now < ChangeMayHappenUntil)
            return false;

        // A node that only a later group names would never learn of that group again.
        if (Groups.Count > 1 && LeaderOf(First)?.Status.Configuration.Contains(lost.Server) != true)
            return false;

        HashSet<StorageId> intact = [.. Nodes.Where(node => node != lost && !node.IsQuarantined && !node.Storage.IsDamaged).Select(node => node.Storage.Id)];
        return Groups.TrueForAll(group => group.Ledger.LiveConfigurations.All(configuration =>
            HasMajority(configuration.Current) && (!configuration.IsJoint || HasMajority(configuration.Previous))));

        // With and without those that are joining: one of them may be a voter before its disk is judged.
        bool HasMajority(IReadOnlyList<Member> members) =>
            IsMajority([.. members.Where(member => member.Kind == MemberKind.Voter)]) && IsMajority([.. members.Where(member => member.Kind != MemberKind.Learner)]);

        bool IsMajority(Member[] voters) => voters.Count(member => intact.Contains(member.Storage)) > voters.Length / 2;
    }
}

using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Several nodes and a network that does what the test says. No time but ticks, no chance but the seed.</summary>
internal sealed class ProtocolCluster
{
    private readonly HashSet<(ServerId From, ServerId To)> _cut = [];
    private readonly List<Message> _network = [];

    public ProtocolCluster(int voters, int learners = 0, int seed = 7, Func<ProtocolSettings, ProtocolSettings>? adjust = null)
        : this(ConfigurationOf(voters, learners), seed, adjust)
    {
    }

    public ProtocolCluster(Configuration configuration, int seed = 7, Func<ProtocolSettings, ProtocolSettings>? adjust = null)
    {
        foreach (Member member in configuration.All)
        {
            var disk = new TestDisk();
            disk.Write(new PersistRequest(new TermAndVote(new Term(1), null), null, [FirstEntry(configuration)]));
            Nodes.Add(new ProtocolNode(member.Id, disk, new View(this, member.Id), seed + (Nodes.Count * 1000), adjust));
        }
    }

    /// <summary>A server that is in no cluster yet: its disk is empty.</summary>
    public ProtocolNode AddEmpty(int number, int seed = 7, Func<ProtocolSettings, ProtocolSettings>? adjust = null) =>
        AddEmpty(IdOf(number), seed, adjust);

    public ProtocolNode AddEmpty(ServerId id, int seed = 7, Func<ProtocolSettings, ProtocolSettings>? adjust = null)
    {
        var node = new ProtocolNode(id, new TestDisk(), new View(this, id), seed + ((Nodes.Count + 1) * 1000), adjust);
        Nodes.Add(node);
        return node;
    }

    public List<ProtocolNode> Nodes { get; } = [];

    /// <summary>Sees every snapshot that is about to be delivered; false loses it.</summary>
    public Func<ServerId, SnapshotToSend, bool> SnapshotFilter { get; set; } = (_, _) => true;

    /// <summary>Sees every message that is about to be delivered; false drops it.</summary>
    public Func<Message, bool> Filter { get; set; } = _ => true;

    /// <summary>What must always hold, checked after each tick; null: not checked.</summary>
    public SafetyChecks? Checks { get; private set; }

    public ProtocolNode this[int number] => Nodes[number - 1];

    public ProtocolNode? LeaderOrNull => Nodes
        .Where(node => node.IsUp && node.Protocol.Role == Role.Leader)
        .MaxBy(node => node.Protocol.CurrentTerm);

    public ProtocolNode Leader => LeaderOrNull ?? throw new InvalidOperationException("No node leads.");

    public static ServerId IdOf(int number) => new(new NodeId($"n{number}"), new StorageId((UInt128)number));

    public static Member MemberOf(int number, MemberKind kind = MemberKind.Voter) =>
        new(IdOf(number).Node, IdOf(number).Storage, kind, $"http://n{number}:1", $"http://n{number}:2");

    public static Configuration ConfigurationOf(int voters, int learners = 0) => Configuration.Of(
        Enumerable.Range(1, voters + learners).Select(n => MemberOf(n, n <= voters ? MemberKind.Voter : MemberKind.Learner)));

    public static Entry FirstEntry(Configuration configuration) =>
        new(new LogIndex(1), new Term(1), EntryKind.Configuration, timeMs: 0, configuration.Encode());

    public void Cut(ServerId from, ServerId to) => _cut.Add((from, to));

    public void Isolate(ProtocolNode node)
    {
        foreach (ProtocolNode other in Nodes)
        {
            Cut(node.Id, other.Id);
            Cut(other.Id, node.Id);
        }
    }

    public void Heal() => _cut.Clear();

    public bool IsConnected(ServerId from, ServerId to) => !_cut.Contains((from, to));

    public ProtocolNode? Find(ServerId id) => Nodes.Find(node => node.Id == id);

    /// <summary>Delivers, polls and writes until nothing moves any more.</summary>
    public void Settle()
    {
        for (int round = 0; round < 10_000; round++)
        {
            foreach (ProtocolNode node in Nodes.Where(node => node.IsUp))
            {
                node.Settle();
                _network.AddRange(node.TakeSent());
            }

            bool hasSentSnapshots = DeliverSnapshots();
            if (_network.Count == 0 && !hasSentSnapshots)
                return;
            Message[] messages = [.. _network];
            _network.Clear();
            foreach (Message message in messages)
            {
                // To whoever answers under that node's name: on another disk it must know itself that it is not meant. Rule 12
                if (IsConnected(message.From, message.To) && Filter(message))
                    Nodes.Find(node => node.IsUp && node.Id.Node == message.To.Node)?.Step(message);
            }
        }

        throw new InvalidOperationException("The cluster does not come to rest.");
    }

    /// <summary>Transfers from end to end: the content, and the answer once it is loaded. False when there was nothing to do.</summary>
    private bool DeliverSnapshots()
    {
        bool hasDone = false;
        foreach (ProtocolNode node in Nodes.Where(node => node.IsUp).ToList())
        {
            foreach (SnapshotToSend transfer in node.SnapshotsToSend.ToList())
            {
                hasDone = true;
                node.SnapshotsToSend.Remove(transfer);
                bool arrives = IsConnected(node.Id, transfer.Peer) && SnapshotFilter(node.Id, transfer)
                    && Find(transfer.Peer) is { IsUp: true } receiver
                    && receiver.Receive(node.Id, node.StartCount, transfer.Term, transfer.Snapshot, node.Disk.Files[transfer.Snapshot.SnapshotId]);
                if (!arrives)
                    node.Protocol.OnSnapshotSent(transfer.Peer, transfer.Term, matchIndex: null);
            }

            foreach ((ServerId leader, Term term, LogIndex index) in node.Installed)
            {
                hasDone = true;
                bool arrives = IsConnected(node.Id, leader);
                if (Find(leader) is { IsUp: true } sender)
                    sender.Protocol.OnSnapshotSent(node.Id, term, arrives ? index : null);
            }

            node.Installed.Clear();
        }

        return hasDone;
    }

    public void Tick(int ticks = 1)
    {
        for (int i = 0; i < ticks; i++)
        {
            foreach (ProtocolNode node in Nodes.Where(node => node.IsUp))
                node.Protocol.Tick();
            Settle();
            Checks?.Check();
        }
    }

    public ProtocolCluster Checked()
    {
        Checks = new SafetyChecks(this);
        return this;
    }

    /// <summary>Ticks until the claim holds.</summary>
    public void TickUntil(Func<bool> claim, int ticksMax = 500)
    {
        Settle();
        for (int i = 0; i < ticksMax && !claim(); i++)
            Tick();
        Assert.True(claim(), Describe());
    }

    public static MembershipChange To(params int[] voters) => new() { Set = [.. voters.Select(number => MemberOf(number))] };

    /// <summary>Asks the leader for exactly these voters.</summary>
    public ChangeResult Change(params int[] voters) => Leader.Protocol.ProposeChange(To(voters), timeMs: 1);

    /// <summary>A leader among them, whose committed configuration has exactly these voters, and whom all members follow.</summary>
    public bool HasSettledOn(params int[] voters) =>
        LeaderOrNull is { } leader
        && leader.Protocol.Configuration is { IsJoint: false, Target.Count: 0 } configuration
        && leader.Protocol.ConfigurationIndex <= leader.Protocol.CommitIndex
        && configuration.CanVote(leader.Id)
        && configuration.Current.Where(member => member.Kind == MemberKind.Voter).Select(member => member.Id).SequenceEqual(voters.Select(IdOf))
        && configuration.Current.All(member => member.Kind != MemberKind.Joining)
        && Nodes.All(node => !node.IsUp || !configuration.Contains(node.Id) || node.Protocol.Leader == leader.Id);

    public void TickUntilSettledOn(params int[] voters) => TickUntil(() => HasSettledOn(voters));

    /// <summary>Adds a command, and sees it applied by all members that are up and by nobody twice.</summary>
    public void Write(string text)
    {
        TickUntil(() => LeaderOrNull is { Protocol.IsTransferring: false });
        Add(Leader, text);
        TickUntil(() => Nodes.All(node => !node.IsUp || LeaderOrNull?.Protocol.Configuration.Contains(node.Id) != true || CommandsOf(node).Count(one => one == text) == 1));
    }

    /// <summary>How many messages pass within so many ticks.</summary>
    public int CountMessages(int ticks)
    {
        int count = 0;
        Func<Message, bool> before = Filter;
        Filter = message => ++count > 0 && before(message);
        Tick(ticks);
        Filter = before;
        return count;
    }

    /// <summary>Where everybody stands, for whoever reads a failure.</summary>
    public string Describe() => string.Join('\n', Nodes.Select(node =>
    {
        RaftProtocol protocol = node.Protocol;
        Configuration configuration = protocol.Configuration;
        string members = $"[{Names(configuration.Current)}]" + (configuration.IsJoint ? $" from [{Names(configuration.Previous)}]" : "")
            + (configuration.Target.Count > 0 ? $" to [{Names(configuration.Target)}]" : "");
        string peers = string.Join(' ', protocol.Peers.Select(peer => $"{peer.Server.Node}:{peer.State}:{peer.MatchIndex}:{peer.CaughtUpRounds}"));
        return $"{node.Id.Node} {(node.IsUp ? protocol.Role : "down")} term {protocol.CurrentTerm} leader {protocol.Leader?.Node} log {protocol.FirstIndex}-{protocol.LastIndex} "
            + $"commit {protocol.CommitIndex} durable {protocol.DurableIndex} applied {node.Applied.Count} snapshot {protocol.Snapshot?.Index} "
            + $"installing {node.Installing?.Index} transfers {node.SnapshotsToSend.Count} writes {node.WritesUnderWay} "
            + $"configuration {protocol.ConfigurationIndex} {members} {peers}{(protocol.IsTransferring ? " transferring" : "")}";
    }));

    private static string Names(IEnumerable<Member> members) => string.Join(' ', members.Select(member => $"{member.Node}{(member.Kind == MemberKind.Voter ? "" : $"({member.Kind})")}"));

    public ProtocolNode Elect(int? number = null)
    {
        if (number is { } wanted)
        {
            while (this[wanted].Protocol.Role == Role.Follower)
                this[wanted].Protocol.Tick();
            Settle();
            Assert.Equal(Role.Leader, this[wanted].Protocol.Role);
            Tick(2);
            return this[wanted];
        }

        TickUntil(() => LeaderOrNull is { } leader
            && Nodes.All(node => !node.IsUp || node.Protocol.Leader == leader.Id || !leader.Protocol.Configuration.Contains(node.Id)));
        Tick(2);
        return Leader;
    }

    public static EntryId Add(ProtocolNode node, string text) =>
        node.Protocol.AddEntry(EntryKind.Command, System.Text.Encoding.UTF8.GetBytes(text), timeMs: 1) ?? throw new InvalidOperationException("not leader");

    public static string[] CommandsOf(ProtocolNode node) => [.. node.Applied
        .Where(entry => entry.Kind == EntryKind.Command)
        .Select(entry => System.Text.Encoding.UTF8.GetString(entry.Payload.Span))];

    /// <summary>Frames that arrive the moment something changes.</summary>
    private sealed class View(ProtocolCluster cluster, ServerId self) : IPeerLiveness
    {
        public LeaderSign LeaderSign(ServerId server, long start, Term term)
        {
            if (!cluster.IsConnected(server, self) || cluster.Find(server) is not { } node)
                return Engine.Protocol.LeaderSign.Silent;
            if (!node.IsUp || node.StartCount != start)
                return Engine.Protocol.LeaderSign.Denies;
            if (node.Protocol.CurrentTerm < term)
                return Engine.Protocol.LeaderSign.Silent;
            return node.Protocol.Role == Role.Leader ? Engine.Protocol.LeaderSign.Leads : Engine.Protocol.LeaderSign.Denies;
        }

        public bool IsFollowing(ServerId server, Term term) =>
            IsAlive(server) && cluster.Find(server) is { } node && node.Protocol.CurrentTerm == term && node.Protocol.Leader == self;

        public bool IsAlive(ServerId server) => cluster.IsConnected(server, self) && cluster.Find(server) is { IsUp: true };
    }
}

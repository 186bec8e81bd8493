using Raft.Engine.Protocol;
using static Raft.Engine.Tests.Protocol.ProtocolCluster;

namespace Raft.Engine.Tests.Protocol;

/// <summary>Frames as the test wants them.</summary>
internal sealed class ScriptedLiveness : IPeerLiveness
{
    public LeaderSign Sign { get; set; } = Engine.Protocol.LeaderSign.Silent;
    public HashSet<ServerId> Dead { get; } = [];
    public HashSet<ServerId> Following { get; } = [];

    public LeaderSign LeaderSign(ServerId server, long start, Term term) => Sign;

    public bool IsFollowing(ServerId server, Term term) => Following.Contains(server) && !Dead.Contains(server);

    public bool IsAlive(ServerId server) => !Dead.Contains(server);
}

/// <summary>One node, n1 unless said otherwise; the test speaks for all the others.</summary>
internal sealed class Solo
{
    public Solo(int voters = 3, int learners = 0, long term = 1, long[]? log = null, int self = 1,
        Configuration? configuration = null, Func<ProtocolSettings, ProtocolSettings>? adjust = null)
    {
        Configuration = configuration ?? ConfigurationOf(voters, learners);
        var disk = new TestDisk();
        List<Entry> entries = [FirstEntry(Configuration)];
        foreach (long entryTerm in log ?? [])
            entries.Add(EntryOf(entries.Count + 1, entryTerm));
        disk.Write(new PersistRequest(new TermAndVote(new Term(term), null), null, entries));
        Node = new ProtocolNode(IdOf(self), disk, Liveness, seed: 7, adjust);
    }

    public Configuration Configuration { get; }
    public ScriptedLiveness Liveness { get; } = new();
    public ProtocolNode Node { get; }
    public RaftProtocol Protocol => Node.Protocol;
    public ServerId Self => Node.Id;

    public static Entry EntryOf(long index, long term, string text = "x") =>
        new(new LogIndex(index), new Term(term), EntryKind.Command, timeMs: 1, System.Text.Encoding.UTF8.GetBytes(text));

    public long[] Terms => [.. Enumerable.Range(1, (int)Protocol.LastIndex.Value).Select(i => Protocol.TermAt(new LogIndex(i))!.Value.Value)];

    /// <summary>Steps, settles (disk included), and gives what left.</summary>
    public List<Message> Tell(params Message[] messages)
    {
        foreach (Message message in messages)
            Node.Step(message);
        Node.Settle();
        return Node.TakeSent();
    }

    public List<Message> Tick(int ticks = 1)
    {
        for (int i = 0; i < ticks; i++)
        {
            Protocol.Tick();
            Node.Settle();
        }

        return Node.TakeSent();
    }

    public AppendRequest Append(long term, long previous, long previousTerm, long commit = 0, int from = 2, long start = 1, params Entry[] entries) =>
        new(IdOf(from), Self, new Term(term), new LogIndex(previous), new Term(previousTerm), new LogIndex(commit), entries) { SenderStart = start };

    public AppendReply Accept(int from, long match, long? received = null, long commit = 0, long? term = null) => new(
        IdOf(from), Self, term is { } t ? new Term(t) : Protocol.CurrentTerm,
        new LogIndex(match), new LogIndex(received ?? match), new LogIndex(commit), null);

    public AppendReply Reject(int from, long previous, long last, long? conflictTerm = null, long conflictFirst = 0, long? term = null) => new(
        IdOf(from), Self, term is { } t ? new Term(t) : Protocol.CurrentTerm, LogIndex.Zero, LogIndex.Zero, LogIndex.Zero,
        new AppendRejection(new LogIndex(previous), new LogIndex(last), conflictTerm is { } c ? new Term(c) : null, new LogIndex(conflictFirst)));

    public VoteRequest AskVote(int from, long term, long last, long lastTerm, bool isPreVote = false, bool isTransfer = false) =>
        new(IdOf(from), Self, new Term(term), new LogIndex(last), new Term(lastTerm), isPreVote, isTransfer);

    public VoteReply Grant(int from, bool isPreVote = false, bool isGranted = true, long? term = null) =>
        new(IdOf(from), Self, new Term(term ?? Protocol.CurrentTerm.Value + (isPreVote ? 1 : 0)), isGranted, isPreVote);

    /// <summary>Ticks until it asks for pre-votes.</summary>
    public List<Message> BecomePreCandidate()
    {
        var sent = new List<Message>();
        for (int i = 0; i < 100 && Protocol.Role == Role.Follower; i++)
            sent.AddRange(Tick());
        Assert.Equal(Role.PreCandidate, Protocol.Role);
        return sent;
    }

    public List<Message> BecomeCandidate()
    {
        BecomePreCandidate();
        List<Message> sent = Tell([.. VotersBeside().Select(voter => Grant(voter, isPreVote: true))]);
        Assert.Equal(Role.Candidate, Protocol.Role);
        return sent;
    }

    public List<Message> BecomeLeader()
    {
        BecomeCandidate();
        List<Message> sent = Tell([.. VotersBeside().Select(voter => Grant(voter))]);
        Assert.Equal(Role.Leader, Protocol.Role);
        return sent;
    }

    private IEnumerable<int> VotersBeside() => Configuration.All
        .Where(member => Configuration.CanVote(member.Id) && member.Id != Self)
        .Select(member => int.Parse(member.Node.Value[1..]));
}

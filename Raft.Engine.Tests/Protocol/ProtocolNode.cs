using Raft.Engine.Protocol;

namespace Raft.Engine.Tests.Protocol;

/// <summary>One protocol with its disk: what a server does, without the server. The test decides when the disk is done.</summary>
internal sealed class ProtocolNode
{
    private readonly Func<ProtocolSettings, ProtocolSettings> _adjust;
    private readonly IPeerLiveness _liveness;
    private readonly int _seed;
    private readonly Queue<OutputBatch> _writing = new();
    private long _start;

    public ProtocolNode(ServerId id, TestDisk disk, IPeerLiveness liveness, int seed, Func<ProtocolSettings, ProtocolSettings>? adjust = null)
    {
        Id = id;
        Disk = disk;
        _liveness = liveness;
        _seed = seed;
        _adjust = adjust ?? (settings => settings);
        Start();
    }

    public ServerId Id { get; }
    public TestDisk Disk { get; }
    public RaftProtocol Protocol { get; private set; } = null!; // Start sets it
    public long StartCount => _start;
    public bool IsUp { get; private set; }

    /// <summary>What left and was not taken yet, in order.</summary>
    public List<Message> Sent { get; } = [];
    public List<Entry> Applied { get; } = [];
    public List<ReadReady> ReadsReady { get; } = [];
    public List<ReadId> ReadsFailed { get; } = [];
    public List<RoleChange> RoleChanges { get; } = [];
    public List<Configuration> Configurations { get; } = [];
    public List<EntriesWanted> EntriesWanted { get; } = [];
    public int WritesUnderWay => _writing.Count;

    /// <summary>Reads of older entries are answered at once; a test that wants to see them says no.</summary>
    public bool AnswersReads { get; set; } = true;

    public void Start()
    {
        _start++;
        var settings = new ProtocolSettings { Self = Id, StartCount = _start };
        Protocol = new RaftProtocol(_adjust(settings), Disk.Load(), _liveness, new Random(unchecked((_seed * 31) + (int)_start)));
        Applied.Clear();
        IsUp = true;
    }

    /// <summary>Power off: of the writes under way the first <paramref name="survive"/> made it to the disk, unacknowledged.</summary>
    public void Crash(int survive = 0)
    {
        for (int i = 0; i < survive && _writing.TryDequeue(out OutputBatch? batch); i++)
            Disk.Write(batch.Persist);
        _writing.Clear();
        Sent.Clear();
        IsUp = false;
    }

    /// <summary>Takes all output; messages that may leave at once are in <see cref="Sent"/>.</summary>
    public void Poll()
    {
        while (Protocol.HasOutput)
        {
            OutputBatch batch = Protocol.TakeOutput();
            Sent.AddRange(batch.SendAtOnce);
            _writing.Enqueue(batch);
            foreach (Entry entry in batch.ToApply)
            {
                Assert.Equal(Applied.Count + 1, entry.Index.Value);
                Applied.Add(entry);
            }

            if (batch.ToApply.Count > 0)
                Protocol.OnApplied(batch.ToApply[^1].Index);
            ReadsReady.AddRange(batch.ReadsReady);
            ReadsFailed.AddRange(batch.ReadsFailed);
            if (batch.RoleChange is { } change)
                RoleChanges.Add(change);
            if (batch.ConfigurationInForce is { } configuration)
                Configurations.Add(configuration);
            EntriesWanted.AddRange(batch.EntriesWanted);
            if (AnswersReads)
                AnswerReads();
        }
    }

    public void AnswerReads()
    {
        EntriesWanted[] wanted = [.. EntriesWanted];
        EntriesWanted.Clear();
        foreach (EntriesWanted one in wanted)
            Protocol.OnEntriesRead(one.Peer, one.From, Disk.Read(one));
    }

    /// <summary>The disk completes the oldest write.</summary>
    public bool CompleteWrite()
    {
        if (!_writing.TryDequeue(out OutputBatch? batch))
            return false;
        Disk.Write(batch.Persist);
        Protocol.OnDurable(batch.Number);
        Sent.AddRange(batch.SendWhenDurable);
        return true;
    }

    /// <summary>Polls and completes writes until nothing is left.</summary>
    public void Settle()
    {
        do
        {
            Poll();
        }
        while (CompleteWrite());
    }

    public List<Message> TakeSent()
    {
        List<Message> sent = [.. Sent];
        Sent.Clear();
        return sent;
    }

    public void Step(Message message) => Protocol.Step(message);
}

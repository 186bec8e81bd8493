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
    private int _files;

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

    /// <summary>Its disk completes nothing any more. What has nothing to write, and nothing before it, needs no disk.</summary>
    public bool IsDiskStuck { get; set; }

    /// <summary>What left and was not taken yet, in order.</summary>
    public List<Message> Sent { get; } = [];
    public List<Entry> Applied { get; } = [];
    public List<ReadReady> ReadsReady { get; } = [];
    public List<ReadId> ReadsFailed { get; } = [];
    public List<RoleChange> RoleChanges { get; } = [];
    public List<Configuration> Configurations { get; } = [];
    public List<EntriesWanted> EntriesWanted { get; } = [];

    /// <summary>Transfers that the leader wants and nobody has begun.</summary>
    public List<SnapshotToSend> SnapshotsToSend { get; } = [];
    public List<ServerId> LostData { get; } = [];

    /// <summary>A snapshot was received and is not loaded yet: whom to answer, and in which term.</summary>
    public (ServerId Leader, Term Term, LogIndex Index)? Installing { get; private set; }

    /// <summary>Installed and loaded; the answer is on its way to whoever asks for it.</summary>
    public List<(ServerId Leader, Term Term, LogIndex Index)> Installed { get; } = [];
    public int WritesUnderWay => _writing.Count;

    /// <summary>Reads of older entries are answered at once; a test that wants to see them says no.</summary>
    public bool AnswersReads { get; set; } = true;

    public void Start()
    {
        _start++;
        var settings = new ProtocolSettings { Self = Id, StartCount = _start };
        Protocol = new RaftProtocol(_adjust(settings), Disk.Load(), _liveness, new Random(unchecked((_seed * 31) + (int)_start)));
        Applied.Clear();
        Installing = null;
        IsUp = true;
    }

    /// <summary>Power off: of the writes under way the first <paramref name="survive"/> made it to the disk, unacknowledged.</summary>
    public void Crash(int survive = 0)
    {
        for (int i = 0; i < survive && _writing.TryDequeue(out OutputBatch? batch); i++)
            Disk.Write(batch.Persist);
        _writing.Clear();
        Sent.Clear();
        SnapshotsToSend.Clear();
        Installed.Clear();
        Disk.Crash();
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
            if (batch.AbortTransfers)
                SnapshotsToSend.Clear();
            SnapshotsToSend.AddRange(batch.SnapshotsToSend);
            LostData.AddRange(batch.LostData);
            if (batch.SnapshotToLoad is { } snapshot)
                Load(snapshot);
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

    /// <summary>A snapshot of all that is applied, if that is news.</summary>
    public SnapshotDescriptor? TakeSnapshot()
    {
        if (Applied.Count == 0 || Applied[^1].Index <= (Protocol.Snapshot?.Index ?? LogIndex.Zero))
            return null;

        LogIndex index = Applied[^1].Index;
        (Term term, Configuration configuration, LogIndex configurationIndex) = Protocol.DescribeSnapshot(index);
        Assert.Equal(Applied[^1].Term, term);
        var descriptor = new SnapshotDescriptor(NextFile(Applied), index, term, configuration, configurationIndex, SizeBytes: index.Value, Hash: 1);
        Protocol.OnSnapshotTaken(descriptor);
        return descriptor;
    }

    /// <summary>A leader's snapshot came whole. True when it will be installed, or is not needed: then the answer is in <see cref="Installed"/>.</summary>
    public bool Receive(ServerId from, long start, Term term, SnapshotDescriptor descriptor, List<Entry> content)
    {
        switch (Protocol.JudgeSnapshot(from, start, term, LogIndex.Zero, descriptor))
        {
            case SnapshotVerdict.NotNeeded when Protocol.DurableIndex < descriptor.Index:
                return false;       // a server answers once the disk has it; the leader asks again
            case SnapshotVerdict.NotNeeded:
                Installed.Add((from, term, LogIndex.Min(Protocol.CommitIndex, Protocol.DurableIndex)));
                return true;
            case SnapshotVerdict.Refused:
                return false;
        }

        if (Installing is not null || !Protocol.InstallSnapshot(from, term, descriptor with { SnapshotId = NextFile(content) }))
            return false;
        Installing = (from, term, descriptor.Index);
        return true;
    }

    private string NextFile(List<Entry> content)
    {
        string id = $"{Id.Node}-{_start}-{++_files}";
        Disk.Files.Add(id, [.. content]);
        return id;
    }

    private void Load(SnapshotDescriptor snapshot)
    {
        Assert.Equal(snapshot, Disk.Snapshot); // durable before it is loaded
        Applied.Clear();
        Applied.AddRange(Disk.Files[snapshot.SnapshotId]);
        Assert.Equal(snapshot.Index.Value, Applied.Count);
        Protocol.OnApplied(snapshot.Index);
        if (Installing is { } installing && installing.Index == snapshot.Index)
        {
            Installed.Add(installing);
            Installing = null;
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
        if (!_writing.TryPeek(out OutputBatch? batch) || (IsDiskStuck && batch.Persist is not null))
            return false;
        _writing.Dequeue();
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

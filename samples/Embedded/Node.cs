using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Engine.Shards;

namespace Embedded;

/// <summary>One member: a disk that stays, and a server that may be killed and started on it again.</summary>
internal sealed class Node(InProcessNetwork network, Member member) : IAsyncDisposable
{
    private static readonly GroupId _group = new("words");

    private readonly MemoryDisk _disk = new();
    private readonly Shard _shard = new($"shard of {member.Node}", TimeProvider.System);
    private long _startCount;

    public ServerId Id => member.Id;
    public WordsMachine Machine { get; private set; } = new();
    public RaftServer Server { get; private set; } = null!;      // set by StartAsync, which comes first
    public bool IsUp { get; private set; }

    /// <summary>A new cluster begins with the same entry on every disk: index 1, term 1, the first configuration.</summary>
    public Task FormAsync(Configuration first) => _disk.PersistAsync(new PersistRequest(
        new TermAndVote(new Term(1), Vote: null), TruncateFrom: null,
        [new Entry(new LogIndex(1), new Term(1), EntryKind.Configuration, timeMs: 0, first.Encode())]));

    public async Task StartAsync()
    {
        // The count belongs to the disk and must be durable before the server speaks.
        _startCount++;
        Machine = new WordsMachine();
        InProcessNetwork.Endpoint endpoint = network.Connect(Id, _startCount);
        Server = new RaftServer(
            new RaftServerParts(_group, _shard, endpoint, _disk, Machine, endpoint, NullLogger.Instance),
            new RaftServerSettings
            {
                Protocol = new ProtocolSettings { Self = Id, StartCount = _startCount, SnapshotTrailingEntries = 0 },
                RandomSeed = Random.Shared.Next(),
                Tick = TimeSpan.FromMilliseconds(20),
            });
        await Server.StartAsync(CancellationToken.None);
        IsUp = true;
    }

    /// <summary>As a crash: nobody is told, nothing is handed over.</summary>
    public async Task KillAsync()
    {
        IsUp = false;
        network.Disconnect(Id);
        await Server.AbortAsync("it was killed");
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await _shard.DisposeAsync();
    }
}

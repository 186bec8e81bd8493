using Raft.Engine.Protocol;

namespace Raft.Host.Peers;

/// <summary>What all parts of the transport share.</summary>
internal sealed class PeerContext(PeerSettings settings, TimeProvider time, ILogger logger, PeerMetrics metrics)
{
    private volatile NodeIdentity? _identity;
    private volatile bool _lacksSpace;
    private volatile bool _lacksMemory;

    public PeerSettings Settings { get; } = settings;
    public TimeProvider Time { get; } = time;
    public ILogger Logger { get; } = logger;
    public PeerMetrics Metrics { get; } = metrics;
    public SeenServers Seen { get; } = new();
    public RepeatGuard Repeats { get; } = new(time);

    /// <summary>Null before the start.</summary>
    public NodeIdentity? Identity
    {
        get => _identity;
        set => _identity = value;
    }

    /// <summary>Our disk is nearly full: others should lead.</summary>
    public bool LacksSpace
    {
        get => _lacksSpace;
        set => _lacksSpace = value;
    }

    /// <summary>Where Raft:Members lists a node; null: not at all.</summary>
    public string? HintOf(NodeId node) => Settings.Hints.GetValueOrDefault(node.Value);

    /// <summary>The states here take more memory than our budget.</summary>
    public bool LacksMemory
    {
        get => _lacksMemory;
        set => _lacksMemory = value;
    }

    public Func<long> DurableSequence { get; set; } = static () => 0;

    /// <summary>Completes with a peer's words when it has seen a newer directory of this node.</summary>
    public TaskCompletionSource<string> OwnDirectoryRefused { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Set once the transport stops.</summary>
    public CancellationTokenSource Stopping { get; } = new();
}

/// <summary>What links and inbound streams report.</summary>
internal interface IPeerEvents
{
    /// <summary>One of our streams to the peer is up.</summary>
    void LinkUp(Peer peer, StreamKind stream);

    /// <summary>One of our streams to the peer ended.</summary>
    void LinkDown(Peer peer, StreamKind stream, string reason);

    /// <summary>Nobody listens at the peer's address.</summary>
    void ConnectRefused(Peer peer, StreamKind stream);
}

/// <summary>Lets a message through once a minute for each key, so that a peer that tries for ever does not fill the log.</summary>
internal sealed class RepeatGuard(TimeProvider time)
{
    private const int MaxKeys = 1_000;
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(1);
    private readonly Lock _gate = new();
    private readonly Dictionary<(string What, string Who), long> _last = [];

    public bool IsNew(string what, string who)
    {
        long now = time.GetTimestamp();
        lock (_gate)
        {
            if (_last.TryGetValue((what, who), out long last) && time.GetElapsedTime(last, now) < Quiet)
                return false;

            if (_last.Count >= MaxKeys)
                _last.Clear();
            _last[(what, who)] = now;
            return true;
        }
    }
}

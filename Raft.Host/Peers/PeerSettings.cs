namespace Raft.Host.Peers;

public sealed record PeerSettings
{
    public TimeSpan Ping { get; init; } = TimeSpan.FromMilliseconds(100);
    public TimeSpan LivenessTimeout { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Bytes that may wait for one peer, in each of its streams.</summary>
    public long MaxQueueBytes { get; init; } = 16 << 20;

    /// <summary>A larger frame closes the connection.</summary>
    public int MaxFrameBytes { get; init; } = 12 << 20;

    /// <summary>Where others reach us. Null: what a configuration says of this server. A peer whose configuration does not
    /// name us yet answers there.</summary>
    public string? AdvertisedUrl { get; init; }

    /// <summary>Peer URLs by node id, as the settings of this node list them: tried besides the addresses in the configurations.</summary>
    public IReadOnlyDictionary<string, string> Hints { get; init; } = new Dictionary<string, string>();

    /// <summary>For connecting and for the handshake, each.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The snapshot stream is closed when nothing was sent on it for so long.</summary>
    public TimeSpan SnapshotIdle { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Who is in no configuration and has said nothing to any group for so long is called no more.</summary>
    public TimeSpan LearnedQuiet { get; init; } = TimeSpan.FromMinutes(1);

    public TimeSpan MinBackoff { get; init; } = TimeSpan.FromMilliseconds(50);
    public TimeSpan MaxBackoff { get; init; } = TimeSpan.FromSeconds(2);
}

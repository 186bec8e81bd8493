using Raft.Engine.Errors;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>A data directory that cannot be opened because of damage: what a node in quarantine knows of itself, and the way out
/// of it. It holds the directory's lock, so that nobody else takes the directory meanwhile.</summary>
public sealed class DamagedDirectory : IDisposable
{
    private readonly NodeStoreSettings _settings;
    private readonly ILoggerFactory _logs;
    private readonly StorageSettings _storage;
    private readonly DataDirectory _directory;
    private readonly Former? _earlier;
    private bool _isHandedOn;

    internal DamagedDirectory(
        NodeStoreSettings settings, ILoggerFactory logs, StorageSettings storage, DataDirectory directory, CorruptStorageException damage)
    {
        _settings = settings;
        _logs = logs;
        _storage = storage;
        _directory = directory;
        Damage = damage;
        _earlier = TryRead(() => Former.Read(storage.Files, directory.Path));
        Manifest? manifest = TryRead(() => Manifest.Read(storage.Files, directory.Current));
        ClusterUid = manifest?.ClusterUid ?? _earlier?.ClusterUid;
        StorageId = manifest?.StorageId;
        NodeId = manifest?.NodeId ?? _earlier?.NodeId ?? settings.NodeId;
    }

    /// <summary>File, offset and remedy.</summary>
    public CorruptStorageException Damage { get; }

    /// <summary>Null when no file tells it any more.</summary>
    public ClusterUid? ClusterUid { get; }

    /// <summary>From the directory itself as far as it can be read, else from the configuration.</summary>
    public NodeId NodeId { get; }

    /// <summary>Null when the manifest cannot be read.</summary>
    public StorageId? StorageId { get; }

    /// <summary>What <see cref="MoveAside"/> leaves behind.</summary>
    public Former Former => (_earlier ?? new Former(null, NodeId, [])).With(ClusterUid, StorageId);

    /// <summary>Moves the damaged directory aside; only once a living cluster takes the node in. What it promised there counts no
    /// more: the node comes back with another storage id. Harmless to repeat.</summary>
    /// <returns>Where it is now; null when there was nothing left to move.</returns>
    /// <exception cref="StorageFailedException">Nothing was moved, or perhaps not for good: end the process.</exception>
    public string? MoveAside()
    {
        ObjectDisposedException.ThrowIf(_isHandedOn, this);
        string? target = _directory.MoveAside(Former, _storage);
        if (target is not null)
            _logs.CreateLogger("Raft.Host.Storage").MovedAside(_directory.Current, target);
        return target;
    }

    /// <summary>Opens what is there now: after <see cref="MoveAside"/> a new, empty store that knows its <see cref="NodeStore.Former"/>.
    /// The lock goes with it: this object is through.</summary>
    /// <exception cref="CorruptStorageException">Still damaged.</exception>
    public NodeStore Open()
    {
        ObjectDisposedException.ThrowIf(_isHandedOn, this);
        _isHandedOn = true;
        return NodeStore.Open(_settings, _logs, _storage, _directory);
    }

    public void Dispose()
    {
        if (_isHandedOn)
            return;
        _isHandedOn = true;
        _directory.Dispose();
    }

    private static T? TryRead<T>(Func<T?> read) where T : class
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is CorruptStorageException or StorageFailedException or DataDirectoryException or FormatException)
        {
            return null;
        }
    }
}

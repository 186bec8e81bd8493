using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <param name="DataDirectory">Where; made when it does not exist.</param>
/// <param name="NodeId">Written into the manifest; a directory of another node is refused.</param>
public sealed record NodeStoreSettings(string DataDirectory, NodeId NodeId);

/// <summary>One data directory: one write-ahead log and one database for all groups of the node.</summary>
public sealed class NodeStore : IAsyncDisposable
{
    /// <summary>Opens or makes the directory; nothing is answered before its end.</summary>
    /// <exception cref="DataDirectoryException">In use by another process, of another node, or not usable: names it and the remedy.</exception>
    /// <exception cref="Engine.Errors.CorruptStorageException">Damage: quarantine.</exception>
    public static NodeStore Open(NodeStoreSettings settings, ILoggerFactory logs) => throw new NotImplementedException();

    public StorageId StorageId => throw new NotImplementedException();

    /// <summary>How often this directory was started, this start included.</summary>
    public long StartCount => throw new NotImplementedException();

    /// <summary>A random number of this start, to tell twins apart.</summary>
    public ulong StartNonce => throw new NotImplementedException();

    /// <summary>The WAL sequence at the end of opening.</summary>
    public long OpeningSequence => throw new NotImplementedException();

    /// <summary>The highest WAL sequence that is durable now. Any thread.</summary>
    public long DurableSequence => throw new NotImplementedException();

    /// <summary>Null while the directory never was in a cluster.</summary>
    public ClusterUid? ClusterUid => throw new NotImplementedException();

    /// <summary>Writes, in one WAL record, the cluster uid and the group's first configuration as index 1, term 1, current
    /// term 1 without vote; then the manifest's uid.</summary>
    public Task FormAsync(ClusterUid uid, GroupId group, Configuration first) => throw new NotImplementedException();

    /// <summary>The storage of one group; the same object for the same id. Its completions come on the WAL thread.</summary>
    public IRaftStorage Group(GroupId group) => throw new NotImplementedException();

    /// <summary>Faults with the cause when a write, sync or read failed at run time. The process must end; see FailStop.</summary>
    public Task Failed => throw new NotImplementedException();

    /// <summary>Clean stop: everything into the database, checkpoint, close.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

/// <summary>The data directory cannot be used; says which, why and what to do. Exit, no quarantine.</summary>
public sealed class DataDirectoryException(string message, Exception? inner = null) : Exception(message, inner);

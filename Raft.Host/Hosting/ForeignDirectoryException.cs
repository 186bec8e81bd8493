namespace Raft.Host.Hosting;

/// <summary>A healthy data directory that is not this node's, or not this cluster's: quarantine.</summary>
public sealed class ForeignDirectoryException(string message) : Exception(message);

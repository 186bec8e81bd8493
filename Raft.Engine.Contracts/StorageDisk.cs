using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Contracts;

/// <summary>One disk under test: it is opened, written through its groups, closed, and opened again.</summary>
public abstract class StorageDisk : IAsyncDisposable
{
    /// <summary>Opens what the disk holds; the first time it is empty.</summary>
    public abstract ValueTask OpenAsync();

    /// <summary>The storage of one group of the opened disk; the same object until it is closed.</summary>
    public abstract IRaftStorage Group(GroupId group);

    /// <summary>A clean stop.</summary>
    public abstract ValueTask CloseAsync();

    /// <summary>The process dies: what was not completed may be lost. Default: a clean stop.</summary>
    public virtual ValueTask CrashAsync() => CloseAsync();

    /// <summary>From now on every write fails, and so must its request. False when the implementation cannot be made to fail.</summary>
    public virtual bool FailWrites() => false;

    /// <summary>From now on and until disposed writes take for ever. Null when the implementation cannot be held.</summary>
    public virtual IDisposable? HoldWrites() => null;

    /// <summary>Closes and deletes everything.</summary>
    public abstract ValueTask DisposeAsync();
}

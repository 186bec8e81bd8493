using Raft.Engine.Plugins;
using Raft.Engine.Protocol;

namespace Raft.Engine.Contracts;

/// <summary>A network of a few servers under test, all of one cluster.</summary>
public abstract class RpcNetwork : IAsyncDisposable
{
    /// <summary>The servers as a configuration names them, with the addresses that the implementation needs.</summary>
    public abstract IReadOnlyList<Member> Members { get; }

    /// <summary>The endpoint of one server in one group; the same object for the same arguments.</summary>
    public abstract IRaftRpc Rpc(int server, GroupId group);

    /// <summary>What that server's messages must carry as <see cref="Message.SenderStart"/>.</summary>
    public abstract long StartCountOf(int server);

    /// <summary>The process of that server dies.</summary>
    public abstract ValueTask KillAsync(int server);

    /// <summary>Stops everything.</summary>
    public abstract ValueTask DisposeAsync();
}

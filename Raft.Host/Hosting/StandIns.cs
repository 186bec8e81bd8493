using Raft.Engine.Plugins;
using Raft.Engine.Protocol;
using Raft.Engine.Server;

namespace Raft.Host.Hosting;

public sealed class GroupStateMachine(IStateMachine inner)
{
    public IStateMachine Inner { get; } = inner;
    public string? HashAlarm => null;
}

public sealed class NodeDrain
{
    public bool IsDraining { get; private set; }

    public Task DrainAsync(CancellationToken cancellation)
    {
        IsDraining = true;
        return Task.CompletedTask;
    }

    public void Resume() => IsDraining = false;
}

public sealed class ClusterMembers
{
    public Task<Member> ResolveAsync(NodeId node, string peerUrl, string apiUrl, MemberKind kind, CancellationToken cancellation) =>
        Task.FromResult(new Member(node, default, kind, peerUrl, apiUrl));
}

internal static class EngineStandIns
{
    extension(RaftServer server)
    {
        public TimeSpan? Staleness => server.IsAlive ? TimeSpan.Zero : null;
    }

    extension(AddedEntry entry)
    {
        public bool IsResultLost => entry.Index.Value < 0;
    }
}

using Raft.Engine.Protocol;

namespace Raft.Host.Hosting;

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

using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Peers;

namespace Raft.Host.Hosting;

/// <summary>Takes a node out of service gently, before it stops: it leads nothing, is not ready, and serves on. Thread-safe.</summary>
public sealed class NodeDrain(GroupRegistry groups, PeerTransport peers, ILogger<NodeDrain> log)
{
    private static readonly TimeSpan TransferTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    // Hundreds of groups must not wait for each other's round trips.
    private const int AtOnce = 32;

    private volatile bool _isDraining;

    public bool IsDraining => _isDraining;

    /// <summary>Hands over all leadership; from now on this node keeps none. Returns when it leads nothing that another voter could lead.</summary>
    /// <exception cref="OperationCanceledException">It still leads something; it goes on trying.</exception>
    public async Task DrainAsync(CancellationToken cancellation)
    {
        if (!_isDraining)
        {
            _isDraining = true;
            log.Drains();
        }

        while (await HandOverAllAsync(cancellation) > 0)
            await Task.Delay(Pause, cancellation);
    }

    /// <summary>The node may lead again, and is ready again.</summary>
    public void Resume()
    {
        _isDraining = false;
        log.DrainEnded();
    }

    /// <summary>One attempt for every group that it leads and another could lead; how many there were.</summary>
    internal async Task<int> HandOverAllAsync(CancellationToken cancellation)
    {
        HostedGroup[] led = [.. groups.All.Where(group => group.Server.Role == Role.Leader && AnotherCouldLead(group.Server))];
        await Parallel.ForEachAsync(led, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation }, async (group, _) =>
        {
            try
            {
                await group.Server.StepDownAsync(TransferTime, cancellation);
            }
            catch (RaftException error)
            {
                log.HandOverFailed(group.Id, error.Message);
            }
        });
        return led.Length;
    }

    private bool AnotherCouldLead(RaftServer server)
    {
        IReadOnlyList<PeerStatus> all = peers.Peers;
        return server.Configuration.Current.Any(member =>
            member.Kind == MemberKind.Voter && member.Id != server.Id
            && all.Any(peer => peer.Node == member.Node && peer.Storage == member.Storage && peer.IsAlive));
    }
}

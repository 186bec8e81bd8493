using System.Globalization;
using System.Net.Sockets;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Faults;

/// <summary>More idle connections to a node's endpoints than it may have files open: clients that forget to hang up.</summary>
internal sealed class IdleConnections(ChaosCluster cluster, Draw draw) : NodeFault(cluster, draw, isDeadly: false)
{
    private readonly List<TcpClient> _held = [];

    public static readonly FaultKind Kind = new("idle connections", FaultScope.Node, 4, (cluster, draw) => new IdleConnections(cluster, draw));

    protected override string Text => string.Create(CultureInfo.InvariantCulture, $"{_held.Count} idle connections to");

    protected override async Task BeginAsync(ChaosNode node)
    {
        // Two of three to the clients' endpoint. What the node refuses or resets is not tried again.
        int wanted = (Cluster.Options.Descriptors ?? 1000) * 3 / 2;
        for (int n = 0; n < wanted; n++)
        {
            var client = new TcpClient();
            _held.Add(client);
            try
            {
                using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(1));
                await client.ConnectAsync(node.Address, n % 3 < 2 ? node.Process.ApiPort : node.Process.PeerPort, bound.Token);
            }
            catch (Exception error) when (error is SocketException or OperationCanceledException)
            {
                if (n > wanted / 2)
                    break; // its backlog is full
            }
        }
    }

    protected override Task EndAsync(ChaosNode node)
    {
        foreach (TcpClient client in _held)
            client.Dispose();
        return Task.CompletedTask;
    }
}

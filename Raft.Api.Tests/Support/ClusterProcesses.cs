using System.Globalization;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Support;

/// <summary>A cluster of real processes on loopback. Whatever happens in the test, its processes end with it.</summary>
public sealed class ClusterProcesses : IAsyncDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly ITestOutputHelper? _output;
    private readonly List<NodeProcess> _nodes;
    private readonly List<NodeProcess> _former = [];

    private ClusterProcesses(int nodes, ITestOutputHelper? output, string clusterId)
    {
        _output = output;
        int[] ports = Ports.Take(nodes * 2);
        _nodes = [.. Enumerable.Range(0, nodes).Select(n => new NodeProcess($"n{n + 1}", _directory[$"n{n + 1}"], ports[2 * n], ports[(2 * n) + 1]))];
        foreach (NodeProcess node in Nodes)
        {
            node.Settings["Raft__ClusterId"] = clusterId;
            node.Settings["Raft__Bootstrap"] = "false";
        }

        ListMembers();
    }

    public IReadOnlyList<NodeProcess> Nodes => _nodes;

    public NodeProcess this[int index] => Nodes[index];

    public IEnumerable<NodeProcess> Running => Nodes.Where(node => node.IsRunning);

    public string Directory => _directory.Path;

    /// <summary>Makes a cluster and starts nothing yet.</summary>
    public static ClusterProcesses Create(
        int nodes, ITestOutputHelper? output, Action<NodeProcess>? configure = null, string clusterId = "test")
    {
        var cluster = new ClusterProcesses(nodes, output, clusterId);
        foreach (NodeProcess node in cluster.Nodes)
            configure?.Invoke(node);
        return cluster;
    }

    /// <summary>Starts a cluster and waits until every node can take writes; with other ports when one was just taken.</summary>
    public static async Task<ClusterProcesses> StartAsync(
        int nodes, ITestOutputHelper? output, Action<NodeProcess>? configure = null, string clusterId = "test")
    {
        for (int tries = 1; ; tries++)
        {
            ClusterProcesses cluster = Create(nodes, output, configure, clusterId);
            try
            {
                foreach (NodeProcess node in cluster.Nodes)
                    node.Start();
                await cluster.WaitUntilReadyAsync();
                return cluster;
            }
            catch (Exception) when (tries < 3 && cluster.Nodes.Any(node => node.Output.Contains("in use", StringComparison.OrdinalIgnoreCase)))
            {
                await cluster.DisposeAsync();
            }
            catch
            {
                await cluster.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>A node that has ended gets other ports; its settings stay, but for where it listens and for its own entry in Raft:Members.</summary>
    public NodeProcess Move(int index)
    {
        NodeProcess former = Nodes[index];
        int[] ports = Ports.Take(2);
        var moved = new NodeProcess(former.Id, former.DataDirectory, ports[0], ports[1]);
        foreach ((string key, string? value) in former.Settings)
            moved.Settings.TryAdd(key, value);
        _former.Add(former);
        _nodes[index] = moved;
        List(moved, index);
        return moved;
    }

    /// <summary>Every node lists every other one where it is now.</summary>
    public void ListMembers()
    {
        foreach (NodeProcess node in Nodes)
        {
            for (int n = 0; n < Nodes.Count; n++)
                List(node, n);
        }
    }

    private void List(NodeProcess node, int index)
    {
        string member = string.Create(CultureInfo.InvariantCulture, $"Raft__Members__{index}__");
        node.Settings[member + "Id"] = Nodes[index].Id;
        node.Settings[member + "PeerUrl"] = Nodes[index].PeerUrl;
        node.Settings[member + "ApiUrl"] = Nodes[index].ApiUrl;
    }

    /// <summary>For tests that a change of leader would disturb: a busy machine is not taken for a dead leader.</summary>
    public static void Patient(NodeProcess node)
    {
        node.Settings["Raft__ElectionTicks"] = "40";
        node.Settings["Raft__FailureDetector__TimeoutMs"] = "2000";
    }

    public async Task WaitUntilReadyAsync()
    {
        foreach (NodeProcess node in Running.ToArray())
            await node.WaitUntilReadyAsync();
    }

    /// <summary>The leader that a majority of the running nodes names.</summary>
    public async Task<NodeProcess> LeaderAsync(NodeProcess? otherThan = null)
    {
        NodeProcess? found = null;
        await Wait.UntilAsync(
            async () =>
            {
                foreach (NodeProcess node in Running.Where(node => node != otherThan))
                {
                    try
                    {
                        if ((await node.StatusAsync()).IsLeader)
                        {
                            found = node;
                            return true;
                        }
                    }
                    catch (HttpRequestException)
                    {
                        // This one is just starting; another may lead.
                    }
                    catch (KeyNotFoundException)
                    {
                        // It has no group yet.
                    }
                }

                return false;
            },
            $"a leader{(otherThan is null ? "" : $" other than {otherThan.Id}")}",
            Tail);
        return found!;
    }

    public async Task<NodeProcess> FollowerAsync()
    {
        NodeProcess leader = await LeaderAsync();
        return Running.First(node => node != leader);
    }

    /// <summary>Waits until all running nodes have applied the same index and hold the same state.</summary>
    public async Task<IReadOnlyList<NodeStatus>> WaitUntilEqualAsync()
    {
        List<NodeStatus> last = [];
        await Wait.UntilAsync(
            async () =>
            {
                List<NodeStatus> now = [];
                foreach (NodeProcess node in Running)
                    now.Add(await node.StatusAsync());
                last = now;
                return now.All(status => status.AppliedIndex == now[0].AppliedIndex && status.CommitIndex == status.AppliedIndex)
                    && now.All(status => status.StateHash is not null && status.StateHash == now[0].StateHash);
            },
            "equal applied indexes and state hashes",
            () => string.Join(Environment.NewLine, last.Select(status => status.Text)) + Tail());
        return last;
    }

    public string Tail() => string.Join(Environment.NewLine, Nodes.Select(node => node.Tail()));

    public async ValueTask DisposeAsync()
    {
        foreach (NodeProcess node in Nodes.Concat(_former))
            await node.DisposeAsync();
        _output?.WriteLine(Tail());
        _directory.Dispose();
    }
}

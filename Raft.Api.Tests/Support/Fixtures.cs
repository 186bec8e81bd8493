namespace Raft.Api.Tests.Support;

/// <summary>One node, a cluster of its own, for all tests of a class.</summary>
public sealed class OneNode : IAsyncLifetime
{
    private ClusterProcesses? _cluster;

    public NodeProcess Node => _cluster![0];

    public async Task InitializeAsync() => _cluster = await ClusterProcesses.StartAsync(1, output: null);

    public Task DisposeAsync() => _cluster!.DisposeAsync().AsTask();
}

/// <summary>A cluster of three nodes for all tests of a class.</summary>
public sealed class ThreeNodes : IAsyncLifetime
{
    private ClusterProcesses? _cluster;

    public ClusterProcesses Cluster => _cluster!;

    public async Task InitializeAsync() => _cluster = await ClusterProcesses.StartAsync(3, output: null, ClusterProcesses.Patient);

    public Task DisposeAsync() => _cluster!.DisposeAsync().AsTask();
}

/// <summary>A cluster of three nodes with two groups, "default" and "orders", for all tests of a class. Another node leads each
/// group, so the cluster has no reason to spread leaders while a test looks.</summary>
public sealed class TwoGroups : IAsyncLifetime
{
    private ClusterProcesses? _cluster;

    public ClusterProcesses Cluster => _cluster!;

    public async Task InitializeAsync()
    {
        _cluster = await ClusterProcesses.StartAsync(3, output: null, Configure);
        NodeProcess node = _cluster[0];
        string leader = await node.LeaderOfAsync();
        await node.LeadAsync("orders", _cluster.Nodes.First(other => other.Id != leader).Id);
    }

    public Task DisposeAsync() => _cluster!.DisposeAsync().AsTask();

    public static void Configure(NodeProcess node)
    {
        ClusterProcesses.Patient(node);
        node.Settings["Raft__Groups__0__Id"] = "default";
        node.Settings["Raft__Groups__1__Id"] = "orders";
    }
}

using System.Globalization;
using System.Net.Sockets;
using Raft.Api.Tests.Support;
using Raft.Chaos.Machine;

namespace Raft.Chaos.Cluster;

/// <summary>The nodes of a run, and which of them a fault has for itself.</summary>
internal sealed class ChaosCluster : IAsyncDisposable
{
    private const int PortStep = 10;
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private readonly HashSet<ChaosNode> _claimed = [];
    private readonly Lock _gate = new();

    private ChaosCluster(RunPlace place, ClusterOptions options, RunLog log)
    {
        Options = options;
        Log = log;
        Helpers = new Helpers(Path.Combine(place.Directory, "helpers"));
        Network = new Network(place);
        Nodes = [.. Enumerable.Range(1, options.Nodes).Select(n => new ChaosNode(n, place, Network, options, Helpers, log))];
        foreach (ChaosNode node in Nodes)
            Configure(node);
    }

    public ClusterOptions Options { get; }
    public RunLog Log { get; }
    public Helpers Helpers { get; }
    public Network Network { get; }
    public IReadOnlyList<ChaosNode> Nodes { get; }

    /// <summary>It meets every fault but those that end a process: what leaks has the whole run to show itself there.</summary>
    public ChaosNode? Survivor { get; set; }

    /// <summary>A fault has taken space, on a disk or in memory: from then on writes may be refused for it.</summary>
    public bool MayLackSpace { get; set; }

    public static async Task<ChaosCluster> StartAsync(RunPlace place, ClusterOptions options, RunLog log)
    {
        var cluster = new ChaosCluster(place, options, log);
        try
        {
            await cluster.Helpers.CompileAsync(options);
            await cluster.Network.CreateAsync();
            foreach (ChaosNode node in cluster.Nodes)
            {
                await cluster.Network.AddAsync(node.Namespace, node.Number);
                await node.Disk.CreateAsync();
                if (options.HasLyingDisks)
                    node.Disk.Break(syncsLie: true);
            }

            foreach (ChaosNode node in cluster.Nodes)
                node.Start();
            foreach (ChaosNode node in cluster.Nodes)
                await node.Process.WaitUntilReadyAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>A node that no other fault has at the moment; null when there is none.</summary>
    /// <param name="draw">Which one, if nothing else decides.</param>
    /// <param name="prefersLeader">The leader, if it is free.</param>
    /// <param name="isDeadly">Whether its process may end.</param>
    public async Task<ChaosNode?> ClaimAsync(int draw, bool prefersLeader, bool isDeadly)
    {
        string? leader = prefersLeader ? await LeaderAsync() : null;
        lock (_gate)
        {
            ChaosNode[] free = [.. Nodes.Where(node => !_claimed.Contains(node) && !(isDeadly && node == Survivor))];
            if (free.Length == 0)
                return null;
            ChaosNode chosen = free.FirstOrDefault(node => node.Id == leader) ?? free[draw % free.Length];
            _claimed.Add(chosen);
            return chosen;
        }
    }

    public void Release(ChaosNode node)
    {
        lock (_gate)
            _claimed.Remove(node);
    }

    /// <summary>Who leads, as most of those say that answer; null when nobody says.</summary>
    public async Task<string?> LeaderAsync()
    {
        string?[] named = await Task.WhenAll(Nodes.Select(async node => (await StatusOrNullAsync(node))?.Leader));
        return named.Where(name => name is not null).GroupBy(name => name).OrderByDescending(group => group.Count()).FirstOrDefault()?.Key;
    }

    /// <summary>Null when the node does not answer now.</summary>
    public static async Task<NodeStatus?> StatusOrNullAsync(ChaosNode node)
    {
        if (!node.Process.IsRunning)
            return null;
        try
        {
            using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            using HttpResponseMessage answer = await node.Process.Http.GetAsync("/v1/status", bound.Token);
            return answer.IsSuccessStatusCode ? NodeStatus.Parse(await answer.Content.ReadAsStringAsync(bound.Token)) : null;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or SocketException or OperationCanceledException or KeyNotFoundException or IndexOutOfRangeException)
        {
            return null; // dead, stopped, or just starting
        }
    }

    /// <summary>Waits, with patience, until these nodes are ready; false when some are not by then.</summary>
    public static async Task<bool> AreReadyAsync(IEnumerable<ChaosNode> nodes, TimeSpan patience)
    {
        try
        {
            foreach (ChaosNode node in nodes)
            {
                await Wait.UntilAsync(
                    async () =>
                    {
                        using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(1));
                        using HttpResponseMessage answer = await node.Process.Http.GetAsync("/readyz", bound.Token);
                        return answer.IsSuccessStatusCode;
                    },
                    $"{node.Id} to be ready", bound: patience);
            }

            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ChaosNode node in Nodes)
            await node.DisposeAsync();
    }

    private void Configure(ChaosNode node)
    {
        Dictionary<string, string?> settings = node.Process.Settings;
        settings["Raft__ClusterId"] = "chaos";
        settings["Raft__Bootstrap"] = "false";
        settings["Raft__Security__AllowInsecure"] = "true";
        settings["Raft__RequestTimeoutMs"] = "3000";

        // Keys are kept to the end: jumping clocks would else make them old before their clients ask again.
        settings["Raft__Idempotency__MaxKeys"] = "2000000";

        // Snapshots are taken and sent all the time.
        settings["Raft__Limits__SnapshotFloorBytes"] = (512 << 10).ToString(CultureInfo.InvariantCulture);
        settings["Raft__Limits__MaxLogDiskBytes"] = (4 << 20).ToString(CultureInfo.InvariantCulture);
        settings["Raft__Limits__SnapshotTrailingEntries"] = "200";
        settings["Raft__Limits__SnapshotTrailingBytes"] = (256 << 10).ToString(CultureInfo.InvariantCulture);
        settings["Raft__Limits__SnapshotChunkBytes"] = (64 << 10).ToString(CultureInfo.InvariantCulture);
        ConfigureMembers(node);
    }

    /// <summary>Whom the node is told of: all members, or, once it came back as a new one, those that it asks to take it in.</summary>
    public void ConfigureMembers(ChaosNode node)
    {
        Dictionary<string, string?> settings = node.Process.Settings;
        if (node.JoinsBySetting)
        {
            foreach ((int n, ChaosNode other) in Nodes.Where(other => other != node).Index())
                settings[string.Create(CultureInfo.InvariantCulture, $"Raft__Join__{n}")] = other.Process.PeerUrl;
            return;
        }

        foreach ((int n, ChaosNode member) in Nodes.Index())
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"Raft__Members__{n}__");
            settings[prefix + "Id"] = member.Id;
            settings[prefix + "PeerUrl"] = member.Process.PeerUrl;
            settings[prefix + "ApiUrl"] = member.Process.ApiUrl;
        }
    }

    /// <summary>These listen on other peer ports from their next start on; every node's settings know it from its own next start on.</summary>
    public void Move(IReadOnlyList<ChaosNode> moved)
    {
        foreach (ChaosNode node in moved)
            node.Process.MovePeer(node.Process.PeerPort + PortStep);
        foreach (ChaosNode node in Nodes)
            ConfigureMembers(node);
    }
}

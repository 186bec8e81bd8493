using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Hosting;
using Raft.Host.Settings;

namespace Raft.Api.Tests.Hosting;

/// <summary>Nodes that form a cluster in one process: their questions go from desk to desk without a wire.</summary>
internal sealed class FormationNetwork : IAsyncDisposable
{
    private readonly List<FormationNode> _all = [];
    private readonly Dictionary<string, FormationNode> _up = [];

    public FormationNode Start(string id, FormationDisk disk, string[]? members = null, string clusterId = "test")
    {
        var node = new FormationNode(this, id, disk, members ?? ["n1", "n2", "n3"], clusterId);
        lock (_up)
            _up[id] = node;
        _all.Add(node);
        node.Run();
        return node;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (FormationNode node in _all)
            await node.DisposeAsync();
    }

    public FormationDesk? DeskOf(string host)
    {
        lock (_up)
            return _up.GetValueOrDefault(host)?.Desk;
    }
}

/// <summary>A data directory that survives its node.</summary>
internal sealed class FormationDisk : IFormationDirectory
{
    public StorageId StorageId { get; } = new(new UInt128((ulong)Random.Shared.NextInt64(), (ulong)Random.Shared.NextInt64()));
    public long StartCount { get; set; }
    public FormedCluster? Cluster { get; private set; }

    /// <summary>Completes when the write may go on; to stop a node in the middle of it.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public async Task FormAsync(ClusterUid uid, GroupId group, Configuration first)
    {
        await Gate;
        Assert.Null(Cluster);
        Cluster = new FormedCluster(uid, first);
    }
}

internal sealed class FormationNode : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly FormationDisk _disk;
    private readonly Formation _formation;

    public FormationNode(FormationNetwork network, string id, FormationDisk disk, string[] members, string clusterId)
    {
        var options = new RaftOptions
        {
            ClusterId = clusterId,
            NodeId = id,
            Members = [.. members.Select(member => new MemberOptions { Id = member, PeerUrl = $"http://{member}:1" })],
        };
        var settings = new NodeSettings(options, new EndpointOptions(new Uri("http://api:1"), new Uri("http://peer:1")));
        Desk = new FormationDesk(settings);
        _disk = disk;
        _disk.StartCount++;
        _formation = new Formation(settings, Desk, State, NullLogger<Formation>.Instance, new Wire(network));
    }

    public FormationDesk Desk { get; }
    public NodeState State { get; } = new();
    public Task<FormedCluster> Formed { get; private set; } = Task.FromException<FormedCluster>(new InvalidOperationException());

    public void Run() => Formed = RunAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await ((Task)Formed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _formation.Dispose();
        _stop.Dispose();
    }

    /// <summary>Waits until the node explains itself with this.</summary>
    public async Task SaysAsync(string part)
    {
        for (int i = 0; i < 3000 && !State.Now.Reason.Contains(part, StringComparison.Ordinal); i++)
            await Task.Delay(10);
        Assert.Contains(part, State.Now.Reason, StringComparison.Ordinal);
        Assert.Equal(NodePhase.Forming, State.Now.Phase);
        Assert.False(Formed.IsCompleted);
    }

    private async Task<FormedCluster> RunAsync()
    {
        FormedCluster cluster = _disk.Cluster ?? await _formation.RunAsync(_disk, _stop.Token);
        Desk.BecomeMember(_disk.StorageId, cluster.Uid, cluster.First);
        return cluster;
    }

    private sealed class Wire(FormationNetwork network) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            FormationDesk desk = network.DeskOf(request.RequestUri!.Host) ?? throw new HttpRequestException("Connection refused.");
            FormationQuestion question = (await request.Content!.ReadFromJsonAsync(FormationJson.Default.FormationQuestion, cancellationToken))!;
            return new HttpResponseMessage(HttpStatusCode.OK)
            {
                Content = JsonContent.Create(desk.Answer(question), FormationJson.Default.FormationAnswer),
            };
        }
    }
}

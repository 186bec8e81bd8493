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

    /// <summary>What the leader of the cluster says to who wants in; without one nobody leads.</summary>
    public Func<JoinRequest, JoinAnswer> Leader { get; set; } = static _ => new JoinAnswer(JoinVerdict.Wait, "The first group has no leader at the moment.");

    public FormationNode Start(string id, FormationDisk disk, string[]? members = null, string clusterId = "test", Action<RaftOptions>? configure = null,
        bool forgetsFirst = false)
    {
        var node = new FormationNode(this, id, disk, members ?? ["n1", "n2", "n3"], clusterId, configure) { ForgetsFirst = forgetsFirst };
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
        _all.Clear();
    }

    public async Task StopAllAsync()
    {
        lock (_up)
            _up.Clear();
        await DisposeAsync();
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
    public bool IsLost => FormerUid is not null;
    public ClusterUid? FormerUid { get; init; }

    /// <summary>Completes when the write may go on; to stop a node in the middle of it.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public async Task FormAsync(ClusterUid uid, GroupId group, Configuration first)
    {
        await Gate;
        Assert.Null(Cluster);
        Cluster = new FormedCluster(uid, first);
    }

    public async Task AdoptAsync(ClusterUid uid)
    {
        await Gate;
        Assert.Null(Cluster);
        Cluster = new FormedCluster(uid, First: null);
    }
}

internal sealed class FormationNode : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly FormationDisk _disk;
    private readonly Formation _formation;
    private readonly PeerQuestions _questions;

    public FormationNode(FormationNetwork network, string id, FormationDisk disk, string[] members, string clusterId, Action<RaftOptions>? configure)
    {
        var options = new RaftOptions
        {
            ClusterId = clusterId,
            NodeId = id,
            Members = [.. members.Select(member => new MemberOptions { Id = member, PeerUrl = $"http://{member}:1" })],
        };
        options.Groups.Add(new GroupOptions { Id = "default" });
        configure?.Invoke(options);
        var settings = new NodeSettings(options, new EndpointOptions(new Uri("http://api:1"), new Uri("http://peer:1")));
        Desk = new FormationDesk(settings);
        _disk = disk;
        _disk.StartCount++;
        _questions = new PeerQuestions(new Wire(network));
        _formation = new Formation(settings, new NodeAddresses(settings, new BoundEndpoints()), Desk, State, _questions, NullLogger<Formation>.Instance);
    }

    public FormationDesk Desk { get; }
    public NodeState State { get; } = new();

    /// <summary>What is in force by now; null: what the cluster began with.</summary>
    public Configuration? Configuration { get; set; }

    /// <summary>Its log no longer holds the first configuration.</summary>
    public bool ForgetsFirst { get; init; }
    public Task<FormedCluster> Formed { get; private set; } = Task.FromException<FormedCluster>(new InvalidOperationException());

    public void Run() => Formed = RunAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await ((Task)Formed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _questions.Dispose();
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
        Desk.BecomeMember(_disk.StorageId, cluster.Uid, ForgetsFirst ? null : cluster.First, () => Configuration ?? cluster.First ?? Raft.Engine.Protocol.Configuration.Empty);
        return cluster;
    }

    private sealed class Wire(FormationNetwork network) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            FormationDesk desk = network.DeskOf(request.RequestUri!.Host) ?? throw new HttpRequestException("Connection refused.");
            if (request.RequestUri.AbsolutePath.EndsWith("/join", StringComparison.Ordinal))
            {
                JoinRequest join = (await request.Content!.ReadFromJsonAsync(FormationJson.Default.JoinRequest, cancellationToken))!;
                return new HttpResponseMessage(HttpStatusCode.OK) { Content = JsonContent.Create(network.Leader(join), FormationJson.Default.JoinAnswer) };
            }

            FormationQuestion question = (await request.Content!.ReadFromJsonAsync(FormationJson.Default.FormationQuestion, cancellationToken))!;
            return new HttpResponseMessage(HttpStatusCode.OK)
            {
                Content = JsonContent.Create(desk.Answer(question), FormationJson.Default.FormationAnswer),
            };
        }
    }
}

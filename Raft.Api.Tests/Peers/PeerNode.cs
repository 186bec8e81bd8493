using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Raft.Engine.Protocol;
using Raft.Host;
using Raft.Host.Peers;

namespace Raft.Api.Tests.Peers;

/// <summary>A transport behind a Kestrel of its own on a loopback port.</summary>
internal sealed class PeerNode : IAsyncDisposable
{
    public static readonly ClusterUid Cluster = new(0xC0FFEE);

    private readonly WebApplication _app;

    private PeerNode(WebApplication app, PeerTransport transport, TestLog log)
    {
        _app = app;
        Transport = transport;
        Log = log;
        Port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;
    }

    public PeerTransport Transport { get; }
    public TestLog Log { get; }
    public int Port { get; }
    public string Url => $"http://127.0.0.1:{Port}";

    public static NodeIdentity IdentityOf(string node, uint storage, long start = 1, ulong nonce = 1, long openingSequence = 0) =>
        new(Cluster, new NodeId(node), new StorageId(storage), start, nonce, openingSequence);

    /// <summary>Up and listening; the transport is not started yet.</summary>
    public static async Task<PeerNode> ListenAsync(int port = 0, PeerSettings? settings = null)
    {
        var log = new TestLog();
        using var logs = LoggerFactory.Create(logging => logging.AddProvider(log).SetMinimumLevel(LogLevel.Trace));
        var transport = new PeerTransport(settings ?? new PeerSettings(), TimeProvider.System, logs);
        // An empty one: the service's own appsettings.json lies beside the tests and names its default ports.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Error);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            PeerTransport.ConfigureKestrel(kestrel);
            kestrel.Listen(IPAddress.Loopback, port, PeerTransport.ConfigureListener);
        });
        WebApplication app = builder.Build();
        transport.Map(app);
        await app.StartAsync();
        return new PeerNode(app, transport, log);
    }

    /// <param name="advertises">Its handshakes say where it listens.</param>
    public static async Task<PeerNode> StartAsync(NodeIdentity identity, int port = 0, PeerSettings? settings = null, bool advertises = false)
    {
        PeerNode node = await ListenAsync(port, settings);
        node.Transport.Start(identity, () => identity.OpeningSequence, advertises ? node.Url : null);
        return node;
    }

    public Member MemberOf(NodeIdentity identity) => new(identity.Node, identity.Storage, MemberKind.Voter, Url, "http://127.0.0.1:1");

    /// <summary>For a failed test.</summary>
    public string Explain() =>
        string.Join('\n', Transport.Peers.Select(peer => peer.ToString()).Concat(Log.Lines.Select(line => $"{line.Level} {line.Id}: {line.Text}")));

    /// <summary>As a killed process leaves it: connections broken, nobody listening.</summary>
    public async ValueTask DisposeAsync()
    {
        await Transport.DisposeAsync();
        await _app.DisposeAsync();
    }
}

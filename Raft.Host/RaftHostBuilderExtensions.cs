using OpenTelemetry.Metrics;
using Raft.Host.Api;
using Raft.Host.Hosting;
using Raft.Host.Monitoring;
using Raft.Host.Peers;
using Raft.Host.Settings;

namespace Raft.Host;

/// <summary>What makes a web application a node.</summary>
public static class RaftHostBuilderExtensions
{
    /// <summary>Reads the settings, names the endpoints and adds every service of a node.</summary>
    /// <exception cref="SettingsException">The configuration cannot be used; lists every fault.</exception>
    public static WebApplicationBuilder AddRaftHost(this WebApplicationBuilder builder)
    {
        NodeSettings settings = NodeSettings.Read(builder.Configuration);
        var bound = new BoundEndpoints();
        builder.WebHost.ConfigureKestrel((context, kestrel) =>
        {
            kestrel.AddServerHeader = false;
            PeerTransport.ConfigureKestrel(kestrel);
            PeerPort.ConfigureEndpoints(kestrel, context.Configuration, bound);
        });

        IServiceCollection services = builder.Services;
        services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(10));
        services.AddSingleton(settings);
        services.AddSingleton(bound);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<NodeState>();
        services.AddSingleton<GroupRegistry>();
        services.AddSingleton<FormationDesk>();
        services.AddSingleton<RequestsInFlight>();
        services.AddSingleton<NodeDrain>();
        services.AddSingleton<ClusterMembers>();
        services.AddSingleton(PeerSettingsOf(settings.Raft));
        services.AddSingleton<PeerTransport>();
        services.AddRaftMonitoring();
        services.AddRaftApi();
        services.AddRaftSwagger();
        services.AddHostedService<RaftHostedService>();
        return builder;
    }

    /// <summary>All routes of a node, each on its endpoint.</summary>
    public static WebApplication UseRaftHost(this WebApplication app)
    {
        // First of all: what is counted before it listens is lost, and with it the series that begin at 0.
        _ = app.Services.GetRequiredService<MeterProvider>();

        app.UseRouting();
        app.UsePeerPort();
        WriteOutcomes outcomes = app.Services.GetRequiredService<WriteOutcomes>();
        app.UseWhen(context => context.Request.Path.StartsWithSegments("/v1"), api => api.Use(next => context => outcomes.CountAsync(context, next)));
        app.UseWhen(context => !PeerPort.IsPeer(context), api => api.UseRaftSwagger().UseRaftApi());

        RouteGroupBuilder peerRoutes = app.MapPeerRoutes();
        app.Services.GetRequiredService<PeerTransport>().Map(peerRoutes);
        peerRoutes.MapFormation();
        app.MapRaftMetrics();
        app.MapRaftApi();
        return app;
    }

    private static PeerSettings PeerSettingsOf(RaftOptions options) => new()
    {
        Ping = TimeSpan.FromMilliseconds(options.FailureDetector.PingMs),
        LivenessTimeout = TimeSpan.FromMilliseconds(options.FailureDetector.TimeoutMs),
        // The largest command, or the fullest append, must fit into a frame, and a few frames into a queue.
        MaxFrameBytes = Math.Max(12 << 20, 2 * Math.Max(options.Limits.MaxCommandBytes, options.Limits.MaxAppendBytes)),
        MaxQueueBytes = Math.Max(16 << 20, 4L * Math.Max(options.Limits.MaxCommandBytes, options.Limits.MaxAppendBytes)),
    };
}

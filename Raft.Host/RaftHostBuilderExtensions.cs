using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Configuration.Memory;
using OpenTelemetry.Metrics;
using Raft.Engine.Server;
using Raft.Host.Api;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.Monitoring;
using Raft.Host.Peers;
using Raft.Host.Settings;

namespace Raft.Host;

/// <summary>What makes a web application a node.</summary>
public static class RaftHostBuilderExtensions
{
    /// <summary>Reads the settings, names the endpoints and adds every service of a node.</summary>
    /// <param name="builder">Of the application that becomes a node.</param>
    /// <param name="configure">Changes the options after the configuration was read, before they are checked.</param>
    /// <exception cref="SettingsException">The configuration cannot be used; lists every fault.</exception>
    public static RaftHostBuilder AddRaftHost(this WebApplicationBuilder builder, Action<RaftOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        AddDefaultEndpoints(builder.Configuration);
        NodeSettings settings = NodeSettings.Read(builder.Configuration, configure);
        var bound = new BoundEndpoints();
        builder.WebHost.UseKestrelHttpsConfiguration();     // an endpoint with https and its certificate, as the configuration names them
        builder.WebHost.ConfigureKestrel((context, kestrel) =>
        {
            kestrel.AddServerHeader = false;
            // Above the limits of RequestChecks, which answer with a problem; what is over these gets a bare status from Kestrel.
            kestrel.Limits.MaxRequestLineSize = 2 * RequestChecks.TargetCharsMax;
            kestrel.Limits.MaxRequestHeadersTotalSize = 2 * RequestChecks.HeaderCharsMax;
            kestrel.Limits.MaxRequestHeaderCount = 2 * RequestChecks.HeaderCountMax;
            settings.Limits.ApplyTo(kestrel.Limits, settings.MemoryBytes);
            PeerTransport.ConfigureKestrel(kestrel);
            PeerPort.ConfigureEndpoints(kestrel, context.Configuration, bound);
        });

        var stateMachines = new StateMachineFactory();
        IServiceCollection services = builder.Services;
        services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(10));
        services.AddSingleton(settings);
        services.AddSingleton(bound);
        services.AddSingleton<ConnectionCounts>();
        services.AddSingleton<IConnectionListenerFactory, LimitedListenerFactory>();     // the last one is Kestrel's first choice
        services.AddSingleton(stateMachines);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(PeerSettingsOf(settings));
        services.AddSingleton<PeerTransport>();
        services.AddHosting();
        services.AddRaftMonitoring();
        services.AddRaftApi();
        services.AddRaftSwagger();
        services.AddHostedService<RaftHostedService>();
        return new RaftHostBuilder(services, stateMachines);
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
        app.UseWhen(context => !PeerPort.IsPeer(context), api => api.UseRaftApi().UseRaftSwagger());

        RouteGroupBuilder peerRoutes = app.MapPeerRoutes();
        app.Services.GetRequiredService<PeerTransport>().Map(peerRoutes);
        peerRoutes.MapFormation();
        app.MapRaftMetrics();
        app.MapRaftApi();
        return app;
    }

    private static void AddHosting(this IServiceCollection services)
    {
        services.AddSingleton<NodeState>();
        services.AddSingleton<NodeAddresses>();
        services.AddSingleton<NodeDrain>();
        services.AddSingleton<NodeRestart>();
        services.AddSingleton<RequestsInFlight>();
        services.AddSingleton<GroupRegistry>();
        services.AddSingleton(static provider => InFlightOf(provider.GetRequiredService<NodeSettings>().Raft.Limits));
        services.AddSingleton(static provider => new StateBudget(
            provider.GetRequiredService<NodeSettings>().Raft.Limits.MaxStateBytes, provider.GetRequiredService<MemoryBudget>()));
        services.AddSingleton<GroupsHost>();
        services.AddSingleton<Caretaker>();
        services.AddSingleton<OwnAddressCorrection>();
        services.AddSingleton<AddressExchange>();
        services.AddSingleton<PeerSightings>();
        services.AddSingleton<DiskWatermark>();
        services.AddSingleton<LogBudget>();
        services.AddSingleton<MemoryWatch>();
        services.AddSingleton<PeerQuestions>();
        services.AddSingleton<FormationDesk>();
        services.AddSingleton<JoinDesk>();
        services.AddSingleton<ReturnDesk>();
        services.AddSingleton<ClusterMembers>();
        services.AddSingleton<Formation>();
        services.AddSingleton<Quarantine>();
        services.AddSingleton<Enrollment>();
    }

    /// <summary>An application without our settings file listens where that one says; whatever it configures itself wins.</summary>
    private static void AddDefaultEndpoints(ConfigurationManager configuration) => configuration.Sources.Insert(0, new MemoryConfigurationSource
    {
        InitialData =
        [
            new(EndpointOptions.ApiKey, EndpointOptions.ApiDefault),
            new(EndpointOptions.PeerKey, EndpointOptions.PeerDefault),
        ],
    });

    /// <summary>A quarter may wait, and what one group lets wait in any case: with little memory a few large commands are more than that.</summary>
    private static MemoryBudget InFlightOf(LimitsOptions limits) =>
        new(limits.MaxTotalBytes) { MaxWaitingBytes = Math.Max(limits.MaxTotalBytes / 4, limits.MaxUncommittedBytes) };

    private static PeerSettings PeerSettingsOf(NodeSettings settings)
    {
        RaftOptions options = settings.Raft;
        int largest = Math.Max(options.Limits.MaxCommandBytes, options.Limits.MaxAppendBytes);
        return new PeerSettings
        {
            Ping = TimeSpan.FromMilliseconds(options.FailureDetector.PingMs),
            Hints = NodeAddresses.HintsOf(options),
            LivenessTimeout = TimeSpan.FromMilliseconds(options.FailureDetector.TimeoutMs),
            // The largest command, or the fullest append, must fit into a frame, and a few frames into a queue.
            MaxFrameBytes = Math.Max(12 << 20, 2 * largest),
            MaxQueueBytes = Math.Max(4L * largest, Math.Min(16 << 20, settings.MemoryBytes / 32)),
        };
    }
}

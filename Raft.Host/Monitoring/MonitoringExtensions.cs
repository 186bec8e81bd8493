using OpenTelemetry.Metrics;

namespace Raft.Host.Monitoring;

/// <summary>The meters, and how Prometheus reads them.</summary>
internal static class MonitoringExtensions
{
    /// <summary>0.25 ms doubling up to 4 s: a sync takes about half a millisecond, an election about a second.</summary>
    private static readonly double[] LatencyBuckets = [.. Enumerable.Range(0, 15).Select(n => 0.00025 * (1 << n))];

    public static IServiceCollection AddRaftMonitoring(this IServiceCollection services)
    {
        services.AddSingleton<Readiness>();
        services.AddSingleton<MemoryMeters>();
        services.AddSingleton<RaftMeters>();
        services.AddSingleton<WriteOutcomes>();
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter("Raft.Engine", "Raft.Storage", "Raft.Peers", RaftMeters.MeterName, "Microsoft.AspNetCore.Server.Kestrel", "Microsoft.AspNetCore.Hosting")
            .AddRuntimeInstrumentation()

            // The framework's default buckets begin at 5 ms, where a write here is long over.
            .AddView("http.server.request.duration", new ExplicitBucketHistogramConfiguration { Boundaries = LatencyBuckets })
            .AddPrometheusExporter(exporter => exporter.ScopeInfoEnabled = false));
        return services;
    }

    /// <summary>The gauges exist from the first scrape on.</summary>
    public static void MapRaftMetrics(this WebApplication app)
    {
        _ = app.Services.GetRequiredService<RaftMeters>();
        _ = app.Services.GetRequiredService<WriteOutcomes>();
        app.MapPrometheusScrapingEndpoint("/metrics");
    }
}

using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Keeps the two endpoints apart: peers' routes answer on the Peer endpoint only, and no other route does.</summary>
/// <remarks>The listener marks each connection that it accepts. The Host header is never asked: it is the sender's to choose.</remarks>
internal static class PeerPort
{
    private static readonly PeerRoute Route = new();

    /// <summary>Both endpoints, as the configuration names them; the connections of the peer endpoint carry a mark.</summary>
    public static void ConfigureEndpoints(KestrelServerOptions kestrel, IConfiguration configuration, BoundEndpoints bound) => kestrel
        .Configure(configuration.GetSection("Kestrel"))
        .Endpoint(EndpointOptions.ApiName, endpoint => bound.Api = endpoint.ListenOptions)
        .Endpoint(EndpointOptions.PeerName, endpoint =>
        {
            bound.Peer = endpoint.ListenOptions;
            endpoint.ListenOptions.Protocols = HttpProtocols.Http2;
            endpoint.ListenOptions.Use(next => connection =>
            {
                connection.Features.Set(PeerConnection.Instance);
                return next(connection);
            });
        });

    /// <summary>Routes of the peer endpoint go into this group.</summary>
    public static RouteGroupBuilder MapPeerRoutes(this IEndpointRouteBuilder routes) => routes.MapGroup("").WithMetadata(Route);

    /// <summary>Right after routing: a route that belongs to the other endpoint does not exist here.</summary>
    public static IApplicationBuilder UsePeerPort(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        Endpoint? endpoint = context.GetEndpoint();
        bool isPeerRoute = endpoint?.Metadata.GetMetadata<PeerRoute>() is not null;
        if (context.Features.Get<PeerConnection>() is not null)
        {
            // At once: what comes after in the pipeline is made for clients.
            if (isPeerRoute && endpoint?.RequestDelegate is { } serve)
                return serve(context);

            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        if (isPeerRoute)
            context.SetEndpoint(endpoint: null);
        return next(context);
    });

    /// <summary>Whether the request came in on the peer endpoint.</summary>
    public static bool IsPeer(HttpContext context) => context.Features.Get<PeerConnection>() is not null;

    private sealed class PeerRoute;

    private sealed class PeerConnection
    {
        public static readonly PeerConnection Instance = new();
    }
}

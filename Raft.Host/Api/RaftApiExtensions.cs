using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Raft.Engine.Errors;
using Raft.Host.Hosting;
using Raft.Host.Memory;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>Adds the REST interface to an application.</summary>
public static class RaftApiExtensions
{
    public static IServiceCollection AddRaftApi(this IServiceCollection services)
    {
        services.TryAddSingleton(static provider => ApiSettings.Of(provider.GetRequiredService<NodeSettings>().Raft));
        services.TryAddSingleton(static provider => new BodyBudget(provider.GetRequiredService<NodeSettings>().Raft.Limits.MaxTotalBytes));
        services.AddSingleton<ApiServices>();
        services.AddSingleton<EntriesEndpoints>();
        services.AddSingleton<KeyValueEndpoints>();
        services.AddSingleton<IdempotencyEndpoints>();
        services.AddSingleton<OtherNodes>();
        services.AddSingleton<MembersEndpoints>();
        services.AddSingleton<LeadershipEndpoints>();
        services.AddSingleton<SnapshotEndpoints>();
        services.AddSingleton<DrainEndpoints>();
        services.AddSingleton<PeersEndpoints>();
        services.AddSingleton<ClusterEndpoints>();
        services.AddSingleton<HealthEndpoints>();
        return services;
    }

    /// <summary>Headers of every answer, and problems for every failure. After routing, before the routes; not on the peer endpoint.</summary>
    public static IApplicationBuilder UseRaftApi(this IApplicationBuilder app)
    {
        ArgumentNullException.ThrowIfNull(app);
        ILogger log = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger("Raft.Host.Api");
        ApiSettings settings = app.ApplicationServices.GetRequiredService<ApiSettings>();
        GroupRegistry groups = app.ApplicationServices.GetRequiredService<GroupRegistry>();
        return app.Use(next => context => AnswerAsync(context, next, settings, groups, log));
    }

    public static void MapRaftApi(this IEndpointRouteBuilder routes)
    {
        ArgumentNullException.ThrowIfNull(routes);
        Routes.Map(routes);
    }

    private static async Task AnswerAsync(HttpContext context, RequestDelegate next, ApiSettings settings, GroupRegistry groups, ILogger log)
    {
        RaftHeaders.Set(context, settings.NodeId, groups.Named(context));
        Problem? problem;
        try
        {
            RequestChecks.Check(context);
            await next(context);
            if (context.Response.StatusCode < 400 || context.Response.HasStarted || context.Response.ContentType is not null || context.Response.ContentLength > 0)
                return;
            problem = Problems.OfStatus(context.Response.StatusCode, DetailOf(context));
        }
        catch (ProblemException refused)
        {
            problem = refused.Problem;
        }
        catch (RaftException error)
        {
            problem = Problems.From(error);
            if (problem.Status == StatusCodes.Status500InternalServerError)
                log.RequestFailed(error, context.Request.Method, context.Request.Path);
        }
        catch (BadHttpRequestException error)
        {
            problem = Problems.OfStatus(error.StatusCode, error.Message) with { EndsConnection = true };
        }
        catch (Exception error) when (error is ConnectionResetException or ConnectionAbortedException or IOException or OperationCanceledException
            && context.RequestAborted.IsCancellationRequested)
        {
            return;     // nobody is left to be told
        }
        catch (Exception error)
        {
            log.RequestFailed(error, context.Request.Method, context.Request.Path);
            problem = Problems.Unexpected("A fault of this node; its log says more.");
        }

        if (context.Response.HasStarted || context.RequestAborted.IsCancellationRequested)
        {
            context.Abort();
            return;
        }

        try
        {
            await problem.WriteAsync(context);
        }
        catch (Exception error) when (error is ConnectionResetException or ConnectionAbortedException or IOException or OperationCanceledException)
        {
            // Nobody is left to be told.
        }
    }

    private static string DetailOf(HttpContext context) => context.Response.StatusCode switch
    {
        404 => $"{context.Request.Path} is no route of this service.",
        405 => $"{context.Request.Path} does not have the method {context.Request.Method}; allowed: {context.Response.Headers.Allow}.",
        _ => $"{context.Request.Method} {context.Request.Path} ended with {context.Response.StatusCode}.",
    };
}

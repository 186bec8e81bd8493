using Raft.Host.Hosting;

namespace Raft.Host.Api;

/// <summary>Before a restart: leads nothing, is not ready, and still serves who asks.</summary>
internal sealed class DrainEndpoints(ApiServices services, NodeDrain drain)
{
    public async Task DrainAsync(HttpContext context)
    {
        services.GroupOf(context);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        patience.CancelAfter(Query.Timeout(context.Request, services.Settings.RequestTimeoutMs));
        try
        {
            await drain.DrainAsync(patience.Token);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ProblemException(Problems.StillLeads([.. services.Groups.All.Where(group => group.Server.Role == Engine.Protocol.Role.Leader).Select(group => group.Id.Value)]));
        }

        await ShowAsync(context);
    }

    public Task EndAsync(HttpContext context)
    {
        drain.Resume();
        return ShowAsync(context);
    }

    public Task ShowAsync(HttpContext context) =>
        Answers.WriteJsonAsync(context, StatusCodes.Status200OK, new DrainDocument(drain.IsDraining), ApiJson.Default.DrainDocument);
}

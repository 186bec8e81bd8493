using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;

namespace Raft.Host.Api;

/// <summary>Snapshots of this node's own state: of all groups, or of one.</summary>
internal sealed class SnapshotEndpoints(ApiServices services)
{
    public Task ListAsync(HttpContext context) => WriteAsync(context, StatusCodes.Status200OK, services.GroupsOf(context));

    /// <summary>Takes them now. 201 when there is a new one, 200 when nothing was applied since the last, 202 when one takes longer.</summary>
    public async Task TakeAsync(HttpContext context)
    {
        IReadOnlyList<HostedGroup> groups = services.GroupsOf(context);
        TimeSpan timeout = Query.Timeout(context.Request, services.Settings.RequestTimeoutMs);
        GroupResult[] results = await EachGroup.RunAsync(groups, firstDecides: false, group => TakeAsync(group, timeout, context.RequestAborted), context.RequestAborted);
        if (EachGroup.ProblemOf(results) is { } problem)
            throw new ProblemException(problem);

        int status = results.Any(result => result.Outcome == GroupResult.InProgress) ? StatusCodes.Status202Accepted
            : results.Any(result => result.Outcome == GroupResult.Done) ? StatusCodes.Status201Created
            : StatusCodes.Status200OK;
        if (status != StatusCodes.Status200OK)
            context.Response.Headers.Location = GroupNames.PathOf(context, "snapshots");
        await WriteAsync(context, status, groups);
    }

    private static async Task<GroupResult> TakeAsync(HostedGroup group, TimeSpan timeout, CancellationToken clientGone)
    {
        RaftServer server = group.Server;
        SnapshotDescriptor? before = server.Status.Snapshot;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(clientGone);
        patience.CancelAfter(timeout);
        try
        {
            SnapshotDescriptor? taken = await server.TriggerSnapshotAsync(patience.Token);
            return new GroupResult(group.Id.Value, taken is null || taken.Index == before?.Index ? GroupResult.NothingToDo : GroupResult.Done);
        }
        catch (Exception error) when (error is RaftTimeoutException or OperationCanceledException && !clientGone.IsCancellationRequested && server.Status.IsTakingSnapshot)
        {
            return new GroupResult(group.Id.Value, GroupResult.InProgress, "It is being written.");
        }
    }

    private static Task WriteAsync(HttpContext context, int status, IReadOnlyList<HostedGroup> groups) => Answers.WriteJsonAsync(
        context, status,
        new SnapshotListDocument(
            [.. groups.Select(group => GroupDocuments.SnapshotOf(group.Id, group.Server.Status.Snapshot)).OfType<SnapshotDocument>()],
            [.. groups.Where(group => group.Server.Status.IsTakingSnapshot).Select(group => group.Id.Value)]),
        ApiJson.Default.SnapshotListDocument);
}

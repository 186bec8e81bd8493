using Raft.Engine.Errors;
using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>Who leads: handed over on purpose, from any node; and the read barrier that every linearizable read begins with.</summary>
internal sealed class LeadershipEndpoints(ApiServices services)
{
    /// <summary>The server ends a transfer at its own deadline, and says more than a caller that stopped waiting.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    /// <summary>To the node named, or to the best one; of all groups or of one.</summary>
    public async Task TransferAsync(HttpContext context)
    {
        IReadOnlyList<HostedGroup> groups = services.GroupsOf(context);
        TransferRequest? request = await RequestBody.JsonAsync(context, services, RequestJson.Default.TransferRequest);
        if (request?.Target is { } name && !RaftOptionsValidator.IsName(name))
            throw new ProblemException(Problems.BadNodeId("target", name));

        await HandOverAsync(context, groups, request?.Target is { } target ? new NodeId(target) : null);
    }

    /// <summary>Whoever leads stops to, in favour of the most caught-up voter that is alive.</summary>
    public Task StepDownAsync(HttpContext context) => HandOverAsync(context, services.GroupsOf(context), target: null);

    public async Task ReadBarrierAsync(HttpContext context)
    {
        HostedGroup group = services.GroupOf(context);
        LogIndex index = await services.BarrierAsync(context, group);
        await Answers.WriteJsonAsync(
            context, StatusCodes.Status200OK, new ReadBarrierDocument(group.Id.Value, index.Value, group.Server.CurrentTerm.Value), ApiJson.Default.ReadBarrierDocument);
    }

    private async Task HandOverAsync(HttpContext context, IReadOnlyList<HostedGroup> groups, NodeId? target)
    {
        TimeSpan timeout = Query.Timeout(context.Request, services.Settings.RequestTimeoutMs);
        bool isOne = groups.Count == 1;
        GroupResult[] results = await EachGroup.RunAsync(groups, firstDecides: false, group => HandOverAsync(group, target, timeout, isOne, context.RequestAborted), context.RequestAborted);
        if (results.All(result => result.Outcome == GroupResult.NothingToDo))
            throw new ProblemException(Problems.InvalidTarget($"'{target}' leads every group already."));
        if (EachGroup.ProblemOf(results) is { } problem)
            throw new ProblemException(problem);

        await Answers.WriteJsonAsync(context, StatusCodes.Status200OK, new LeadershipDocument([.. results.Select(result => result.ToDocument())]), ApiJson.Default.LeadershipDocument);
    }

    private static async Task<GroupResult> HandOverAsync(HostedGroup group, NodeId? target, TimeSpan timeout, bool isOne, CancellationToken clientGone)
    {
        RaftServer server = group.Server;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(clientGone);
        patience.CancelAfter(timeout + Grace);
        try
        {
            ServerId? leader = await server.TransferLeadershipAsync(target, timeout, patience.Token);
            return new GroupResult(group.Id.Value, GroupResult.Done) { Leader = leader?.Node };
        }
        catch (InvalidTransferTargetException refused)
        {
            // Where many groups are asked, those that it leads already are as wanted.
            if (!isOne && server.CurrentLeader?.Node == target)
                return new GroupResult(group.Id.Value, GroupResult.NothingToDo, $"'{target}' leads already.") { Leader = target };

            Configuration configuration = server.Configuration;
            throw new ProblemException(target is { } named && !configuration.All.Any(member => member.Node == named)
                ? Problems.UnknownMember(named.Value, $"group '{group.Id}'")
                : Problems.From(refused));
        }
    }
}

using Raft.Engine.Protocol;
using Raft.Engine.Server;
using Raft.Host.Hosting;
using Raft.Host.Settings;
using Raft.Host.StateMachine;

namespace Raft.Host.Api;

/// <summary>Who belongs to the cluster: of all groups, or of one. Rule 8.</summary>
/// <remarks>
/// A change: 1. the request is checked as far as it goes without a group. 2. Each group learns what is committed, completes the
/// request and proposes the change, the first one before all others: what it refuses changes nothing. 3. All are waited for;
/// what takes longer goes on by itself and is answered with 202.
/// </remarks>
internal sealed class MembersEndpoints(ApiServices services, ClusterMembers nodes, OtherNodes others)
{
    private const string Resource = "members";
    private const string NotThere = "unknownMember";
    private static readonly TimeSpan LeaderPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>What one group is asked for; null when the member that it is about is not there.</summary>
    private delegate Task<MembershipChange?> Plan(HostedGroup group, Configuration configuration, CancellationToken cancellation);

    /// <summary>As the leader sees them, who alone knows how far each is; <c>?local=true</c>: as this node does.</summary>
    public async Task GetAsync(HttpContext context)
    {
        HostedGroup group = services.GroupOf(context);
        (Precondition match, Precondition noneMatch) = RequestHeaders.ReadConditions(context.Request);
        ServerStatus server = group.Server.Status;
        MemberListDocument? seen = null;
        if (!Query.Flag(context.Request, "local") && server.Leader is { } leader && leader != group.Server.Id
            && server.Configuration.All.FirstOrDefault(member => member.Id == leader) is { } known)
        {
            (seen, _) = await others.AskAsync(known.ApiUrl, $"/v1/groups/{group.Id}/members?local=true", ApiJson.Default.MemberListDocument, LeaderPatience, context.RequestAborted);
        }

        // An answer of one that is behind us is no better than ours.
        if (seen is null || seen.ConfigurationIndex < group.Server.Status.ConfigurationIndex.Value)
            seen = GroupDocuments.MembersOf(group);
        if (GroupNames.InPath(context) is null)
            seen = seen with { GroupsInChange = [.. services.GroupsOf(context).Where(one => !GroupDocuments.IsSettled(one.Server.Status)).Select(one => one.Id.Value)] };
        SetTag(context, seen.ConfigurationIndex);
        if (!match.Holds(seen.ConfigurationIndex))
            throw new ProblemException(Problems.ConfigurationMoved($"The configuration in force is at index {seen.ConfigurationIndex}."));
        if (!noneMatch.Holds(seen.ConfigurationIndex))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        await Answers.WriteJsonAsync(context, StatusCodes.Status200OK, seen, ApiJson.Default.MemberListDocument);
    }

    /// <summary>These and no others, in one joint change.</summary>
    public async Task PutAsync(HttpContext context)
    {
        services.GroupOf(context);
        MembersRequest request = await RequestBody.JsonAsync(context, services, RequestJson.Default.MembersRequest)
            ?? throw new ProblemException(Problems.BadRequest("bad-body", "The body is missing: {\"members\":[{\"id\":...}, ...]}."));
        MemberRequests.Check(request.Members);
        var members = new MemberRequests(nodes, IsForced(context));
        await ChangeAsync(context, async (_, configuration, cancellation) =>
        {
            var wanted = new Member[request.Members.Count];
            for (int i = 0; i < wanted.Length; i++)
                wanted[i] = await members.CompleteAsync(request.Members[i], configuration, cancellation);
            return new MembershipChange { Set = wanted };
        });
    }

    /// <summary>Adds a member, or changes what is said of one that is there.</summary>
    public async Task PostAsync(HttpContext context)
    {
        services.GroupOf(context);
        MemberRequest request = await RequestBody.JsonAsync(context, services, RequestJson.Default.MemberRequest)
            ?? throw new ProblemException(Problems.BadRequest("bad-body", "The body is missing: {\"id\":...,\"peerUrl\":...,\"apiUrl\":...}."));
        MemberRequests.Check(request);
        var members = new MemberRequests(nodes, IsForced(context));
        await ChangeAsync(context, async (_, configuration, cancellation) =>
            new MembershipChange { Add = [await members.CompleteAsync(request, configuration, cancellation)] });
    }

    public Task DeleteAsync(HttpContext context) => ChangeOneAsync(context, member => new MembershipChange { Remove = [member.Id] });

    /// <summary>A learner joins, and is a voter once it has caught up.</summary>
    public Task PromoteAsync(HttpContext context) => ChangeOneAsync(context, member => new MembershipChange { Add = [member with { Kind = MemberKind.Voter }] });

    /// <summary>A voter goes on as a learner.</summary>
    public Task DemoteAsync(HttpContext context) => ChangeOneAsync(context, member => new MembershipChange { Add = [member with { Kind = MemberKind.Learner }] });

    private Task ChangeOneAsync(HttpContext context, Func<Member, MembershipChange> change)
    {
        services.GroupOf(context);
        string node = (string)context.Request.RouteValues["id"]!;
        if (!RaftOptionsValidator.IsName(node))
            throw new ProblemException(Problems.BadNodeId("id", node));
        return ChangeAsync(context, (_, configuration, _) =>
            Task.FromResult(MemberRequests.Find(configuration, node) is { } member ? change(member) : null), node);
    }

    private static bool IsForced(HttpContext context) => Query.Flag(context.Request, "force");

    private async Task ChangeAsync(HttpContext context, Plan plan, string? node = null)
    {
        IReadOnlyList<HostedGroup> groups = services.GroupsOf(context);
        LogIndex? expected = ExpectedIndex(context.Request);
        bool isForced = IsForced(context);
        long end = Environment.TickCount64 + (long)Query.Timeout(context.Request, services.Settings.RequestTimeoutMs).TotalMilliseconds;
        GroupResult[] results = await EachGroup.RunAsync(
            groups, firstDecides: true,
            group => ProposeAsync(group, plan, isForced, group == groups[0] ? expected : null, context.RequestAborted), context.RequestAborted);
        if (node is not null && results.All(result => result.Outcome == NotThere))
            throw new ProblemException(Problems.UnknownMember(node, groups.Count == 1 ? $"group '{groups[0].Id}'" : "any group"));

        await Task.WhenAll(Enumerable.Range(0, results.Length).Select(async i => results[i] = await WaitAsync(groups[i].Server, results[i], end, context.RequestAborted)));
        if (EachGroup.ProblemOf(results) is { } problem)
            throw new ProblemException(problem);

        string outcome = results.Any(result => result.Outcome == GroupResult.InProgress) ? GroupResult.InProgress
            : results.Any(result => result.Outcome == GroupResult.Done) ? GroupResult.Done
            : GroupResult.NothingToDo;
        if (outcome == GroupResult.InProgress)
            context.Response.Headers.Location = GroupNames.PathOf(context, Resource);
        SetTag(context, groups[0].Server.Status.ConfigurationIndex.Value);
        await Answers.WriteJsonAsync(
            context, outcome == GroupResult.InProgress ? StatusCodes.Status202Accepted : StatusCodes.Status200OK,
            new ChangeDocument(outcome, [.. results.Select(result => result.ToDocument())]), ApiJson.Default.ChangeDocument);
    }

    private async Task<GroupResult> ProposeAsync(HostedGroup group, Plan plan, bool isForced, LogIndex? expected, CancellationToken clientGone)
    {
        using Deadlines.Deadline deadline = services.Deadlines.Start(clientGone);
        RaftServer server = group.Server;
        await server.ReadBarrierAsync(deadline.Token);      // a change that was answered before is known here, whoever answered it
        ServerStatus before = server.Status;
        if (await plan(group, before.Configuration, deadline.Token) is not { } change)
            return new GroupResult(group.Id.Value, NotThere);

        LogIndex index = await server.ChangeMembersAsync(change with { IsForced = isForced, ExpectedIndex = expected }, deadline.Token);
        return new GroupResult(group.Id.Value, index <= before.ConfigurationIndex && GroupDocuments.IsSettled(before) ? GroupResult.NothingToDo : GroupResult.InProgress) { Index = index };
    }

    /// <summary>Until the change is done, this node cannot see it any more, or the time is up.</summary>
    private static async Task<GroupResult> WaitAsync(RaftServer server, GroupResult result, long end, CancellationToken clientGone)
    {
        if (result.Outcome == NotThere)
            return result with { Outcome = GroupResult.NothingToDo, Detail = "It is no member of this group." };
        if (result.Outcome != GroupResult.InProgress)
            return result;

        while (true)
        {
            ServerStatus now = server.Status;
            if (now.ConfigurationIndex >= result.Index && GroupDocuments.IsSettled(now))
                return result with { Outcome = GroupResult.Done, Index = now.ConfigurationIndex };

            bool isLeaving = now.Configuration.IsJoint && !now.Configuration.Current.Any(member => member.Id == server.Id);
            if (isLeaving || !server.IsAlive)
                return result with { Detail = "This node is being removed, so it does not see the end: ask another." };
            if (Environment.TickCount64 >= end)
                return result with { Detail = Describe(now) };
            await Task.Delay(Interval, clientGone);
        }
    }

    private static string Describe(ServerStatus now)
    {
        string[] joining = [.. now.Configuration.Current.Where(member => member.Kind == MemberKind.Joining).Select(member => member.Node.Value)];
        return now.Configuration.IsJoint ? "Both the old and the new set must agree now; the new one alone soon."
            : joining.Length > 0 ? $"{string.Join(", ", joining)} must catch up first."
            : "It is being committed.";
    }

    private static LogIndex? ExpectedIndex(HttpRequest request)
    {
        Precondition precondition = RequestHeaders.Precondition(request);
        return precondition switch
        {
            { Kind: PreconditionKind.None or PreconditionKind.Exists } => null,
            { Kind: PreconditionKind.Matches, Revisions: [> 0 and var index] } => new LogIndex(index),
            { Kind: PreconditionKind.Matches, Revisions: [_] } => throw new ProblemException(Problems.ConfigurationMoved("The tag of If-Match is of no configuration.")),
            _ => throw new ProblemException(Problems.BadRequest("bad-precondition", "Allowed here: If-Match with the one ETag that GET gave, or '*'.")),
        };
    }

    private static void SetTag(HttpContext context, long index) =>
        context.Response.Headers.ETag = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"\"{index}\"");
}

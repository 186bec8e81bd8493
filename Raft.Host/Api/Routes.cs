namespace Raft.Host.Api;

/// <summary>The table of contents of the REST interface.</summary>
internal static class Routes
{
    private static readonly string[] WriteHeaders = ["Idempotency-Key"];
    private static readonly string[] CompareHeaders = ["Idempotency-Key", "If-Match", "If-None-Match"];
    private static readonly string[] GetHead = ["GET", "HEAD"];
    private static readonly string[] MembersHeaders = ["If-Match"];
    private static readonly string[] ChangeQuery = ["force", "timeoutMs"];
    private static readonly int[] WriteStatuses = [408, 409, 413, 415, 422, 429, 504, 507];
    private static readonly int[] ChangeStatuses = [408, 409, 412, 413, 415, 504];

    /// <summary>Everything twice: what is data of the first group, or else of all groups; and of any one.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        IServiceProvider services = routes.ServiceProvider;
        foreach ((string root, string suffix) in new[] { ("/v1", ""), ("/v1/groups/{group}", "InGroup") })
        {
            MapData(routes, root, suffix, services);
            MapMembers(routes, root, suffix, services.GetRequiredService<MembersEndpoints>());
            MapLeadership(routes, root, suffix, services.GetRequiredService<LeadershipEndpoints>());
            MapSnapshots(routes, root, suffix, services.GetRequiredService<SnapshotEndpoints>());
        }

        MapCluster(routes, services.GetRequiredService<ClusterEndpoints>());
        MapPeers(routes, services.GetRequiredService<PeersEndpoints>());
        MapDrain(routes, services.GetRequiredService<DrainEndpoints>());
        MapHealth(routes, services.GetRequiredService<HealthEndpoints>());
    }

    private static void MapData(IEndpointRouteBuilder routes, string root, string suffix, IServiceProvider services)
    {
        var entries = services.GetRequiredService<EntriesEndpoints>();
        var kv = services.GetRequiredService<KeyValueEndpoints>();
        var idempotency = services.GetRequiredService<IdempotencyEndpoints>();

        Map(routes, ["POST"], root + "/entries", entries.AppendAsync, new OperationInfo(
            "appendEntry" + suffix, "Append one entry (any content type), or one per line of application/x-ndjson: all or nothing.", OperationInfo.Entries,
            [(201, typeof(AppendedDocument)), (201, typeof(AppendedLinesDocument)), (202, typeof(CommittedDocument))], [200, 204, .. WriteStatuses], ["wait"], WriteHeaders, "The entry, as it is; or JSON lines.", Bytes: "*/*"));
        Map(routes, ["GET"], root + "/entries", entries.ListAsync, new OperationInfo(
            "listEntries" + suffix, "Read entries from an index on.", OperationInfo.Entries, [(200, typeof(EntryListDocument))], [410], ["from", "limit", "consistency"]));
        Map(routes, ["GET"], root + "/entries/{index}", entries.GetAsync, new OperationInfo(
            "getEntry" + suffix, "Read one entry: its bytes with their content type.", OperationInfo.Entries, [], [200, 410], ["consistency"], Bytes: "*/*"));

        Map(routes, ["GET"], root + "/kv", kv.RangeAsync, new OperationInfo(
            "listKeys" + suffix, "Read the keys of a prefix with their values, in order.", OperationInfo.KeyValue, [(200, typeof(KeyListDocument))], Query: ["prefix", "after", "limit", "consistency"]));
        Map(routes, ["GET"], root + "/kv/{**key}", kv.GetAsync, new OperationInfo(
            "getKey" + suffix, "Read a value: its bytes with their content type.", OperationInfo.KeyValue, [], [200, 304, 412], ["consistency"], ["If-Match", "If-None-Match"], Bytes: "*/*"));
        Map(routes, ["PUT"], root + "/kv/{**key}", kv.PutAsync, new OperationInfo(
            "putKey" + suffix, "Write a value; compare and set by If-Match or If-None-Match.", OperationInfo.KeyValue,
            [(200, typeof(KeyWrittenDocument)), (201, typeof(KeyWrittenDocument))], [412, .. WriteStatuses], null, CompareHeaders, "The value, as it is."));
        Map(routes, ["DELETE"], root + "/kv/{**key}", kv.DeleteAsync, new OperationInfo(
            "deleteKey" + suffix, "Delete a key; no error when it is not there.", OperationInfo.KeyValue, [], [204, 412, .. WriteStatuses], null, CompareHeaders));

        Map(routes, ["GET"], root + "/idempotency/{**key}", idempotency.GetAsync, new OperationInfo(
            "getOutcome" + suffix, "What became of the request with this Idempotency-Key.", "care", [(200, typeof(OutcomeDocument))]));
    }

    private static void MapMembers(IEndpointRouteBuilder routes, string root, string suffix, MembersEndpoints members)
    {
        (int, Type)[] changed = [(200, typeof(ChangeDocument)), (202, typeof(ChangeDocument))];
        Map(routes, ["GET"], root + "/members", members.GetAsync, new OperationInfo(
            "listMembers" + suffix, "Who belongs to the group, who lags, and the change under way.", "members", [(200, typeof(MemberListDocument))], [304, 412], ["local"], ["If-Match", "If-None-Match"]));
        Map(routes, ["PUT"], root + "/members", members.PutAsync, new OperationInfo(
            "setMembers" + suffix, "Make these the members, in one joint change.", "members", changed, ChangeStatuses, ChangeQuery, MembersHeaders, Document: typeof(MembersRequest)));
        Map(routes, ["POST"], root + "/members", members.PostAsync, new OperationInfo(
            "addMember" + suffix, "Add a member, or change the addresses or the kind of one. It joins first, and votes once it has caught up.", "members",
            changed, ChangeStatuses, ChangeQuery, MembersHeaders, Document: typeof(MemberRequest)));
        Map(routes, ["DELETE"], root + "/members/{id}", members.DeleteAsync, new OperationInfo(
            "removeMember" + suffix, "Remove a member.", "members", changed, ChangeStatuses, ChangeQuery, MembersHeaders));
        Map(routes, ["POST"], root + "/members/{id}/promote", members.PromoteAsync, new OperationInfo(
            "promoteMember" + suffix, "Make a learner a voter, once it has caught up.", "members", changed, ChangeStatuses, ChangeQuery, MembersHeaders));
        Map(routes, ["POST"], root + "/members/{id}/demote", members.DemoteAsync, new OperationInfo(
            "demoteMember" + suffix, "Make a voter a learner.", "members", changed, ChangeStatuses, ChangeQuery, MembersHeaders));
    }

    private static void MapLeadership(IEndpointRouteBuilder routes, string root, string suffix, LeadershipEndpoints leadership)
    {
        int[] statuses = [408, 409, 413, 415, 504];
        (int, Type)[] handedOver = [(200, typeof(LeadershipDocument))];
        Map(routes, ["POST"], root + "/leader/transfer", leadership.TransferAsync, new OperationInfo(
            "transferLeadership" + suffix, "Hand leadership over, to a voter or to the best one.", "leadership", handedOver, statuses, ["timeoutMs"], Document: typeof(TransferRequest)));
        Map(routes, ["POST"], root + "/leader/step-down", leadership.StepDownAsync, new OperationInfo(
            "stepDown" + suffix, "Whoever leads hands over to the best voter.", "leadership", handedOver, statuses, ["timeoutMs"]));
        Map(routes, ["POST"], root + "/read-barrier", leadership.ReadBarrierAsync, new OperationInfo(
            "readBarrier" + suffix, "Return when this node has applied all that was committed when it was asked.", "leadership", [(200, typeof(ReadBarrierDocument))]));
    }

    private static void MapSnapshots(IEndpointRouteBuilder routes, string root, string suffix, SnapshotEndpoints snapshots)
    {
        Map(routes, ["GET"], root + "/snapshots", snapshots.ListAsync, new OperationInfo(
            "listSnapshots" + suffix, "The newest snapshots on this node.", "care", [(200, typeof(SnapshotListDocument))]));
        Map(routes, ["POST"], root + "/snapshots", snapshots.TakeAsync, new OperationInfo(
            "takeSnapshots" + suffix, "Take snapshots on this node now; 200 when nothing is new.", "care",
            [(200, typeof(SnapshotListDocument)), (201, typeof(SnapshotListDocument)), (202, typeof(SnapshotListDocument))], [504], ["timeoutMs"]));
    }

    private static void MapPeers(IEndpointRouteBuilder routes, PeersEndpoints peers)
    {
        (int, Type)[] answers = [(200, typeof(PeerListDocument))];
        Map(routes, ["GET"], "/v1/peers", peers.ListAsync, new OperationInfo(
            "listPeers", "How this node reaches the others: every address that it tries, and the last error of each.", "cluster", answers));
        Map(routes, ["POST"], "/v1/peers/addresses", peers.AddAddressesAsync, new OperationInfo(
            "addPeerAddresses", "Tell this node where members are reached now. It needs no quorum and changes no configuration.", "cluster",
            answers, [408, 413, 415], Document: typeof(PeerAddressesRequest)));
    }

    private static void MapDrain(IEndpointRouteBuilder routes, DrainEndpoints drain)
    {
        (int, Type)[] answers = [(200, typeof(DrainDocument))];
        Map(routes, ["GET"], "/v1/drain", drain.ShowAsync, new OperationInfo("getDrain", "Whether this node is draining.", "care", answers));
        Map(routes, ["POST"], "/v1/drain", drain.DrainAsync, new OperationInfo(
            "drain", "Hand all leaderships of this node over and be not ready, for a restart.", "care", answers, null, ["timeoutMs"]));
        Map(routes, ["DELETE"], "/v1/drain", drain.EndAsync, new OperationInfo("endDrain", "Take part again in full.", "care", answers));
    }

    private static void MapCluster(IEndpointRouteBuilder routes, ClusterEndpoints cluster)
    {
        Map(routes, ["GET"], "/v1/status", cluster.StatusAsync, new OperationInfo("getStatus", "This node.", "cluster", [(200, typeof(NodeStatusDocument))]));
        Map(routes, ["GET"], "/v1/cluster", cluster.ClusterAsync, new OperationInfo(
            "getCluster", "All members and groups as one picture.", "cluster", [(200, typeof(ClusterDocument))]));
        Map(routes, ["GET"], "/v1/groups", cluster.GroupsAsync, new OperationInfo("listGroups", "The groups of this node, and how each is.", "cluster", [(200, typeof(GroupListDocument))]));
        Map(routes, ["GET"], "/v1/config", cluster.ConfigAsync, new OperationInfo(
            "getConfig", "The configuration in force; secrets are masked.", "cluster", [(200, typeof(ConfigDocument))]));
    }

    private static void MapHealth(IEndpointRouteBuilder routes, HealthEndpoints health)
    {
        (int, Type)[] ready = [(200, typeof(ReadyDocument))];
        Map(routes, ["GET"], "/livez", HealthEndpoints.LiveAsync, new OperationInfo("getLive", "The process answers; never depends on a quorum.", "health", [], [200], ["verbose"], Bytes: "text/plain"));
        Map(routes, ["GET"], "/readyz", health.ReadyAsync, new OperationInfo("getReady", "This node can take writes; if not, why not.", "health", ready, null, ["verbose", "exclude"], Bytes: "text/plain"));
        Map(routes, ["GET"], "/problems", ProblemsPage.GetAsync, new OperationInfo("getProblems", "What the type of each problem means.", "health", [], [200], Bytes: "text/plain"));
        Map(routes, ["GET"], "/healthz", health.ReadyAsync, new OperationInfo("getHealth", "The same as readyz.", "health", ready, null, ["verbose", "exclude"], Bytes: "text/plain"));
    }

    private static void Map(IEndpointRouteBuilder routes, string[] methods, string pattern, RequestDelegate handler, OperationInfo info) =>
        // Whatever can be read can be asked for without its body. RFC 9110, 9.3.2
        routes.MapMethods(pattern, methods is ["GET"] ? GetHead : methods, handler).WithMetadata(info, handler.Method).WithDisplayName($"{string.Join(',', methods)} {pattern}");
}

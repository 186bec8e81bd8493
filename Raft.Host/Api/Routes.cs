namespace Raft.Host.Api;

/// <summary>The table of contents of the REST interface.</summary>
internal static class Routes
{
    private static readonly string[] WriteHeaders = ["Idempotency-Key"];
    private static readonly string[] CompareHeaders = ["Idempotency-Key", "If-Match", "If-None-Match"];
    private static readonly string[] GetHead = ["GET", "HEAD"];
    private static readonly int[] WriteStatuses = [408, 409, 413, 415, 422, 429, 504];

    /// <summary>Every data resource twice: of the default group, and of any.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        IServiceProvider services = routes.ServiceProvider;
        MapData(routes, "/v1", "", services);
        MapData(routes, "/v1/groups/{group}", "InGroup", services);
        MapCluster(routes, services.GetRequiredService<ClusterEndpoints>());
        MapHealth(routes, services.GetRequiredService<HealthEndpoints>());
    }

    private static void MapData(IEndpointRouteBuilder routes, string root, string suffix, IServiceProvider services)
    {
        var entries = services.GetRequiredService<EntriesEndpoints>();
        var kv = services.GetRequiredService<KeyValueEndpoints>();
        var idempotency = services.GetRequiredService<IdempotencyEndpoints>();

        Map(routes, ["POST"], root + "/entries", entries.AppendAsync, new OperationInfo(
            "appendEntry" + suffix, "Append one entry (any content type), or one per line of application/x-ndjson: all or nothing.", "entries",
            [(201, typeof(AppendedDocument)), (201, typeof(AppendedLinesDocument)), (202, typeof(CommittedDocument))], WriteStatuses, ["wait"], WriteHeaders, "The entry, as it is; or JSON lines."));
        Map(routes, ["GET"], root + "/entries", entries.ListAsync, new OperationInfo(
            "listEntries" + suffix, "Read entries from an index on.", "entries", [(200, typeof(EntryListDocument))], [410], ["from", "limit", "consistency"]));
        Map(routes, GetHead, root + "/entries/{index}", entries.GetAsync, new OperationInfo(
            "getEntry" + suffix, "Read one entry: its bytes with their content type.", "entries", [], [200, 410], ["consistency"], Bytes: "*/*"));

        Map(routes, ["GET"], root + "/kv", kv.RangeAsync, new OperationInfo(
            "listKeys" + suffix, "Read the keys of a prefix with their values, in order.", "kv", [(200, typeof(KeyListDocument))], Query: ["prefix", "after", "limit", "consistency"]));
        Map(routes, GetHead, root + "/kv/{**key}", kv.GetAsync, new OperationInfo(
            "getKey" + suffix, "Read a value: its bytes with their content type.", "kv", [], [200, 304, 412], ["consistency"], ["If-Match", "If-None-Match"], Bytes: "*/*"));
        Map(routes, ["PUT"], root + "/kv/{**key}", kv.PutAsync, new OperationInfo(
            "putKey" + suffix, "Write a value; compare and set by If-Match or If-None-Match.", "kv",
            [(200, typeof(KeyWrittenDocument)), (201, typeof(KeyWrittenDocument))], [412, .. WriteStatuses], null, CompareHeaders, "The value, as it is."));
        Map(routes, ["DELETE"], root + "/kv/{**key}", kv.DeleteAsync, new OperationInfo(
            "deleteKey" + suffix, "Delete a key; no error when it is not there.", "kv", [], [204, 412, .. WriteStatuses], null, CompareHeaders));

        Map(routes, ["GET"], root + "/idempotency/{**key}", idempotency.GetAsync, new OperationInfo(
            "getOutcome" + suffix, "What became of the request with this Idempotency-Key.", "care", [(200, typeof(OutcomeDocument))]));
    }

    private static void MapCluster(IEndpointRouteBuilder routes, ClusterEndpoints cluster)
    {
        Map(routes, ["GET"], "/v1/status", cluster.StatusAsync, new OperationInfo("getStatus", "This node.", "cluster", [(200, typeof(NodeStatusDocument))]));
        Map(routes, ["GET"], "/v1/cluster", cluster.ClusterAsync, new OperationInfo(
            "getCluster", "All members and groups as one picture.", "cluster", [(200, typeof(ClusterDocument))]));
        Map(routes, ["GET"], "/v1/groups", cluster.GroupsAsync, new OperationInfo("listGroups", "The groups of this node.", "cluster", [(200, typeof(GroupListDocument))]));
        Map(routes, ["GET"], "/v1/config", cluster.ConfigAsync, new OperationInfo(
            "getConfig", "The configuration in force; secrets are masked.", "cluster", [(200, typeof(ConfigDocument))]));
    }

    private static void MapHealth(IEndpointRouteBuilder routes, HealthEndpoints health)
    {
        (int, Type)[] ready = [(200, typeof(ReadyDocument))];
        Map(routes, GetHead, "/livez", HealthEndpoints.LiveAsync, new OperationInfo("getLive", "The process answers; never depends on a quorum.", "health", [], [200], ["verbose"], Bytes: "text/plain"));
        Map(routes, GetHead, "/readyz", health.ReadyAsync, new OperationInfo("getReady", "This node can take writes; if not, why not.", "health", ready, null, ["verbose"], Bytes: "text/plain"));
        Map(routes, GetHead, "/problems", ProblemsPage.GetAsync, new OperationInfo("getProblems", "What the type of each problem means.", "health", [], [200], Bytes: "text/plain"));
        Map(routes, GetHead, "/healthz", health.ReadyAsync, new OperationInfo("getHealth", "The same as readyz.", "health", ready, null, ["verbose"], Bytes: "text/plain"));
    }

    private static void Map(IEndpointRouteBuilder routes, string[] methods, string pattern, RequestDelegate handler, OperationInfo info) =>
        routes.MapMethods(pattern, methods, handler).WithMetadata(info, handler.Method).WithDisplayName($"{string.Join(',', methods)} {pattern}");
}

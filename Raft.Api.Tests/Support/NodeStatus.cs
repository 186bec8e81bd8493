using System.Text.Json;

namespace Raft.Api.Tests.Support;

/// <summary>What the tests need of GET /v1/status, for the default group.</summary>
public sealed record NodeStatus(
    string Node, string Role, long Term, string? Leader, long CommitIndex, long AppliedIndex, long DurableIndex, string? StateHash, string Text)
{
    public bool IsLeader => Role == "leader";

    public static NodeStatus Parse(string text)
    {
        JsonElement status = JsonElement.Parse(text);
        JsonElement group = status.GetProperty("groups")[0];
        return new NodeStatus(
            status.GetProperty("node").GetString() ?? "",
            group.GetProperty("role").GetString() ?? "",
            group.GetProperty("term").GetInt64(),
            group.GetProperty("leader").GetString(),
            group.GetProperty("commitIndex").GetInt64(),
            group.GetProperty("appliedIndex").GetInt64(),
            group.GetProperty("durableIndex").GetInt64(),
            group.TryGetProperty("stateHash", out JsonElement hash) ? hash.GetString() : null,
            text);
    }
}

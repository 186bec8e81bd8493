using System.Text.Json.Serialization;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>This node, and what it knows of each group.</summary>
/// <param name="Phase">starting, forming, running, quarantine or stopping; <paramref name="Reason"/> says more.</param>
/// <param name="ClusterUid">Null until the node is in a cluster.</param>
public sealed record NodeStatusDocument(
    string Node, string Cluster, string? ClusterUid, string? StorageId, long? StartCount, string Version,
    string Phase, string Reason, bool Ready, IReadOnlyList<string> NotReadyBecause, IReadOnlyList<GroupStatusDocument> Groups);

/// <param name="Leader">Its node id; null when none is known.</param>
/// <param name="StateHash">Of the state at <paramref name="StateHashIndex"/>, the last command applied.</param>
public sealed record GroupStatusDocument(
    string Group, string Role, long Term, string? Leader,
    long CommitIndex, long AppliedIndex, long DurableIndex, long FirstLogIndex, long LastLogIndex, long ConfigurationIndex,
    string StateHash, long StateHashIndex, JournalStatusDocument Journal, int Keys, long KeyValueBytes, int IdempotencyKeys);

public sealed record JournalStatusDocument(long FirstIndex, long LastIndex, long Bytes);

/// <summary>All members as this node sees them, each with its own word on itself where it answered.</summary>
public sealed record ClusterDocument(string Cluster, string? ClusterUid, string AnsweredBy, IReadOnlyList<ClusterGroupDocument> Groups, IReadOnlyList<MemberDocument> Members);

public sealed record ClusterGroupDocument(string Group, string? Leader, long Term, long ConfigurationIndex, bool IsJoint, IReadOnlyList<string> Voters);

/// <param name="Kind">voter, learner or joining.</param>
/// <param name="Alive">It answered, or the leader that this node is hears it.</param>
/// <param name="Error">Why its own status is missing.</param>
/// <param name="MatchIndex">Known on the leader only.</param>
public sealed record MemberDocument(
    string Node, string StorageId, string Kind, string PeerUrl, string ApiUrl, bool IsLeader, bool Alive,
    long? MatchIndex, long? Lag, string? ReplicationState, NodeStatusDocument? Status, string? Error);

public sealed record GroupListDocument(IReadOnlyList<string> Groups);

[JsonSerializable(typeof(NodeStatusDocument))]
[JsonSerializable(typeof(ClusterDocument))]
[JsonSerializable(typeof(GroupListDocument))]
[JsonSerializable(typeof(RaftOptions))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
internal sealed partial class ApiJson : JsonSerializerContext;

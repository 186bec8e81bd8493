using System.Text.Json.Serialization;
using Raft.Host.Settings;

namespace Raft.Host.Api;

/// <summary>This node, and what it knows of each group.</summary>
/// <param name="Phase">starting, forming, running, quarantine or stopping; <paramref name="Reason"/> says more.</param>
/// <param name="ClusterUid">Null until the node is in a cluster.</param>
/// <param name="Draining">It hands its leaderships over and takes no more.</param>
/// <param name="DiskShortage">Why it leads nothing that another could, and takes no commands else; null while there is room.</param>
/// <param name="MemoryShortage">Why writes that make the state larger are, or soon will be, refused; null while there is room.</param>
/// <param name="StateBytes">Memory of the states of all groups; <paramref name="StateBytesMax"/> is Raft:Limits:MaxStateBytes.</param>
public sealed record NodeStatusDocument(
    string Node, string Cluster, string? ClusterUid, string? StorageId, long? StartCount, string Version,
    string Phase, string Reason, bool Ready, IReadOnlyList<string> NotReadyBecause, bool Draining, string? DiskShortage, string? MemoryShortage, long StateBytes, long StateBytesMax,
    IReadOnlyList<GroupStatusDocument> Groups);

/// <param name="Leader">Its node id; null when none is known.</param>
/// <param name="Snapshot">The newest in force; null when none was taken.</param>
/// <param name="IsTakingSnapshot">One is being written.</param>
/// <param name="SnapshotTransfers">On the leader: snapshots on their way to peers.</param>
/// <param name="Alarm">Why this node's state of the group is out of service; null when it is well.</param>
/// <param name="StateHash">Of the state at <paramref name="StateHashIndex"/>, the last command applied. This and what follows: null when the group has a state machine of its own.</param>
public sealed record GroupStatusDocument(
    string Group, string Role, long Term, string? Leader,
    long CommitIndex, long AppliedIndex, long DurableIndex, long FirstLogIndex, long LastLogIndex, long ConfigurationIndex,
    ConfigurationDocument Configuration, SnapshotDocument? Snapshot, bool IsTakingSnapshot, IReadOnlyList<SnapshotTransferDocument> SnapshotTransfers, string? Alarm,
    string? StateHash, long? StateHashIndex, JournalStatusDocument? Journal, int? Keys, long? KeyValueBytes, int? IdempotencyKeys);

public sealed record JournalStatusDocument(long FirstIndex, long LastIndex, long Bytes);

/// <summary>Who belongs to the group.</summary>
/// <param name="IsJoint">Both the members and those that leave must agree to everything.</param>
/// <param name="Target">What the members are to be once those that join have caught up; null when nothing more is wanted.</param>
public sealed record ConfigurationDocument(long Index, bool IsJoint, IReadOnlyList<ConfiguredMemberDocument> Members, IReadOnlyList<ConfiguredMemberDocument>? Target);

/// <param name="Kind">voter, learner or joining.</param>
/// <param name="IsLeaving">Only of the configuration before, while joint.</param>
public sealed record ConfiguredMemberDocument(string Id, string StorageId, string Kind, bool IsLeaving);

/// <summary>A snapshot on its way to a peer.</summary>
public sealed record SnapshotTransferDocument(string To, long Index, long SentBytes, long SizeBytes);

/// <summary>All members as this node sees them, each with its own word on itself where it answered.</summary>
public sealed record ClusterDocument(string Cluster, string? ClusterUid, string AnsweredBy, IReadOnlyList<ClusterGroupDocument> Groups, IReadOnlyList<MemberDocument> Members);

public sealed record ClusterGroupDocument(string Group, string? Leader, long Term, long ConfigurationIndex, bool IsJoint, IReadOnlyList<string> Voters, ConfigurationDocument Configuration);

/// <param name="Kind">voter, learner or joining.</param>
/// <param name="Alive">It answered, or the leader that this node is hears it.</param>
/// <param name="Error">Why its own status is missing.</param>
/// <param name="MatchIndex">Known on the leader only.</param>
public sealed record MemberDocument(
    string Node, string StorageId, string Kind, string PeerUrl, string ApiUrl, bool IsLeader, bool Alive,
    long? MatchIndex, long? Lag, string? ReplicationState, NodeStatusDocument? Status, string? Error);

public sealed record GroupListDocument(IReadOnlyList<GroupDocument> Groups);

/// <summary>One group as this node sees it.</summary>
/// <param name="Ready">This node can take writes for it.</param>
/// <param name="NotReadyBecause">Null when it is ready.</param>
public sealed record GroupDocument(
    string Group, string Role, long Term, string? Leader, long CommitIndex, long AppliedIndex, int Members, int Voters, bool Ready, string? NotReadyBecause);

[JsonSerializable(typeof(NodeStatusDocument))]
[JsonSerializable(typeof(ClusterDocument))]
[JsonSerializable(typeof(GroupListDocument))]
[JsonSerializable(typeof(MemberListDocument))]
[JsonSerializable(typeof(ChangeDocument))]
[JsonSerializable(typeof(LeadershipDocument))]
[JsonSerializable(typeof(SnapshotListDocument))]
[JsonSerializable(typeof(ReadBarrierDocument))]
[JsonSerializable(typeof(DrainDocument))]
[JsonSerializable(typeof(PeerListDocument))]
[JsonSerializable(typeof(IReadOnlyList<GroupOutcomeDocument>))]
[JsonSerializable(typeof(RaftOptions))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
internal sealed partial class ApiJson : JsonSerializerContext;

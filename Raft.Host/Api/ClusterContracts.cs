using System.Text.Json.Serialization;

namespace Raft.Host.Api;

// The shapes of members, leadership, snapshots: what is asked and what is answered.

/// <summary>The members of a group.</summary>
/// <param name="SeenBy">The node whose picture this is: the leader where it could be asked, for it alone knows who lags.</param>
/// <param name="ConfigurationIndex">The same as in ETag; for If-Match.</param>
/// <param name="Change">The change under way; null when there is none.</param>
/// <param name="GroupsInChange">At /v1/members: all groups of this node whose members are changing.</param>
public sealed record MemberListDocument(
    string Group, string SeenBy, string? Leader, long ConfigurationIndex, ChangeInProgressDocument? Change,
    IReadOnlyList<GroupMemberDocument> Members, IReadOnlyList<string>? GroupsInChange);

/// <param name="State">joint: on the way from one set to the other; catchingUp: members that join receive what they miss; committing.</param>
/// <param name="Target">What the members will be.</param>
public sealed record ChangeInProgressDocument(string State, IReadOnlyList<ConfiguredMemberDocument> Target);

/// <summary>One member.</summary>
/// <param name="Kind">voter, learner or joining.</param>
/// <param name="IsLeaving">The change under way removes it.</param>
/// <param name="Alive">This, and the rest, is null when the leader could not be asked.</param>
/// <param name="MatchIndex">Up to here its log is the leader's, and durable.</param>
/// <param name="Lag">Committed entries that it does not have.</param>
/// <param name="ReplicationState">probe, pipeline or snapshot; null of the leader itself.</param>
/// <param name="Joining">How far one that joins has come.</param>
public sealed record GroupMemberDocument(
    string Id, string StorageId, string Kind, bool IsLeaving, string PeerUrl, string ApiUrl, bool IsLeader, bool? Alive,
    long? MatchIndex, long? Lag, string? ReplicationState, JoiningDocument? Joining);

/// <param name="CaughtUpRounds">For how many rounds in a row it was close behind; at two it becomes a voter.</param>
/// <param name="Lag">Entries that it does not have.</param>
/// <param name="Snapshot">The one on its way to it.</param>
public sealed record JoiningDocument(int CaughtUpRounds, long Lag, SnapshotSentDocument? Snapshot);

public sealed record SnapshotSentDocument(long SentBytes, long SizeBytes);

/// <summary>The wanted set of members.</summary>
public sealed record MembersRequest(IReadOnlyList<MemberRequest> Members);

/// <summary>One wanted member. What is left out stays as it is; a new one needs its peerUrl and is a voter.</summary>
/// <param name="Id">Its Raft:NodeId.</param>
/// <param name="PeerUrl">Where the other nodes reach its Peer endpoint: http(s)://host:port.</param>
/// <param name="ApiUrl">Where clients reach its Api endpoint.</param>
/// <param name="Voter">false: a learner, which gets everything and counts in no quorum.</param>
public sealed record MemberRequest(string Id, string? PeerUrl = null, string? ApiUrl = null, bool? Voter = null);

/// <summary>What became of a change of members.</summary>
/// <param name="Outcome">done, nothingToDo, or inProgress: it is committed and goes on by itself, whoever leads.</param>
public sealed record ChangeDocument(string Outcome, IReadOnlyList<GroupOutcomeDocument> Groups);

/// <param name="Outcome">done, inProgress, nothingToDo or failed.</param>
/// <param name="Index">Of the configuration, when members were changed.</param>
/// <param name="Leader">Who leads now, when leadership was handed over and it is known.</param>
/// <param name="Detail">For people.</param>
public sealed record GroupOutcomeDocument(string Group, string Outcome, long? Index, string? Leader, string? Detail);

/// <param name="Target">The node id of a voter that is to lead; left out: the most caught-up one that is alive.</param>
public sealed record TransferRequest(string? Target = null);

/// <summary>Leadership as it was handed over, group by group.</summary>
public sealed record LeadershipDocument(IReadOnlyList<GroupOutcomeDocument> Groups);

/// <summary>All that was committed when the request came is applied on this node.</summary>
/// <param name="Index">Applied up to here, at least.</param>
public sealed record ReadBarrierDocument(string Group, long Index, long Term);

/// <summary>Snapshots on this node's disk, the newest of each group.</summary>
public sealed record SnapshotListDocument(IReadOnlyList<SnapshotDocument> Snapshots, IReadOnlyList<string> BeingTaken);

/// <param name="Index">It covers all entries up to here; <paramref name="Term"/> is that entry's.</param>
/// <param name="Hash">XxHash128 of its content.</param>
public sealed record SnapshotDocument(string Group, string Id, long Index, long Term, long ConfigurationIndex, long SizeBytes, string Hash);

/// <param name="Draining">The node hands its leaderships over and is not ready.</param>
public sealed record DrainDocument(bool Draining);

/// <summary>How the node that answers reaches the others.</summary>
/// <param name="SeenBy">The node that answers.</param>
public sealed record PeerListDocument(string SeenBy, IReadOnlyList<PeerDocument> Peers);

/// <param name="IsMember">A configuration names it; false: it calls this node, and no configuration names it.</param>
/// <param name="Connected">This node's streams to it are up.</param>
/// <param name="Alive">Frames of it arrive.</param>
/// <param name="RoundTripMs">Null when it was not measured.</param>
/// <param name="Addresses">Where it is dialled, in the order of the attempts; the first is the one in use while it is connected.</param>
public sealed record PeerDocument(
    string Id, string StorageId, bool IsMember, bool Connected, bool Alive, double? RoundTripMs, IReadOnlyList<PeerAddressDocument> Addresses);

/// <param name="Source">operator (POST /v1/peers/addresses), configuration (the log), members (Raft:Members), peer (it advertises it), or otherMember (another one reaches it there).</param>
/// <param name="LastError">Why the last attempt failed; null when it did not, or there was none.</param>
public sealed record PeerAddressDocument(string PeerUrl, string Source, string? LastError);

/// <summary>Where members are reached now, for the node that is asked, until it restarts.</summary>
public sealed record PeerAddressesRequest(IReadOnlyList<PeerAddressRequest> Addresses);

/// <param name="Id">The member's Raft:NodeId.</param>
/// <param name="PeerUrl">Where its Peer endpoint is: http(s)://host:port.</param>
public sealed record PeerAddressRequest(string Id, string PeerUrl);

[JsonSerializable(typeof(MembersRequest))]
[JsonSerializable(typeof(PeerAddressesRequest))]
[JsonSerializable(typeof(MemberRequest))]
[JsonSerializable(typeof(TransferRequest))]
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    AllowDuplicateProperties = false,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
internal sealed partial class RequestJson : JsonSerializerContext;

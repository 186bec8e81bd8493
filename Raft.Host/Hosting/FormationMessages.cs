using System.Text.Json;
using System.Text.Json.Serialization;

namespace Raft.Host.Hosting;

/// <summary>Where a node stands when another asks while a cluster forms.</summary>
public enum FormationStanding
{
    /// <summary>It cannot say yet: its storage is being opened, or it is taking over a cluster just now. Ask again.</summary>
    Starting,

    /// <summary>Its directory never was in a cluster.</summary>
    New,

    /// <summary>It was in a cluster (its uid is told) and has lost its directory: it forms nothing, and joins only that cluster.</summary>
    Lost,

    /// <summary>It is in a cluster; uid and configurations are told.</summary>
    Member,

    /// <summary>It does not take part, for the reason given: another cluster id, quarantine, an older start of the asker.</summary>
    Refused,
}

/// <summary>"Are you new, or in a cluster?" Sent by a new node to every peer that it knows.</summary>
/// <param name="ClusterId">The asker's.</param>
/// <param name="NodeId">The asker.</param>
/// <param name="StorageId">The asker's, hexadecimal.</param>
/// <param name="StartCount">The asker's: an older start's question is refused.</param>
/// <param name="MembersHash">Of the asker's sorted Members.</param>
/// <param name="MayForm">The asker may form a cluster if all are new: it has lost none, and was not told to join one.</param>
public sealed record FormationQuestion(string ClusterId, string NodeId, string StorageId, long StartCount, string MembersHash, bool MayForm = true);

/// <summary>The answer.</summary>
/// <param name="Standing">Where the answering node stands.</param>
/// <param name="ClusterId">Its cluster id.</param>
/// <param name="NodeId">Its node id.</param>
/// <param name="StorageId">Its storage id, hexadecimal; null while it does not know it.</param>
/// <param name="MembersHash">Of its sorted Members.</param>
/// <param name="GroupsHash">Of its groups.</param>
public sealed record FormationAnswer(
    FormationStanding Standing, string ClusterId, string NodeId, string? StorageId, string MembersHash, string GroupsHash)
{
    /// <summary>The cluster's, of a member or a lost one.</summary>
    public string? Uid { get; init; }

    /// <summary>The first group's configuration as this member knows it.</summary>
    public byte[]? Configuration { get; init; }

    /// <summary>The one that the log began with, as long as it holds it.</summary>
    public byte[]? FirstConfiguration { get; init; }

    /// <summary>Why it is refused; for people.</summary>
    public string? Reason { get; init; }
}

/// <summary>"Take me in." Sent to any member; the first group's leader decides. Asking again is safe.</summary>
/// <param name="ClusterId">The asker's.</param>
/// <param name="FirstGroup">The asker's first group.</param>
/// <param name="NodeId">The asker.</param>
/// <param name="StorageId">The asker's, hexadecimal; with a probe that of the directory which it would give up.</param>
/// <param name="PeerUrl">Where it is reached.</param>
/// <param name="ApiUrl">Where clients reach it; empty: not told.</param>
/// <param name="IsVoter">What it wants to be, when it is new to the cluster.</param>
/// <param name="IsTold">Its operator told it to join.</param>
/// <param name="FormerUid">The cluster that it was in before its directory was lost; null when there was none, or nothing is known.</param>
/// <param name="IsProbe">Only asks what the answer would be.</param>
public sealed record JoinRequest(
    string ClusterId, string FirstGroup, string NodeId, string StorageId, string PeerUrl, string ApiUrl, bool IsVoter, bool IsTold,
    string? FormerUid, bool IsProbe);

public enum JoinVerdict
{
    /// <summary>The first group's configuration names the asker, committed (a probe: it would).</summary>
    Accepted,

    /// <summary>Another node leads: ask there.</summary>
    Redirected,

    /// <summary>Not now: ask again.</summary>
    Wait,

    /// <summary>Asking again alone does not help.</summary>
    Refused,
}

/// <param name="Verdict">What was decided.</param>
/// <param name="Reason">For people.</param>
public sealed record JoinAnswer(JoinVerdict Verdict, string Reason)
{
    /// <summary>Accepted: the cluster's.</summary>
    public string? Uid { get; init; }

    /// <summary>Redirected: the leader's Peer endpoint.</summary>
    public string? LeaderUrl { get; init; }

    /// <summary>Accepted: groups that do not name the asker yet; ask again for them.</summary>
    public int GroupsLeft { get; init; }
}

/// <summary>"You are about to be made a member of this cluster." Sent by a member to the node that its operator wants to add.</summary>
/// <param name="ClusterId">The cluster's.</param>
/// <param name="Uid">The cluster's.</param>
/// <param name="NodeId">Whom the operator means.</param>
public sealed record Invitation(string ClusterId, string Uid, string NodeId);

/// <param name="IsTaken">The node is in that cluster, or about to be.</param>
/// <param name="StorageId">Taken: its storage id, hexadecimal.</param>
/// <param name="Reason">Not taken: why; for people.</param>
public sealed record InvitationAnswer(bool IsTaken, string? StorageId, string? Reason);

/// <summary>"I come back with this directory; have you seen a newer one?" Asked before a start takes part. Design 4.5.</summary>
public sealed record ReturnQuestion(string Uid, string NodeId, string StorageId, long StartCount, string StartNonce, long OpeningSequence);

/// <param name="IsRefused">The directory is an old one, or a copy.</param>
/// <param name="Reason">Refused: why; for people.</param>
public sealed record ReturnAnswer(bool IsRefused, string? Reason);

/// <summary>"Where do you reach the other members?" Asked by a member that cannot reach one of them.</summary>
/// <param name="Uid">Cluster uid of the node that asks.</param>
public sealed record AddressQuestion(string Uid);

/// <param name="Members">Those to which the answering node has a connection; none when it is in another cluster.</param>
public sealed record AddressAnswer(IReadOnlyList<MemberAddress> Members);

/// <summary>An address that a handshake has confirmed.</summary>
public sealed record MemberAddress(string NodeId, string StorageId, string PeerUrl);

/// <summary>Generated: no reflection while a node starts.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(FormationQuestion))]
[JsonSerializable(typeof(FormationAnswer))]
[JsonSerializable(typeof(JoinRequest))]
[JsonSerializable(typeof(JoinAnswer))]
[JsonSerializable(typeof(Invitation))]
[JsonSerializable(typeof(InvitationAnswer))]
[JsonSerializable(typeof(ReturnQuestion))]
[JsonSerializable(typeof(ReturnAnswer))]
[JsonSerializable(typeof(AddressQuestion))]
[JsonSerializable(typeof(AddressAnswer))]
internal sealed partial class FormationJson : JsonSerializerContext;

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

    /// <summary>It is in a cluster; uid and first configuration are told.</summary>
    Member,

    /// <summary>It does not take part, for the reason given: another cluster id, quarantine, an older start of the asker.</summary>
    Refused,
}

/// <summary>"Are you new, or in a cluster?" Sent by a new node to every peer of its Members.</summary>
/// <param name="ClusterId">The asker's.</param>
/// <param name="NodeId">The asker.</param>
/// <param name="StorageId">The asker's, hexadecimal.</param>
/// <param name="StartCount">The asker's: an older start's question is refused.</param>
/// <param name="MembersHash">Of the asker's sorted Members.</param>
public sealed record FormationQuestion(string ClusterId, string NodeId, string StorageId, long StartCount, string MembersHash);

/// <summary>The answer.</summary>
/// <param name="Standing">Where the answering node stands.</param>
/// <param name="ClusterId">Its cluster id.</param>
/// <param name="NodeId">Its node id.</param>
/// <param name="StorageId">Its storage id, hexadecimal; null while it does not know it.</param>
/// <param name="MembersHash">Of its sorted Members.</param>
/// <param name="Uid">The cluster's, when it is a member.</param>
/// <param name="FirstConfiguration">The cluster's first configuration as the log holds it, when it is a member.</param>
/// <param name="Reason">Why it is refused; for people.</param>
public sealed record FormationAnswer(
    FormationStanding Standing,
    string ClusterId,
    string NodeId,
    string? StorageId,
    string MembersHash,
    string? Uid = null,
    byte[]? FirstConfiguration = null,
    string? Reason = null);

/// <summary>Generated: no reflection while a node starts.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(FormationQuestion))]
[JsonSerializable(typeof(FormationAnswer))]
internal sealed partial class FormationJson : JsonSerializerContext;

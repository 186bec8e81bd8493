using System.Globalization;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using Raft.Engine.Errors;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>What this node was before its directory was moved aside: the file <c>former</c>. A node that has it and is in no
/// cluster is lost, never new: it may have voted, and acknowledged, and knows nothing of it any more.</summary>
/// <param name="ClusterUid">The cluster that it was in; null when that could not be read.</param>
/// <param name="NodeId">Its name there.</param>
/// <param name="StorageIds">All that it had, oldest first; the present one is not among them.</param>
public sealed record Former(ClusterUid? ClusterUid, NodeId NodeId, IReadOnlyList<StorageId> StorageIds)
{
    internal const string FileName = "former";
    private const int FormatVersion = 1;
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private sealed record Content(int Format, string? ClusterUid, string NodeId, string[] StorageIds, string Checksum);

    /// <summary>With what a directory that is moved aside now held.</summary>
    internal Former With(ClusterUid? uid, StorageId? storage) => this with
    {
        ClusterUid = uid ?? ClusterUid,
        StorageIds = storage is { } id && !StorageIds.Contains(id) ? [.. StorageIds, id] : StorageIds,
    };

    internal void Write(IStorageFiles files, string directory)
    {
        Content content = WithChecksum(new Content(
            FormatVersion, ClusterUid?.ToString(), NodeId.Value, [.. StorageIds.Select(id => id.ToString())], ""));
        files.ReplaceFile(Path.Combine(directory, FileName), JsonSerializer.SerializeToUtf8Bytes(content, s_json));
    }

    /// <summary>Null when nothing was ever moved aside.</summary>
    /// <exception cref="CorruptStorageException">Changed: what it says decides whether this node may help to form a cluster.</exception>
    /// <exception cref="DataDirectoryException">Of a newer release.</exception>
    internal static Former? Read(IStorageFiles files, string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (!files.FileExists(path))
            return null;

        byte[] bytes = files.ReadAll(path);
        Content? content = null;
        try
        {
            content = JsonSerializer.Deserialize<Content>(bytes, s_json);
        }
        catch (JsonException)
        {
            // No content, as below.
        }

        if (NewerFormat.Find(bytes, ("format", FormatVersion)) is { } newer && !IsRight(content is null ? null : content with { Format = FormatVersion }))
            throw NewerFormat.Refusal(path, newer);
        if (!IsRight(content))
            throw Damage.In(path, 0, "it says what this node was before, and its checksum does not fit");
        return new Former(
            content!.ClusterUid is { } uid ? Host.ClusterUid.Parse(uid) : null, new NodeId(content.NodeId), [.. content.StorageIds.Select(StorageId.Parse)]);       // it is right
    }

    private static bool IsRight(Content? content) => content is not null && content.Checksum == WithChecksum(content).Checksum;

    private static Content WithChecksum(Content content)
    {
        string text = string.Join('\n', [content.Format.ToString(CultureInfo.InvariantCulture), content.ClusterUid ?? "", content.NodeId, .. content.StorageIds ?? []]);
        return content with { Checksum = XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(text)).ToString("x16", CultureInfo.InvariantCulture) };
    }
}

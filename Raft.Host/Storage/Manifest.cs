using System.Globalization;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using Raft.Engine.Protocol;

namespace Raft.Host.Storage;

/// <summary>Whose disk this is and how to read it: the file <c>manifest.json</c>.</summary>
internal sealed record Manifest(
    NodeId NodeId, StorageId StorageId, ClusterUid? ClusterUid, ulong Salt, ulong DataId, int SegmentBytes)
{
    public const string FileName = "manifest.json";
    public const int SegmentCount = 4;
    private const int FormatVersion = 1;
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private sealed record Content(
        int ManifestFormat, int WalFormat, int DatabaseFormat, int SnapshotFormat,
        string NodeId, string StorageId, string? ClusterUid, string Salt, string DataId, int SegmentBytes, string Checksum);

    /// <summary>LiteDB's file.</summary>
    public string DataFileName => $"{DataFilePrefix}{DataId:x16}.db";

    public const string DataFilePrefix = "raft-";

    public static string SegmentFileName(int segment) => $"wal-{segment.ToString(CultureInfo.InvariantCulture)}";

    public void Write(IStorageFiles files, string directory)
    {
        Content content = WithChecksum(new Content(
            FormatVersion, FormatVersion, FormatVersion, FormatVersion,
            NodeId.Value, StorageId.ToString(), ClusterUid?.ToString(), Hex(Salt), Hex(DataId), SegmentBytes, ""));
        files.ReplaceFile(Path.Combine(directory, FileName), JsonSerializer.SerializeToUtf8Bytes(content, s_json));
    }

    /// <exception cref="Engine.Errors.CorruptStorageException">Missing or changed.</exception>
    /// <exception cref="DataDirectoryException">Of a newer release.</exception>
    public static Manifest Read(IStorageFiles files, string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (!files.FileExists(path))
            throw Damage.In(path, 0, "the manifest is missing");

        Content? content;
        try
        {
            content = JsonSerializer.Deserialize<Content>(files.ReadAll(path), s_json);
        }
        catch (JsonException error)
        {
            throw Damage.In(path, 0, $"it is no manifest ({error.Message})");
        }

        if (content is null || content.Checksum != WithChecksum(content).Checksum)
            throw Damage.In(path, 0, "the manifest's checksum does not fit");
        if (Math.Max(Math.Max(content.ManifestFormat, content.WalFormat), Math.Max(content.DatabaseFormat, content.SnapshotFormat)) > FormatVersion)
            throw new DataDirectoryException($"{path} was written by a newer release than this one. Start that release, or use another data directory.");

        return new Manifest(
            new NodeId(content.NodeId), Engine.Protocol.StorageId.Parse(content.StorageId),
            content.ClusterUid is { } uid ? Host.ClusterUid.Parse(uid) : null,
            ulong.Parse(content.Salt, NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            ulong.Parse(content.DataId, NumberStyles.HexNumber, CultureInfo.InvariantCulture), content.SegmentBytes);
    }

    private static string Hex(ulong value) => value.ToString("x16", CultureInfo.InvariantCulture);

    private static Content WithChecksum(Content content)
    {
        byte[] bytes = Encoding.UTF8.GetBytes((content with { Checksum = "" }).ToString());
        return content with { Checksum = Hex(XxHash3.HashToUInt64(bytes)) };
    }
}

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
    /// <summary>2: its sectors say what they are. A log of format 1 is read, and made one of format 2 at the first start.</summary>
    public const int WalFormatNow = 2;

    /// <summary>2: a checkpoint says what each page of the data file must be. As above.</summary>
    public const int DatabaseFormatNow = 2;

    private const int ManifestFormatNow = 1;
    private const int SnapshotFormatNow = 1;

    public const string FileName = "manifest.json";
    public const int SegmentCount = 4;
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private sealed record Content(
        int ManifestFormat, int WalFormat, int DatabaseFormat, int SnapshotFormat,
        string NodeId, string StorageId, string? ClusterUid, string Salt, string DataId, int SegmentBytes, string Checksum);

    public int WalFormat { get; init; } = WalFormatNow;

    public int DatabaseFormat { get; init; } = DatabaseFormatNow;

    /// <summary>LiteDB's file.</summary>
    public string DataFileName => $"{DataFilePrefix}{DataId:x16}.db";

    public const string DataFilePrefix = "raft-";

    public static string SegmentFileName(int segment) => $"wal-{segment.ToString(CultureInfo.InvariantCulture)}";

    public void Write(IStorageFiles files, string directory)
    {
        Content content = WithChecksum(new Content(
            ManifestFormatNow, WalFormat, DatabaseFormat, SnapshotFormatNow,
            NodeId.Value, StorageId.ToString(), ClusterUid?.ToString(), Hex(Salt), Hex(DataId), SegmentBytes, ""));
        files.ReplaceFile(Path.Combine(directory, FileName), JsonSerializer.SerializeToUtf8Bytes(content, s_json));
    }

    /// <exception cref="Engine.Errors.CorruptStorageException">Missing or changed.</exception>
    /// <exception cref="DataDirectoryException">Of a newer release: told by its formats alone, because its checksum may be another one.</exception>
    public static Manifest Read(IStorageFiles files, string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (!files.FileExists(path))
            throw Damage.In(path, 0, "the manifest is missing");

        byte[] bytes = files.ReadAll(path);
        var newer = NewerFormat.Find(
            bytes, ("manifestFormat", ManifestFormatNow), ("walFormat", WalFormatNow), ("databaseFormat", DatabaseFormatNow), ("snapshotFormat", SnapshotFormatNow));
        Content? content = null;
        try
        {
            content = JsonSerializer.Deserialize<Content>(bytes, s_json);
        }
        catch (JsonException) when (newer is not null)
        {
            // Its fields are of other types there.
        }
        catch (JsonException error)
        {
            throw Damage.In(path, 0, $"it is no manifest ({error.Message})");
        }

        if (newer is { } found)
            throw content is not null && WasOfKnownFormat(content) ? Damage.In(path, 0, $"its {found.Name} has changed") : NewerFormat.Refusal(path, found);
        if (content is null || content.Checksum != WithChecksum(content).Checksum)
            throw Damage.In(path, 0, "the manifest's checksum does not fit");

        return new Manifest(
            new NodeId(content.NodeId), Engine.Protocol.StorageId.Parse(content.StorageId),
            content.ClusterUid is { } uid ? Host.ClusterUid.Parse(uid) : null,
            ulong.Parse(content.Salt, NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            ulong.Parse(content.DataId, NumberStyles.HexNumber, CultureInfo.InvariantCulture), content.SegmentBytes)
        {
            WalFormat = content.WalFormat,
            DatabaseFormat = content.DatabaseFormat,
        };
    }

    /// <summary>A changed bit can make a format look newer: then all else still fits the checksum.</summary>
    private static bool WasOfKnownFormat(Content content)
    {
        for (int format = 1; format <= Math.Max(WalFormatNow, DatabaseFormatNow); format++)
        {
            Content before = content with
            {
                ManifestFormat = Math.Min(content.ManifestFormat, ManifestFormatNow),
                WalFormat = content.WalFormat > WalFormatNow ? format : content.WalFormat,
                DatabaseFormat = content.DatabaseFormat > DatabaseFormatNow ? format : content.DatabaseFormat,
                SnapshotFormat = Math.Min(content.SnapshotFormat, SnapshotFormatNow),
            };
            if (before.Checksum == WithChecksum(before).Checksum)
                return true;
        }

        return false;
    }

    private static string Hex(ulong value) => value.ToString("x16", CultureInfo.InvariantCulture);

    private static Content WithChecksum(Content content)
    {
        byte[] bytes = Encoding.UTF8.GetBytes((content with { Checksum = "" }).ToString());
        return content with { Checksum = Hex(XxHash3.HashToUInt64(bytes)) };
    }
}

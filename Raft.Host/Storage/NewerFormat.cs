using System.Text.Json;

namespace Raft.Host.Storage;

/// <summary>A file of a newer release is told by its format before anything else of it is judged: its fields and its checksum may be others.
/// It is no damage, and nobody moves it aside.</summary>
internal static class NewerFormat
{
    /// <summary>The first of these formats that is newer than this release knows; null when none is, or when the bytes are no JSON object.</summary>
    /// <param name="json">The file.</param>
    /// <param name="known">Names of format fields, and the newest that this release reads.</param>
    public static (string Name, long Format, int Known)? Find(ReadOnlySpan<byte> json, params ReadOnlySpan<(string Name, int Known)> known)
    {
        var reader = new Utf8JsonReader(json);
        try
        {
            if (!JsonDocument.TryParseValue(ref reader, out JsonDocument? parsed))
                return null;
            using JsonDocument document = parsed;
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                return null;
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                foreach ((string name, int newest) in known)
                {
                    if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase) && property.Value.ValueKind == JsonValueKind.Number
                        && property.Value.TryGetInt64(out long format) && format > newest)
                        return (name, format, newest);
                }
            }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // No JSON, or a name that is not UTF-8: its reader says so.
        }

        return null;
    }

    public static DataDirectoryException Refusal(string path, (string Name, long Format, int Known) found) => new(
        $"{path} was written by a newer release, format {found.Format} ({found.Name}); this release reads up to {found.Known}. Start that release, or use another data directory: this one stays as it is.");
}

using System.Text.Json;
using Raft.Engine.Errors;

namespace Raft.Host.Storage;

/// <summary>The file <c>damaged</c>: damage found at run time, kept for the next start.</summary>
internal static class DamageMark
{
    private const string FileName = "damaged";

    private sealed record Content(string? File, long Offset, string? Detail);

    public static void Write(IStorageFiles files, string directory, CorruptStorageException damage) =>
        files.ReplaceFile(Path.Combine(directory, FileName), JsonSerializer.SerializeToUtf8Bytes(new Content(damage.File, damage.Offset, damage.Detail)));

    /// <summary>The end comes anyway: when this fails, the next start finds the damage itself, or nothing.</summary>
    public static void TryWrite(IStorageFiles files, string directory, CorruptStorageException damage)
    {
        try
        {
            Write(files, directory, damage);
        }
        catch (StorageFailedException)
        {
            // As said.
        }
    }

    public static void ThrowIfThere(IStorageFiles files, string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (!files.FileExists(path))
            return;
        Content? content = null;
        try
        {
            content = JsonSerializer.Deserialize<Content>(files.ReadAll(path));
        }
        catch (JsonException)
        {
            // The file itself says enough.
        }

        throw content is null
            ? Damage.In(path, 0, "damage was found at run time")
            : Damage.In(content.File ?? path, content.Offset, $"{content.Detail} (found at run time; see {path})");
    }
}

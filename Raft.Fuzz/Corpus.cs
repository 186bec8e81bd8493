using System.Security.Cryptography;

namespace Raft.Fuzz;

/// <summary>The inputs that are kept: one file each, named by its hash, in a directory for each target.</summary>
internal static class Corpus
{
    /// <summary>As it was built.</summary>
    public static readonly string Default = Path.Combine(AppContext.BaseDirectory, "corpus");

    public static IEnumerable<byte[]> Read(string root, string target)
    {
        string directory = Path.Combine(root, target);
        return Directory.Exists(directory) ? Directory.GetFiles(directory).Order(StringComparer.Ordinal).Select(File.ReadAllBytes) : [];
    }

    public static string Keep(string root, string target, byte[] input)
    {
        string directory = Path.Combine(root, target);
        Directory.CreateDirectory(directory);
        string path = Path.Combine(directory, Convert.ToHexStringLower(SHA256.HashData(input))[..16]);
        File.WriteAllBytes(path, input);
        return path;
    }
}

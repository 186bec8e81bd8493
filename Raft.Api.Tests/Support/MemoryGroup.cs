using System.Globalization;

namespace Raft.Api.Tests.Support;

/// <summary>A control group with a memory limit, in which a node runs as in a container.</summary>
internal sealed class MemoryGroup : IDisposable
{
    private const string Version1 = "/sys/fs/cgroup/memory";
    private const string Version2 = "/sys/fs/cgroup";
    private readonly string _path;

    private MemoryGroup(string path) => _path = path;

    /// <summary>Skips the test, with the reason, where no such group can be made.</summary>
    public static MemoryGroup Require(int mebibytes)
    {
        bool isVersion1 = Directory.Exists(Version1);
        string path = Path.Combine(isVersion1 ? Version1 : Version2, $"raft-test-{Guid.NewGuid():N}");
        string limit = (mebibytes * (1L << 20)).ToString(CultureInfo.InvariantCulture);
        try
        {
            Directory.CreateDirectory(path);
            File.WriteAllText(Path.Combine(path, isVersion1 ? "memory.limit_in_bytes" : "memory.max"), limit);
            return new MemoryGroup(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            TryDelete(path);
            Skip.If(true, $"no control group with a memory limit can be made here (it takes root, and cgroups): {error.Message}");
            throw;
        }
    }

    /// <summary>The node's next starts run in the group.</summary>
    public void Wrap(NodeProcess node) =>
        node.Wrapper.AddRange(["sh", "-c", $"echo $$ > {_path}/cgroup.procs && exec \"$@\"", "sh"]);

    /// <summary>After its processes have ended.</summary>
    public void Dispose() => TryDelete(_path);

    private static void TryDelete(string path)
    {
        try
        {
            Directory.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // An empty group costs nothing.
        }
    }
}

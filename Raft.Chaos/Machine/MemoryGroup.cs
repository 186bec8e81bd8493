using System.Globalization;

namespace Raft.Chaos.Machine;

/// <summary>A control group in which one node runs, as in a container with a memory limit.</summary>
internal sealed class MemoryGroup
{
    private readonly string _path;

    public MemoryGroup(string name, long bytes)
    {
        _path = Path.Combine(Tool.MemoryGroups, name);
        Directory.CreateDirectory(_path);
        File.WriteAllText(Path.Combine(_path, "memory.limit_in_bytes"), bytes.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>What stands before a program that is to run in the group. It is in it before the program begins, whose runtime reads the
    /// limit once, and stays the same process.</summary>
    public string[] Inside => ["sh", "-c", "echo $$ >\"$0\" && exec \"$@\"", Path.Combine(_path, "cgroup.procs")];
}

using System.Globalization;

namespace Raft.Chaos.Machine;

/// <summary>Something that a fault needs of the machine.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Remedy">A Debian package, or what to do when there is none.</param>
/// <param name="IsThere">Whether this machine has it.</param>
internal sealed record Tool(string Name, string Remedy, Func<bool> IsThere, bool IsPackage = true)
{
    public const string CpuGroups = "/sys/fs/cgroup/cpu";
    public const string MemoryGroups = "/sys/fs/cgroup/memory";

    public static readonly Tool Root = new(
        "the rights to make network namespaces and to mount", "run it as root, outside of a container without them", MayAdministrate, IsPackage: false);

    public static readonly Tool Ip = OfProgram("ip", "iproute2");
    public static readonly Tool Nsenter = OfProgram("nsenter", "util-linux");
    public static readonly Tool Iptables = OfProgram("iptables-restore", "iptables");
    public static readonly Tool Compiler = OfProgram("gcc", "gcc");
    public static readonly Tool Libc = OfFile("/usr/include/stdio.h", "libc6-dev");
    public static readonly Tool NetfilterQueue = OfFile("/usr/include/libnetfilter_queue/libnetfilter_queue.h", "libnetfilter-queue-dev");
    public static readonly Tool FuseLibrary = OfFile("/usr/include/fuse3/fuse.h", "libfuse3-dev");
    public static readonly Tool FuseDevice = new("/dev/fuse", "a kernel with FUSE", () => File.Exists("/dev/fuse"), IsPackage: false);
    public static readonly Tool LoopDevice = new("/dev/loop-control", "a kernel with loop devices", () => File.Exists("/dev/loop-control"), IsPackage: false);
    public static readonly Tool Losetup = OfProgram("losetup", "mount");
    public static readonly Tool Ext4 = OfProgram("mkfs.ext4", "e2fsprogs");
    public static readonly Tool Xfs = OfProgram("mkfs.xfs", "xfsprogs");
    public static readonly Tool XfsIo = OfProgram("xfs_io", "xfsprogs");
    public static readonly Tool CpuQuota = new(
        $"the cpu controller at {CpuGroups}", "a kernel with version 1 of control groups", () => Directory.Exists(CpuGroups), IsPackage: false);

    public static readonly Tool MemoryLimit = new(
        $"the memory controller at {MemoryGroups}", "a kernel with version 1 of control groups", () => Directory.Exists(MemoryGroups), IsPackage: false);

    /// <summary>What every cluster needs, whatever happens to it.</summary>
    public static readonly Tool[] OfEveryRun = [Root, Ip, Nsenter, Iptables];

    /// <summary>Null when all is there; otherwise what is missing, with the line that installs it.</summary>
    public static string? Missing(IEnumerable<Tool> tools)
    {
        Tool[] missing = [.. tools.Distinct().Where(tool => !tool.IsThere())];
        if (missing.Length == 0)
            return null;
        string[] packages = [.. missing.Where(tool => tool.IsPackage).Select(tool => tool.Remedy).Distinct(StringComparer.Ordinal)];
        return $"Missing: {string.Join(", ", missing.Select(tool => tool.IsPackage ? tool.Name : $"{tool.Name} ({tool.Remedy})"))}."
            + (packages.Length == 0 ? "" : $" apt-get install -y {string.Join(' ', packages)}");
    }

    private static Tool OfFile(string path, string package) => new(path, package, () => File.Exists(path));

    private static Tool OfProgram(string name, string package) =>
        new(name, package, () => new[] { "/usr/sbin", "/usr/bin", "/sbin", "/bin" }.Any(folder => File.Exists(Path.Combine(folder, name))));

    /// <summary>The capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN, as capabilities(7) numbers them.</summary>
    private static bool MayAdministrate()
    {
        const ulong needed = (1UL << 12) | (1UL << 21);
        string line = File.ReadLines("/proc/self/status").First(text => text.StartsWith("CapEff:", StringComparison.Ordinal));
        return (ulong.Parse(line["CapEff:".Length..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & needed) == needed;
    }
}

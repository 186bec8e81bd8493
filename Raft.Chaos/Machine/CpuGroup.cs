using System.Globalization;

namespace Raft.Chaos.Machine;

/// <summary>A control group in which one node runs, so that its share of the processor can be cut.</summary>
internal sealed class CpuGroup
{
    private const int PeriodMicroseconds = 100_000;
    private readonly string _path;

    public CpuGroup(string name)
    {
        _path = Path.Combine(Tool.CpuGroups, name);
        Directory.CreateDirectory(_path);
    }

    public void Add(int processId) => File.WriteAllText(Path.Combine(_path, "cgroup.procs"), processId.ToString(CultureInfo.InvariantCulture));

    public void Limit(int percentOfOneCore) =>
        File.WriteAllText(Path.Combine(_path, "cpu.cfs_quota_us"), (PeriodMicroseconds * percentOfOneCore / 100).ToString(CultureInfo.InvariantCulture));

    public void Unlimit() => File.WriteAllText(Path.Combine(_path, "cpu.cfs_quota_us"), "-1");
}

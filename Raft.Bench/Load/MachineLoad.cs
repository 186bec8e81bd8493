namespace Raft.Bench.Load;

/// <summary>How busy the machine is: it belongs beside each figure.</summary>
internal static class MachineLoad
{
    /// <summary>The first number of /proc/loadavg.</summary>
    public static string Now => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";

    public static void Print(string what) => Console.WriteLine($"{what}: load {Now}, {Environment.ProcessorCount} cores");
}

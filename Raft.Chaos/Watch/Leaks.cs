using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Watch;

/// <summary>Whether the process that lived through a whole run holds more at its end than in its fifth minute.</summary>
/// <remarks>The state itself grows with what the clients write, in memory by several times its size in a snapshot. Beyond that a heap may
/// breathe, and a pool of threads too; a leak does not stop at that.</remarks>
internal static class Leaks
{
    private const int BytesPerStateByte = 8, HandlesMore = 20, ThreadsMore = 12;
    private const long BytesMore = 64 << 20;

    /// <summary>How long nothing is done to the cluster before the last look.</summary>
    public static readonly TimeSpan Quiet = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Settled = TimeSpan.FromMinutes(5), Window = TimeSpan.FromMinutes(1);

    /// <summary>One line for the summary; what must not be is told to the log.</summary>
    public static string Judge(RunLog log, ResourceWatch watch, ChaosNode survivor, long stateBytes)
    {
        TimeSpan end = watch.Now, from = end > 2 * Settled ? Settled : end / 4;
        int process = survivor.Process.ProcessId;
        if (watch.Median(process, from, from + Window) is not { } first || watch.Median(process, end - Quiet, end) is not { } last)
        {
            log.Found($"{survivor.Id} did not live from {from.TotalSeconds:f0} s to the end, so nothing can be said of leaks");
            return "not known";
        }

        long grown = last.ResidentBytes - first.ResidentBytes, allowed = BytesMore + (BytesPerStateByte * stateBytes);
        int handles = last.Handles - first.Handles, threads = last.Threads - first.Threads;
        if (grown > allowed)
            log.Found(string.Create(CultureInfo.InvariantCulture, $"{survivor.Id} grew by {grown >> 20} MiB; its state explains {allowed >> 20}"));
        if (handles > HandlesMore)
            log.Found(string.Create(CultureInfo.InvariantCulture, $"{survivor.Id} has {handles} more open files than before"));
        if (threads > ThreadsMore)
            log.Found(string.Create(CultureInfo.InvariantCulture, $"{survivor.Id} has {threads} more threads than before"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{survivor.Id} from {from:mm\\:ss} to {end:mm\\:ss}: memory {first.ResidentBytes >> 20} to {last.ResidentBytes >> 20} MiB (state {stateBytes >> 10} KiB), handles {first.Handles} to {last.Handles}, threads {first.Threads} to {last.Threads}");
    }
}

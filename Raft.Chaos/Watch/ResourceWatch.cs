using System.Diagnostics;
using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Watch;

/// <summary>Memory, open files and threads of one process at one moment.</summary>
internal sealed record Sample(string Node, int ProcessId, TimeSpan At, long ResidentBytes, int Handles, int Threads);

/// <summary>Samples what every process holds.</summary>
internal sealed class ResourceWatch(ChaosCluster cluster)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private readonly List<Sample> _samples = [];
    private readonly Stopwatch _watch = Stopwatch.StartNew();

    public async Task RunAsync(CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            foreach (ChaosNode node in cluster.Nodes)
            {
                if (TrySample(node) is { } sample)
                {
                    lock (_samples)
                        _samples.Add(sample);
                }
            }

            await Task.Delay(Pause, end).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    /// <summary>Of a process, the middle one of each quantity within a time.</summary>
    public Sample? Median(int processId, TimeSpan from, TimeSpan to)
    {
        Sample[] within;
        lock (_samples)
            within = [.. _samples.Where(sample => sample.ProcessId == processId && sample.At >= from && sample.At <= to)];
        if (within.Length == 0)
            return null;
        return within[0] with
        {
            ResidentBytes = within.Select(sample => sample.ResidentBytes).Order().ElementAt(within.Length / 2),
            Handles = within.Select(sample => sample.Handles).Order().ElementAt(within.Length / 2),
            Threads = within.Select(sample => sample.Threads).Order().ElementAt(within.Length / 2),
        };
    }

    public TimeSpan Now => _watch.Elapsed;

    public async Task SaveAsync(string path)
    {
        Sample[] all;
        lock (_samples)
            all = [.. _samples];
        await File.WriteAllLinesAsync(path, all.Select(sample => string.Create(
            CultureInfo.InvariantCulture, $"{sample.At.TotalSeconds:f0} {sample.Node} {sample.ProcessId} {sample.ResidentBytes} {sample.Handles} {sample.Threads}")));
    }

    private Sample? TrySample(ChaosNode node)
    {
        try
        {
            if (!node.Process.IsRunning)
                return null;
            int id = node.Process.ProcessId;
            string[] status = File.ReadAllLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/status"));
            return new Sample(
                node.Id, id, _watch.Elapsed, NumberOf(status, "VmRSS:") * 1024,
                Directory.GetFileSystemEntries(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/fd")).Length, (int)NumberOf(status, "Threads:"));
        }
        catch (Exception error) when (error is IOException or InvalidOperationException or UnauthorizedAccessException)
        {
            return null; // it has just ended
        }
    }

    private static long NumberOf(string[] status, string name) => long.Parse(
        status.First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture);
}

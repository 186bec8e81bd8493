using System.Globalization;
using Raft.Api.Tests.Support;

namespace Raft.Chaos.Machine;

/// <summary>Takes away whatever a run has made: at its end, and at the start of the next one when it could not do so itself.</summary>
/// <remarks>Everything is found by its name, nothing by what the run remembers.</remarks>
internal static class Leftovers
{
    public static async Task RemoveAsync(int number, string? directory)
    {
        string prefix = RunPlace.PrefixOf(number);
        foreach (string name in await NamespacesAsync(prefix))
        {
            // All processes of a run live in its namespaces, those that serve its disks too.
            await EndProcessesAsync(name);
        }

        // The cables by name: with a namespace they go some time later, and until then their names are taken.
        string bridge = RunPlace.BridgeOf(number);
        foreach (string link in Directory.GetDirectories("/sys/class/net").Select(path => Path.GetFileName(path)).Where(link => link == bridge || link.StartsWith(bridge + ".", StringComparison.Ordinal)))
            await Shell.TryAsync("ip", "link", "delete", link);
        foreach (string name in await NamespacesAsync(prefix))
            await Shell.TryAsync("ip", "netns", "delete", name);
        if (directory is not null && Directory.Exists(directory))
        {
            await UnmountAsync(directory);
            await DetachLoopsAsync(directory);
            Directory.Delete(directory, recursive: true);
        }

        foreach (string groups in new[] { Tool.CpuGroups, Tool.MemoryGroups }.Where(Directory.Exists))
        {
            foreach (string group in Directory.GetDirectories(groups, prefix + "*"))
                await Shell.TryAsync("rmdir", group);
        }
    }

    private static async Task<string[]> NamespacesAsync(string prefix) =>
    [
        .. (await Shell.TryAsync("ip", "netns", "list")).Output.Split('\n')
            .Select(line => line.Split(' ')[0]).Where(name => name.StartsWith(prefix, StringComparison.Ordinal)),
    ];

    private static async Task EndProcessesAsync(string name)
    {
        for (int tries = 0; tries < 200; tries++)
        {
            int[] processes =
            [
                .. (await Shell.TryAsync("ip", "netns", "pids", name)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    .Select(line => int.Parse(line, CultureInfo.InvariantCulture)),
            ];
            if (processes.Length == 0)
                return;
            foreach (int process in processes)
                Native.Send(process, Signal.Kill);
            await Task.Delay(20);
        }
    }

    /// <summary>The innermost first: a file system may stand on another one.</summary>
    private static async Task UnmountAsync(string directory)
    {
        string[] mounts = [.. (await File.ReadAllLinesAsync("/proc/self/mounts")).Select(line => line.Split(' ')[1]).Where(path => path.StartsWith(directory + "/", StringComparison.Ordinal))];
        foreach (string mount in mounts.Reverse())
        {
            if ((await Shell.TryAsync("umount", mount)).Code != 0)
                await Shell.TryAsync("umount", "--lazy", mount);
        }
    }

    private static async Task DetachLoopsAsync(string directory)
    {
        foreach (string line in (await Shell.TryAsync("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")).Output.Split('\n'))
        {
            string[] columns = line.Split(' ', 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (columns.Length == 2 && columns[1].StartsWith(directory + "/", StringComparison.Ordinal))
                await Shell.TryAsync("losetup", "--detach", columns[0]);
        }
    }
}

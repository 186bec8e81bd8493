using System.Globalization;
using Raft.Chaos.Machine;

namespace Raft.Chaos.Scenarios;

/// <summary>What a run that failed leaves behind.</summary>
internal static class Evidence
{
    /// <summary>Copies logs, history and the nodes' data out of the run's directory, whose file systems go with the run.</summary>
    public static async Task<string> KeepAsync(RunPlace place, string scenario)
    {
        string kept = Path.Combine(Path.GetTempPath(), string.Create(CultureInfo.InvariantCulture, $"raft-chaos-failed-{scenario}-{DateTime.UtcNow:yyyyMMdd-HHmmss}"));
        Directory.CreateDirectory(kept);
        foreach (string file in Directory.GetFiles(place.Directory))
            File.Copy(file, Path.Combine(kept, Path.GetFileName(file)));
        foreach (string node in Directory.GetDirectories(place.Directory, "n*"))
        {
            string data = Path.Combine(node, "data", "node");
            if (Directory.Exists(data))
                await Shell.TryAsync("cp", "--recursive", "--sparse=always", data, Path.Combine(kept, Path.GetFileName(node)));
        }

        return kept;
    }
}

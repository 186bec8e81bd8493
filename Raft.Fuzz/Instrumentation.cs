using System.Diagnostics;

namespace Raft.Fuzz;

/// <summary>Runs this program once more, so that an input which ends the process is known all the same; guided, from a copy whose
/// RaftHost assemblies count their branches: SharpFuzz writes the counters in, and <see cref="BranchNovelty"/> reads them in the
/// same process. Neither AFL nor libFuzzer is needed for that, and what is built here stays as it is.</summary>
internal static class Instrumentation
{
    private const string Mark = "RAFT_FUZZ_CURRENT";

    private static readonly string[] _assemblies = ["Raft.Engine.dll", "Raft.Host.dll"];

    /// <summary>In the second process: where the input under way is written.</summary>
    public static string? CurrentPath => Environment.GetEnvironmentVariable(Mark);

    public static int Run(string[] args, bool isGuided)
    {
        string directory = Directory.CreateTempSubdirectory("raft-fuzz-").FullName;
        try
        {
            string program = isGuided ? CopyInstrumented(Path.Combine(directory, "program")) : AppContext.BaseDirectory;
            string current = Path.Combine(directory, "current");
            var start = new ProcessStartInfo("dotnet", [Path.Combine(program, "Raft.Fuzz.dll"), .. args]) { UseShellExecute = false };
            start.Environment[Mark] = current;
            using Process child = Process.Start(start)!;
            child.WaitForExit();
            if (child.ExitCode is not (ExitCode.Good or ExitCode.Failures or ExitCode.Usage) && CurrentInput.Read(current) is { } last)
                Console.Error.WriteLine($"{last.Target}: the process ended with {child.ExitCode}{Environment.NewLine}{FuzzFailureException.Keep(last.Target, last.Input)}");
            return child.ExitCode;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static string CopyInstrumented(string copy)
    {
        string own = AppContext.BaseDirectory;
        foreach (string file in Directory.EnumerateFiles(own, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(copy, Path.GetRelativePath(own, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        foreach (string assembly in _assemblies)
            SharpFuzz.Fuzzer.Instrument(Path.Combine(copy, assembly), _ => true, SharpFuzz.Options.Value);
        return copy;
    }
}

internal static class ExitCode
{
    public const int Good = 0;
    public const int Failures = 1;
    public const int Usage = 2;
}

using System.Diagnostics;
using Raft.Api.Tests.Support;
using Xunit.Abstractions;

namespace Raft.Api.Tests.Processes;

/// <summary>A short run of Raft.Chaos: all of its machinery, and a few of its faults. docs/testing.md has the long ones.</summary>
[Collection(ProcessCollection.Name)]
public sealed class ChaosTests(ITestOutputHelper output)
{
    private const int Succeeded = 0, CannotRun = 2;

    /// <summary>Longer than any step of the run waits, so that it tells by itself what went wrong.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(8);

    [SkippableFact]
    public async Task Under_faults_of_all_kinds_nothing_acknowledged_is_lost()
    {
        using Process run = Start("mix", "--minutes", "0.25", "--nodes", "3", "--rate", "60");
        Task<string> told = run.StandardOutput.ReadToEndAsync(), complained = run.StandardError.ReadToEndAsync();
        try
        {
            await run.WaitForExitAsync().WaitAsync(Bound);
        }
        finally
        {
            if (!run.HasExited)
            {
                Native.Send(run.Id, Signal.Interrupt); // it cleans up then
                await run.WaitForExitAsync().WaitAsync(Wait.Bound);
            }

            output.WriteLine(await told);
        }

        string complaint = await complained;
        Skip.If(run.ExitCode == CannotRun, complaint);
        Assert.True(run.ExitCode == Succeeded, $"It ended with {run.ExitCode}. {complaint}{Environment.NewLine}{await told}");
    }

    private static Process Start(params string[] arguments)
    {
        // bin/<configuration>/<framework> of the tests, and of the program beside them.
        string[] folders = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar).Split(Path.DirectorySeparatorChar);
        string program = Path.Combine([.. folders[..^4].Prepend("/"), "Raft.Chaos", .. folders[^3..], "Raft.Chaos.dll"]);
        return Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }
}

using System.Diagnostics;

namespace Raft.Chaos.Machine;

/// <summary>Commands of the system.</summary>
internal static class Shell
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    /// <summary>Runs a command to its end and gives what it wrote; it must succeed.</summary>
    public static Task<string> RunAsync(string program, params string[] arguments) => RunWithInputAsync(null, program, arguments);

    public static async Task<string> RunWithInputAsync(string? input, string program, params string[] arguments)
    {
        (int code, string output, string error) = await TryWithInputAsync(input, program, arguments);
        return code == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {code}: {error.Trim()}{output.Trim()}");
    }

    public static Task<(int Code, string Output, string Error)> TryAsync(string program, params string[] arguments) => TryWithInputAsync(null, program, arguments);

    /// <summary>Starts a command that runs until somebody ends it; what it writes goes to a file.</summary>
    public static Process Start(string logFile, string program, params string[] arguments) =>
        Process.Start(new ProcessStartInfo("sh", ["-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1", "sh", logFile, program, .. arguments]))
        ?? throw new InvalidOperationException($"{program} did not start.");

    private static async Task<(int Code, string Output, string Error)> TryWithInputAsync(string? input, string program, string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (input is not null)
            await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        using var bound = new CancellationTokenSource(Bound);
        try
        {
            await process.WaitForExitAsync(bound.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} had not ended after {Bound.TotalSeconds} s.");
        }

        return (process.ExitCode, await output, await error);
    }
}

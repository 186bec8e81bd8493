using System.Diagnostics;

namespace Raft.Api.Tests.Support;

/// <summary>Runs nodes under strace.</summary>
internal static class Strace
{
    /// <summary>Skips the test, loudly, only where strace cannot trace a process of its own.</summary>
    public static async Task RequireAsync()
    {
        string? reason = null;
        try
        {
            using Process probe = Process.Start(new ProcessStartInfo("strace", ["-f", "-o", "/dev/null", "true"])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            })!;
            string error = await probe.StandardError.ReadToEndAsync();
            await probe.WaitForExitAsync();
            if (probe.ExitCode != 0)
                reason = $"strace cannot trace here (ptrace is not permitted): {error}";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            reason = "strace is not installed: apt-get install -y strace";
        }

        if (reason is not null)
            Console.Error.WriteLine($"SKIPPED, the durability is NOT proven here: {reason}");
        Skip.If(reason is not null, reason);
    }

    /// <summary>Puts strace before a node. The process that is started is the node itself (-D), so signals reach it.</summary>
    public static void Wrap(NodeProcess node, string output, params string[] arguments) =>
        node.Wrapper.AddRange(["strace", "-D", "-f", "-ttt", "-T", "-qq", "-o", output, .. arguments]);
}

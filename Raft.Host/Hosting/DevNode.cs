using System.Diagnostics;
using System.Runtime.InteropServices;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>One process of a dev cluster.</summary>
internal sealed partial class DevNode
{
    private const int SigTerm = 15;

    private readonly string[] _settings;
    private Process? _process;
    private bool _terminated;

    public DevNode(int number, int count, int basePort, string dataRoot, CommandLine commands)
    {
        Id = $"n{number}";
        ApiUrl = Url(basePort, number, offset: 0);
        List<string> settings = [.. commands.Settings];
        for (int member = 1; member <= count; member++)
        {
            settings.Add($"--Raft:Members:{member - 1}:Id=n{member}");
            settings.Add($"--Raft:Members:{member - 1}:PeerUrl={Url(basePort, member, offset: 1)}");
            settings.Add($"--Raft:Members:{member - 1}:ApiUrl={Url(basePort, member, offset: 0)}");
        }

        // Last, so that they win: each node has its own.
        settings.Add($"--Raft:NodeId={Id}");
        settings.Add($"--Raft:DataDirectory={Path.Combine(dataRoot, Id)}");
        settings.Add($"--{EndpointOptions.ApiKey}={ApiUrl}");
        settings.Add($"--{EndpointOptions.PeerKey}={Url(basePort, number, offset: 1)}");
        if (commands.ConfigurationFile is { } file)
            settings.AddRange(["--config", Path.GetFullPath(file)]);
        _settings = [.. settings];
    }

    public string Id { get; }

    public string ApiUrl { get; }

    public int ProcessId => _process?.Id ?? 0;

    /// <summary>How the process ended, for the last report.</summary>
    public string Ending { get; private set; } = "";

    /// <summary>Starts the node by hand, in a shell.</summary>
    public string CommandForPeople => string.Join(' ', Program().Concat(_settings).Select(Quoted));

    public void Start()
    {
        string[] program = Program();
        var start = new ProcessStartInfo(program[0])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in program.Skip(1).Concat(_settings).Append("--dev-node"))
            start.ArgumentList.Add(argument);

        var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Forward(Console.Out, line.Data);
        process.ErrorDataReceived += (_, line) => Forward(Console.Error, line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _process = process;
    }

    public async Task<int> WaitForExitAsync()
    {
        Process process = _process ?? throw new InvalidOperationException($"{Id} was not started.");
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    public void Terminate()
    {
        if (_process is { HasExited: false } process)
        {
            _terminated = true;
            _ = Kill(process.Id, SigTerm);
        }
    }

    /// <summary>Waits for the end; false when it had to be forced, or failed.</summary>
    public async Task<bool> EndAsync(TimeSpan patience)
    {
        Process process = _process ?? throw new InvalidOperationException($"{Id} was not started.");
        using var deadline = new CancellationTokenSource(patience);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            Ending = $"did not stop within {patience.TotalSeconds:0} s and was killed";
            return false;
        }

        Ending = process.ExitCode == 0 ? "stopped cleanly" : $"ended with code {process.ExitCode}";

        // One that had been killed before is no fault of this stop.
        return process.ExitCode == 0 || !_terminated;
    }

    private void Forward(TextWriter to, string? line)
    {
        if (line is not null)
            to.WriteLine($"{Id} | {line}");
    }

    private static string Url(int basePort, int number, int offset) => $"http://127.0.0.1:{basePort + (2 * (number - 1)) + offset}";

    /// <summary>This very program: its own executable, or the dotnet command with its assembly.</summary>
    private static string[] Program()
    {
        string self = Environment.ProcessPath ?? "Raft.Host";
        return Path.GetFileNameWithoutExtension(self) == "dotnet" ? [self, Path.Combine(AppContext.BaseDirectory, "Raft.Host.dll")] : [self];
    }

    private static string Quoted(string argument) =>
        argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=+,".Contains(c, StringComparison.Ordinal)) ? argument : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}

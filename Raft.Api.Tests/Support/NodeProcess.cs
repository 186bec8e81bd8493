using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace Raft.Api.Tests.Support;

/// <summary>One process of the built service, as an operator would start it: <c>dotnet Raft.Host.dll</c> with environment variables.</summary>
public sealed class NodeProcess : IAsyncDisposable
{
    private static readonly HashSet<Process> Running = [];
    private readonly StringBuilder _output = new();
    private readonly SocketsHttpHandler _sockets = new() { UseProxy = false, AllowAutoRedirect = false };
    private Process? _process;

    static NodeProcess() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        lock (Running)
        {
            foreach (Process left in Running)
                Native.Send(left.Id, Signal.Kill);
        }
    };

    public NodeProcess(string id, string dataDirectory, int apiPort, int peerPort, string address = "127.0.0.1")
    {
        Id = id;
        DataDirectory = dataDirectory;
        ApiUrl = $"http://{address}:{apiPort}";
        PeerUrl = $"http://{address}:{peerPort}";
        Settings = new()
        {
            ["Raft__NodeId"] = id,
            ["Raft__DataDirectory"] = dataDirectory,
            ["Kestrel__Endpoints__Api__Url"] = ApiUrl,
            ["Kestrel__Endpoints__Peer__Url"] = PeerUrl,
        };
        Http = new HttpClient(_sockets, disposeHandler: false) { BaseAddress = new Uri(ApiUrl), Timeout = TimeSpan.FromSeconds(30) };
    }

    public static string HostAssembly => Path.Combine(AppContext.BaseDirectory, "Raft.Host.dll");

    /// <summary>Another program that is a node, such as a sample.</summary>
    public string Assembly { get; init; } = HostAssembly;

    public string Id { get; }
    public string DataDirectory { get; set; }
    public string ApiUrl { get; }
    public string PeerUrl { get; private set; }
    public int ApiPort => new Uri(ApiUrl).Port;
    public int PeerPort => new Uri(PeerUrl).Port;

    /// <summary>The environment of the next start; null takes a variable away.</summary>
    public Dictionary<string, string?> Settings { get; }

    /// <summary>Arguments of the next start, after the assembly.</summary>
    public List<string> Arguments { get; } = [];

    /// <summary>What stands before <c>dotnet</c>, for example strace.</summary>
    public List<string> Wrapper { get; } = [];

    /// <summary>Gets every line that the process writes, in its order.</summary>
    public Action<string>? OnLine { get; init; }

    public HttpClient Http { get; }

    public int ProcessId => _process?.Id ?? throw new InvalidOperationException($"{Id} was never started.");

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>Null while it runs and before its first start.</summary>
    public int? ExitCode => _process is { HasExited: true } ended ? ended.ExitCode : null;

    /// <summary>Everything that the process has written, all starts together.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    /// <summary>The next start listens for its peers on another port.</summary>
    public void MovePeer(int port)
    {
        PeerUrl = new UriBuilder(PeerUrl) { Port = port }.Uri.GetLeftPart(UriPartial.Authority);
        Settings["Kestrel__Endpoints__Peer__Url"] = PeerUrl;
    }

    public void Start()
    {
        if (IsRunning)
            throw new InvalidOperationException($"{Id} is running.");

        List<string> command = [.. Wrapper, "dotnet", Assembly, .. Arguments];
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        foreach (string inherited in start.Environment.Keys.Where(IsOurs).ToArray())
            start.Environment.Remove(inherited);
        foreach ((string key, string? value) in Settings)
            start.Environment[key] = value;

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        lock (Running)
        {
            _process.Start();
            Running.Add(_process);
        }

        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public async Task StartAndWaitUntilReadyAsync()
    {
        Start();
        await WaitUntilReadyAsync();
    }

    public void Send(Signal signal) => Native.Send(ProcessId, signal);

    /// <summary>SIGKILL, and the end of the process.</summary>
    public async Task KillAsync()
    {
        Send(Signal.Kill);
        await ExitAsync();
    }

    /// <summary>SIGTERM, and the end of the process with its exit code.</summary>
    public async Task<int> StopAsync()
    {
        Send(Signal.Terminate);
        return await ExitAsync();
    }

    /// <summary>Waits for the end of the process; its exit code.</summary>
    public async Task<int> ExitAsync()
    {
        Process process = _process ?? throw new InvalidOperationException($"{Id} was never started.");
        using var bound = new CancellationTokenSource(Wait.Bound);
        try
        {
            await process.WaitForExitAsync(bound.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"Waited {Wait.Bound.TotalSeconds} s for the end of {Id}.{Environment.NewLine}{Tail()}");
        }

        lock (Running)
            Running.Remove(process);
        return process.ExitCode;
    }

    public Task WaitUntilReadyAsync() => WaitAsync(
        async () => (await Http.GetAsync("/readyz")).StatusCode == HttpStatusCode.OK, "/readyz to answer 200");

    /// <summary>Waits until /readyz answers 503 with this text in its verbose answer.</summary>
    public Task WaitUntilNotReadyBecauseAsync(string text) => WaitAsync(
        async () =>
        {
            HttpResponseMessage answer = await Http.GetAsync("/readyz?verbose");
            return answer.StatusCode == HttpStatusCode.ServiceUnavailable
                && (await answer.Content.ReadAsStringAsync()).Contains(text, StringComparison.OrdinalIgnoreCase);
        },
        $"/readyz to answer 503 with '{text}'");

    public Task WaitAsync(Func<Task<bool>> condition, string what) => Wait.UntilAsync(
        () => IsRunning ? condition() : throw new InvalidOperationException($"{Id} has ended with {_process?.ExitCode}.{Environment.NewLine}{Tail()}"),
        $"{Id}: {what}",
        () => Tail());

    public Task WaitForOutputAsync(string text) => Wait.UntilAsync(
        () => Output.Contains(text, StringComparison.OrdinalIgnoreCase), $"{Id} to write '{text}'", () => Tail());

    public async Task<NodeStatus> StatusAsync()
    {
        using HttpResponseMessage answer = await Http.GetAsync("/v1/status");
        answer.EnsureSuccessStatusCode();
        return NodeStatus.Parse(await answer.Content.ReadAsStringAsync());
    }

    public async Task<JsonElement> GetJsonAsync(string path) => (await Http.GetAsync(path)).EnsureSuccessStatusCode() is { } answer
        ? JsonElement.Parse(await answer.Content.ReadAsStringAsync())
        : default;

    /// <summary>Memory that the process holds now.</summary>
    public long ResidentBytes()
    {
        string line = File.ReadLines($"/proc/{ProcessId}/status").First(text => text.StartsWith("VmRSS", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(6, line.Length - 8), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture) * 1024;
    }

    public string Tail(int lines = 60)
    {
        string[] all = Output.Split('\n');
        return $"--- {Id}, the last of {all.Length} lines:{Environment.NewLine}{string.Join('\n', all.TakeLast(lines))}";
    }

    public async ValueTask DisposeAsync()
    {
        if (IsRunning)
            await KillAsync();
        if (_process is not null)
        {
            lock (Running)
                Running.Remove(_process);
            _process.Dispose();
        }

        Http.Dispose();
        _sockets.Dispose();
    }

    private static bool IsOurs(string variable) =>
        variable.StartsWith("Raft__", StringComparison.OrdinalIgnoreCase) || variable.StartsWith("Kestrel__", StringComparison.OrdinalIgnoreCase)
        || variable.StartsWith("ASPNETCORE_", StringComparison.OrdinalIgnoreCase) || variable.StartsWith("Logging__", StringComparison.OrdinalIgnoreCase);

    private void Keep(string? line)
    {
        if (line is null)
            return;
        lock (_output)
        {
            OnLine?.Invoke(line);
            _output.Append(line).Append('\n');
            if (_output.Length > 4 << 20)
                _output.Remove(0, 1 << 20);
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Raft.Bench.Load;

/// <summary>Three nodes of a published host on loopback, for the measurements that kill or stop some of them.</summary>
internal sealed partial class BenchCluster : IAsyncDisposable
{
    public const int Kill = 9, Continue = 18, Stop = 19;

    private readonly string _assembly;
    private readonly string _directory = Directory.CreateTempSubdirectory("raft-bench-").FullName;
    private readonly int[] _ports = FreePorts(6);
    private readonly Process?[] _nodes = new Process?[3];
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(5) };

    private BenchCluster(string folder)
    {
        _assembly = Path.Combine(Path.GetFullPath(folder), "Raft.Host.dll");
        if (!File.Exists(_assembly))
            throw new ArgumentException($"{_assembly} is missing: dotnet publish Raft.Host -c Release -o {folder}");
    }

    public string[] Urls => [.. Enumerable.Range(0, 3).Select(UrlOf)];

    public static async Task<BenchCluster> StartAsync(string folder)
    {
        var cluster = new BenchCluster(folder);
        for (int n = 0; n < 3; n++)
            cluster.StartNode(n);
        await cluster.WaitUntilReadyAsync();
        return cluster;
    }

    public string UrlOf(int node) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_ports[2 * node]}");

    public void StartNode(int node)
    {
        var start = new ProcessStartInfo("dotnet", [_assembly])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["Raft__ClusterId"] = "bench",
                ["Raft__NodeId"] = NameOf(node),
                ["Raft__DataDirectory"] = Path.Combine(_directory, NameOf(node)),
                ["Raft__Bootstrap"] = "false",
                ["Kestrel__Endpoints__Api__Url"] = UrlOf(node),
                ["Kestrel__Endpoints__Peer__Url"] = PeerUrlOf(node),
                ["Logging__LogLevel__Default"] = "Warning",
            },
        };
        for (int n = 0; n < 3; n++)
        {
            string member = string.Create(CultureInfo.InvariantCulture, $"Raft__Members__{n}__");
            start.Environment[member + "Id"] = NameOf(n);
            start.Environment[member + "PeerUrl"] = PeerUrlOf(n);
            start.Environment[member + "ApiUrl"] = UrlOf(n);
        }

        Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, line) => Echo(node, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _nodes[node] = process;
    }

    public async Task WaitUntilReadyAsync()
    {
        var watch = Stopwatch.StartNew();
        for (int n = 0; n < 3; n++)
        {
            while (!await IsReadyAsync(n))
            {
                if (watch.Elapsed > TimeSpan.FromSeconds(60))
                    throw new InvalidOperationException($"{NameOf(n)} was not ready within 60 s.");
                await Task.Delay(50);
            }
        }
    }

    /// <summary>What a node's state machine has applied.</summary>
    public async Task<long> AppliedAsync(int node)
    {
        JsonElement status = JsonElement.Parse(await _http.GetStringAsync(UrlOf(node) + "/v1/status"));
        return status.GetProperty("groups")[0].GetProperty("appliedIndex").GetInt64();
    }

    public async Task<int> LeaderAsync()
    {
        while (true)
        {
            for (int n = 0; n < 3; n++)
            {
                try
                {
                    JsonElement status = JsonElement.Parse(await _http.GetStringAsync(UrlOf(n) + "/v1/status"));
                    if (status.GetProperty("groups")[0].GetProperty("role").GetString() == "leader")
                        return n;
                }
                catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
                {
                    // Dead or stopped: another one may lead.
                }
            }

            await Task.Delay(20);
        }
    }

    public void Send(int node, int signal)
    {
        if (_nodes[node] is { HasExited: false } process)
            _ = SendSignal(process.Id, signal);
    }

    public async Task KillAsync(int node)
    {
        Send(node, Kill);
        await _nodes[node]!.WaitForExitAsync(); // the caller has started it
    }

    public long ResidentMegabytes(int node)
    {
        Process process = _nodes[node]!; // the caller has started it
        process.Refresh();
        return process.WorkingSet64 >> 20;
    }

    public async ValueTask DisposeAsync()
    {
        for (int n = 0; n < 3; n++)
        {
            if (_nodes[n] is { HasExited: false })
                await KillAsync(n);
        }

        _http.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"n{node + 1}");

    private string PeerUrlOf(int node) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_ports[(2 * node) + 1]}");

    private static void Echo(int node, string? line)
    {
        if (line is not null)
            Console.Error.WriteLine($"{NameOf(node)}: {line}");
    }

    private async Task<bool> IsReadyAsync(int node)
    {
        try
        {
            using HttpResponseMessage answer = await _http.GetAsync(UrlOf(node) + "/readyz");
            return answer.IsSuccessStatusCode;
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
        {
            return false;
        }
    }

    private static int[] FreePorts(int count)
    {
        TcpListener[] listeners = [.. Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0))];
        foreach (TcpListener listener in listeners)
            listener.Start();
        int[] ports = [.. listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        foreach (TcpListener listener in listeners)
            listener.Dispose();
        return ports;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SendSignal(int processId, int signal);
}

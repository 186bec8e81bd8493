using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Raft.Bench.Load;

/// <summary>Three nodes of a published host on loopback, and later ones that join them, for the measurements that kill or
/// stop some of them.</summary>
/// <remarks>Environment variables of the bench, such as Raft__Limits__SnapshotSendBytesPerSecond, reach the nodes, unless a
/// measurement sets them itself.</remarks>
internal sealed partial class BenchCluster : IAsyncDisposable
{
    public const int Kill = 9, Continue = 18, Stop = 19;
    public const int Founders = 3, Most = 8;

    private readonly string _assembly;
    private readonly string _directory = Directory.CreateTempSubdirectory("raft-bench-").FullName;
    private readonly int[] _ports = FreePorts(2 * Most);
    private readonly Process?[] _nodes = new Process?[Most];
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(5) };
    private readonly IReadOnlyDictionary<string, string> _settings;

    private BenchCluster(string folder, IReadOnlyDictionary<string, string> settings)
    {
        _settings = settings;
        _assembly = Path.Combine(Path.GetFullPath(folder), "Raft.Host.dll");
        if (!File.Exists(_assembly))
            throw new ArgumentException($"{_assembly} is missing: dotnet publish Raft.Host -c Release -o {folder}");
    }

    /// <summary>Of the nodes that run.</summary>
    public string[] Urls => [.. Running.Select(UrlOf)];

    public IEnumerable<int> Running => Enumerable.Range(0, Most).Where(n => _nodes[n] is { HasExited: false });

    /// <param name="folder">With the published host.</param>
    /// <param name="settings">Beyond what a cluster of three needs: names of environment variables and values.</param>
    public static async Task<BenchCluster> StartAsync(string folder, IReadOnlyDictionary<string, string>? settings = null)
    {
        BenchCluster cluster = Launch(folder, settings);
        try
        {
            await cluster.WaitUntilReadyAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();       // or its nodes would outlive us
            throw;
        }
    }

    /// <summary>The processes run; nobody has waited for them.</summary>
    public static BenchCluster Launch(string folder, IReadOnlyDictionary<string, string>? settings = null)
    {
        var cluster = new BenchCluster(folder, settings ?? new Dictionary<string, string>());
        for (int n = 0; n < Founders; n++)
            cluster.StartNode(n);
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
        foreach ((string name, string value) in _settings)
            start.Environment[name] = value;
        if (node < Founders)
        {
            for (int n = 0; n < Founders; n++)
            {
                string member = string.Create(CultureInfo.InvariantCulture, $"Raft__Members__{n}__");
                start.Environment[member + "Id"] = NameOf(n);
                start.Environment[member + "PeerUrl"] = PeerUrlOf(n);
                start.Environment[member + "ApiUrl"] = UrlOf(n);
            }
        }
        else
        {
            int next = 0;
            foreach (int n in Running)
                start.Environment[string.Create(CultureInfo.InvariantCulture, $"Raft__Join__{next++}")] = PeerUrlOf(n);
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
        foreach (int n in Running.ToArray())
            await WaitAsync(() => IsReadyAsync(n), TimeSpan.FromMinutes(2), $"{NameOf(n)} to be ready");
    }

    /// <summary>Polls often; what a node that is dead or stopped does not answer counts as no.</summary>
    public static async Task<TimeSpan> WaitAsync(Func<Task<bool>> condition, TimeSpan patience, string what, int pauseMs = 50)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                if (await condition())
                    return watch.Elapsed;
            }
            catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
            {
                // Not yet.
            }

            if (watch.Elapsed > patience)
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Waited {patience.TotalSeconds:f0} s in vain for {what}."));
            await Task.Delay(pauseMs);
        }
    }

    public async Task<JsonElement> GetAsync(int node, string path) => JsonElement.Parse(await _http.GetStringAsync(UrlOf(node) + path));

    /// <summary>This node's word on its first group.</summary>
    /// <exception cref="HttpRequestException">It does not answer, or runs no group yet.</exception>
    public async Task<JsonElement> FirstGroupAsync(int node)
    {
        JsonElement groups = (await GetAsync(node, "/v1/status")).GetProperty("groups");
        return groups.GetArrayLength() > 0 ? groups[0] : throw new HttpRequestException($"{NameOf(node)} runs no group yet.");
    }

    /// <summary>Status and body: what is refused is an answer too.</summary>
    public async Task<(int Status, string Body)> AskAsync(HttpMethod method, int node, string path)
    {
        using var request = new HttpRequestMessage(method, UrlOf(node) + path);
        using HttpResponseMessage answer = await _http.SendAsync(request);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>What a node's state machine has applied.</summary>
    public async Task<long> AppliedAsync(int node) => (await FirstGroupAsync(node)).GetProperty("appliedIndex").GetInt64();

    public async Task<int> LeaderAsync()
    {
        while (true)
        {
            foreach (int n in Running.ToArray())
            {
                try
                {
                    if ((await FirstGroupAsync(n)).GetProperty("role").GetString() == "leader")
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

    /// <summary>As if it had lost its disk.</summary>
    public void Wipe(int node) => Directory.Delete(Path.Combine(_directory, NameOf(node)), recursive: true);

    /// <summary>Zero when it does not run.</summary>
    public long ResidentMegabytes(int node)
    {
        if (_nodes[node] is not { HasExited: false } process)
            return 0;

        process.Refresh();
        return process.WorkingSet64 >> 20;
    }

    /// <summary>Of user and kernel, since the process began.</summary>
    public TimeSpan ProcessorTime(int node)
    {
        Process process = _nodes[node]!; // the caller has started it
        process.Refresh();
        return process.TotalProcessorTime;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (int n in Running.ToArray())
            await KillAsync(n);

        _http.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    public static string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"n{node + 1}");

    private string PeerUrlOf(int node) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_ports[(2 * node) + 1]}");

    private static void Echo(int node, string? line)
    {
        if (line is not null)
            Console.Error.WriteLine($"{NameOf(node)}: {line}");
    }

    private async Task<bool> IsReadyAsync(int node)
    {
        using HttpResponseMessage answer = await _http.GetAsync(UrlOf(node) + "/readyz");
        return answer.IsSuccessStatusCode;
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

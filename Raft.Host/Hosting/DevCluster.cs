using System.Runtime.InteropServices;
using Raft.Host.Settings;

namespace Raft.Host.Hosting;

/// <summary>Several nodes on this machine, each a process of its own with a data directory of its own: to try things, and to kill nodes.</summary>
internal sealed class DevCluster : IDisposable
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(15);

    private readonly CommandLine _commands;
    private readonly string _dataRoot;
    private readonly DevNode[] _nodes;
    private readonly CancellationTokenSource _stopping = new();

    private DevCluster(CommandLine commands, NodeSettings settings)
    {
        int count = commands.DevClusterSize ?? 1;
        int basePort = commands.BasePort ?? settings.Endpoints.Api.Port;
        _commands = commands;
        _dataRoot = Path.Combine(settings.DataDirectory, "dev");
        _nodes = [.. Enumerable.Range(1, count).Select(number => new DevNode(number, count, basePort, _dataRoot, commands))];
    }

    public static async Task<int> RunAsync(CommandLine commands, IConfiguration configuration)
    {
        using var cluster = new DevCluster(commands, CheckedSettings(commands, configuration));
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, cluster.OnSignal);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, cluster.OnSignal);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, cluster.OnSignal);
        return await cluster.RunAsync();
    }

    public void Dispose() => _stopping.Dispose();

    /// <summary>A fault in the settings is told once, and not by every node.</summary>
    private static NodeSettings CheckedSettings(CommandLine commands, IConfiguration configuration)
    {
        NodeSettings settings = NodeSettings.Read(configuration);
        if (settings.Raft.Members.Count > 0)
            throw new SettingsException([$"Raft:Members lists {settings.Raft.Members.Count}; allowed with --dev-cluster: none, it lists its own nodes."]);
        if ((commands.BasePort ?? settings.Endpoints.Api.Port) is 0 or > 65_500)
            throw new SettingsException([$"{EndpointOptions.ApiKey} is '{settings.Endpoints.Api.OriginalString}'; allowed with --dev-cluster: a port from 1 to 65500, or --base-port."]);
        return settings;
    }

    private void OnSignal(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _stopping.Cancel();
    }

    private async Task<int> RunAsync()
    {
        Directory.CreateDirectory(_dataRoot);
        foreach (DevNode node in _nodes)
            node.Start();

        Console.WriteLine($"A cluster of {_nodes.Length}, each node a process; data in {_dataRoot}");
        foreach (DevNode node in _nodes)
            Console.WriteLine($"  {node.Id}  {node.ApiUrl}  pid {node.ProcessId}");
        Console.WriteLine($"Try:  curl -i --data-binary 'first entry' {_nodes[0].ApiUrl}/v1/entries      Ctrl-C stops all.");

        var leaders = new DevLeaderWatch(_nodes);
        Task watching = leaders.RunAsync(_stopping.Token);
        Task lives = Task.WhenAll(_nodes.Select(LiveAsync));
        await Task.WhenAny(lives, Task.Delay(Timeout.Infinite, _stopping.Token));
        bool allDied = lives.IsCompleted && !_stopping.IsCancellationRequested;
        await _stopping.CancelAsync();
        await watching;
        return await StopAsync() && !allDied ? 0 : FatalExit.Failure;
    }

    /// <summary>Until the cluster stops: says when the node died, and how to start it again.</summary>
    private async Task LiveAsync(DevNode node)
    {
        while (true)
        {
            int code = await node.WaitForExitAsync();
            if (_stopping.IsCancellationRequested)
                return;

            string death = code > 128 ? $"was killed by signal {code - 128}" : $"ended with code {code}";
            if (!_commands.Restart)
            {
                Console.WriteLine($"{node.Id} {death}. To start it again, in another terminal:\n  {node.CommandForPeople}");
                return;
            }

            Console.WriteLine($"{node.Id} {death}; it starts again in a second.");
            try
            {
                await Task.Delay(TimeSpan.FromSeconds(1), _stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            node.Start();
            Console.WriteLine($"{node.Id} runs again, pid {node.ProcessId}");
        }
    }

    private async Task<bool> StopAsync()
    {
        Console.WriteLine("Stopping all nodes.");
        foreach (DevNode node in _nodes)
            node.Terminate();

        bool[] clean = await Task.WhenAll(_nodes.Select(node => node.EndAsync(StopPatience)));
        for (int i = 0; i < _nodes.Length; i++)
            Console.WriteLine($"  {_nodes[i].Id}  {_nodes[i].Ending}");
        return Array.TrueForAll(clean, isClean => isClean);
    }
}

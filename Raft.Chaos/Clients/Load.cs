using System.Globalization;
using Raft.Chaos.Cluster;

namespace Raft.Chaos.Clients;

/// <summary>All clients of a run.</summary>
internal sealed class Load : IAsyncDisposable
{
    private const int KeyClients = 8, AppendClients = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private readonly CancellationTokenSource _end = new();
    private readonly ChaosCluster _cluster;
    private readonly List<Client> _clients = [];
    private readonly KeyClient _reader;
    private readonly Task[] _runs;

    /// <param name="cluster">Whom they ask.</param>
    /// <param name="perSecond">Requests a second, all clients together.</param>
    /// <param name="seed">Of what they ask for.</param>
    /// <param name="hasStaleReads">Whether keys are read as a node has them.</param>
    public Load(ChaosCluster cluster, double perSecond, int seed, bool hasStaleReads)
    {
        _cluster = cluster;
        Keys = new KeyPool(new Random(seed));
        for (int n = 0; n < KeyClients; n++)
            _clients.Add(new KeyClient(cluster, Recorder, new Random(seed + 100 + n), Name("key", n), Keys, hasStaleReads));
        for (int n = 0; n < AppendClients; n++)
            _clients.Add(new AppendClient(cluster, Recorder, new Random(seed + 200 + n), Name("append", n)));
        _reader = new KeyClient(cluster, Recorder, new Random(seed), "reader", Keys, hasStaleReads: false);
        _runs = [.. _clients.Select(client => Task.Run(() => client.RunAsync(perSecond / (KeyClients + AppendClients), _end.Token)))];
    }

    public Recorder Recorder { get; } = new();

    public KeyPool Keys { get; }

    /// <summary>Waits until that many more writes were acknowledged; false when they were not in time.</summary>
    public async Task<bool> MoreAsync(int count, TimeSpan patience)
    {
        int goal = Recorder.Acknowledged + count;
        long begun = Recorder.Now;
        while (Recorder.Acknowledged < goal)
        {
            if (System.Diagnostics.Stopwatch.GetElapsedTime(begun) > patience)
                return false;
            await CheckThatAllRunAsync();
            await Task.Delay(20);
        }

        return true;
    }

    /// <summary>Throws what has ended a client: a mistake of ours.</summary>
    public async Task CheckThatAllRunAsync()
    {
        foreach (Task run in _runs.Where(run => run.IsFaulted))
            await run;
    }

    /// <summary>Begins nothing new, and waits until all that was begun has ended.</summary>
    public async Task StopAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_runs).WaitAsync(Patience);
    }

    /// <summary>Reads every key that there has been, at every node.</summary>
    public async Task ReadAllAsync()
    {
        foreach (string key in Keys.All)
        {
            foreach (ChaosNode node in _cluster.Nodes)
            {
                if (!await _reader.ReadAsync(key, node) && !await _reader.ReadAsync(key, node))
                    _cluster.Log.Found($"{node.Id} does not serve a read of {key} after the end of all faults");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_runs).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        foreach (Client client in _clients)
            client.Dispose();
        _reader.Dispose();
        _end.Dispose();
    }

    private static string Name(string what, int number) => string.Create(CultureInfo.InvariantCulture, $"{what}{number + 1}");
}

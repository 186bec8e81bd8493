using System.Globalization;
using System.Runtime.InteropServices;
using Raft.Chaos.Clients;
using Raft.Chaos.Cluster;
using Raft.Chaos.Machine;
using Raft.Chaos.Watch;

namespace Raft.Chaos.Scenarios;

/// <summary>One run: from an empty machine to the verdict, and back to an empty machine.</summary>
internal sealed class ScenarioRun(Scenario scenario, Arguments arguments, RunPlace place, RunLog log)
{
    private const int Succeeded = 0, Failed = 1, CannotRun = 2, Interrupted = 130;
    private static readonly TimeSpan LeaksWorthALook = TimeSpan.FromMinutes(2);

    public static async Task<int> RunAsync(Arguments arguments)
    {
        Scenario scenario = Scenario.Of(arguments);
        if (Tool.Missing(scenario.Cluster.Needs) is { } missing)
        {
            Console.Error.WriteLine(missing);
            return CannotRun;
        }

        using var interrupted = new CancellationTokenSource();
        void Interrupt(PosixSignalContext context)
        {
            context.Cancel = true; // once: whoever asks twice wants it now, and the next run cleans up
            interrupted.Cancel();
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt), terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);
        await using RunPlace place = await RunPlace.TakeAsync();
        using var log = new RunLog(place.Directory);
        log.Write(string.Create(CultureInfo.InvariantCulture, $"{scenario.Name}: {scenario.Summary}; {scenario.Cluster.Nodes} nodes, seed {arguments.Seed}, in {place.Directory}"));
        try
        {
            await new ScenarioRun(scenario, arguments, place, log).RunAsync(interrupted.Token);
        }
        catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
        {
            log.Write("interrupted; cleaning up");
            return Interrupted;
        }
        catch (Exception error)
        {
            log.Found($"the run itself failed: {error}");
        }

        if (log.Findings.Count == 0)
            return Succeeded;
        string kept = await Evidence.KeepAsync(place, scenario.Name);
        Console.WriteLine($"Data directories, logs and history are kept in {kept}");
        return Failed;
    }

    private async Task RunAsync(CancellationToken interrupted)
    {
        await using ChaosCluster cluster = await ChaosCluster.StartAsync(place, scenario.Cluster, log).WaitAsync(interrupted);
        cluster.Survivor = scenario.HasSurvivor ? cluster.Nodes[0] : null;
        using var ended = new CancellationTokenSource();
        var status = new StatusWatch(cluster);
        var resources = new ResourceWatch(cluster);
        Task watches = Task.WhenAll(status.RunAsync(ended.Token), resources.RunAsync(ended.Token));
        await using var load = new Load(cluster, arguments.PerSecond, arguments.Seed, scenario.HasStaleReads);
        var faults = new FaultRunner(cluster, scenario, load, arguments.Seed);
        string leaks = "not looked for: no process lives long enough";
        TimeSpan begun = log.Elapsed, faultsEnded = begun;
        try
        {
            await faults.RunAsync(interrupted);
            faultsEnded = log.Elapsed;
            var end = new EndCheck(cluster, load);
            if (cluster.Survivor is { } survivor && scenario.Duration >= LeaksWorthALook)
            {
                log.Write("no more faults; the load goes on for the last look at memory, handles and threads");
                await Task.Delay(Leaks.Quiet, interrupted);
                leaks = Leaks.Judge(log, resources, survivor, await end.StateBytesAsync());
            }

            log.Write("the clients stop, and what they were told is checked");
            await end.RunAsync(Path.Combine(place.Directory, "history.jsonl")).WaitAsync(interrupted);
        }
        finally
        {
            await ended.CancelAsync();
            await watches;
            await resources.SaveAsync(Path.Combine(place.Directory, "resources.txt"));
        }

        Summary.Write(cluster, scenario, arguments, faults, load.Recorder, status, leaks, faultsEnded - begun);
    }
}

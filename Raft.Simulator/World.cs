using System.Globalization;
using System.Runtime.CompilerServices;

namespace Raft.Simulator;

/// <summary>
/// Everything of a scenario on one thread and on virtual time: shards, network, disks and the test's own code. The same
/// seed gives the same run.
/// </summary>
internal sealed class World
{
    /// <summary>How long a scenario waits for something, in virtual time, before it fails.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private const int LastLines = 60;

    private readonly PriorityQueue<Action, (long At, long Number)> _events = new();
    private readonly List<VirtualShard> _shards = [];
    private readonly List<Condition> _conditions = [];
    private readonly Queue<(SendOrPostCallback Work, object? State)> _testWork = new();
    private readonly Queue<string> _lastLines = new();
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private volatile bool _hasLeaked;
    private long _number;
    private string? _violation;

    private sealed record Condition(Func<bool> Holds, string What, long Deadline, TaskCompletionSource Met);

    private World(int seed, Tracing tracing)
    {
        Seed = seed;
        Tracing = tracing;
        Random = new Random(seed);
        TestContext = new WorldContext(this);
    }

    public int Seed { get; }
    public Tracing Tracing { get; }
    public Random Random { get; }
    public VirtualTime Time { get; } = new();
    public SynchronizationContext TestContext { get; }

    /// <summary>What happened so far, as one number: two runs of one seed have the same.</summary>
    public RunHash Hash { get; } = new();

    /// <summary>Called with each line, as it is written, when all lines are wanted.</summary>
    public Action<string>? LineWritten { get; set; }

    /// <summary>The end of all patience: a run that goes on longer has something that never ends.</summary>
    public TimeSpan LifeMax { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The world stops when this much time has passed; null: when the body has ended.</summary>
    public TimeSpan? Until { get; set; }

    /// <summary>Runs a scenario to its end; what it throws names seed, time and the last events.</summary>
    public static void Run(int seed, Func<World, Task> body) => Run(seed, Tracing.LastLines, body);

    /// <inheritdoc cref="Run(int, Func{World, Task})"/>
    public static void Run(int seed, Tracing tracing, Func<World, Task> body)
    {
        var world = new World(seed, tracing);
        SynchronizationContext? before = SynchronizationContext.Current;
        try
        {
            SynchronizationContext.SetSynchronizationContext(world.TestContext);
            Task scenario = body(world);
            world.RunUntilEnd(scenario);
            world.ThrowIfViolated();        // the last thing that happened may have been the wrong one
            if (scenario.Exception is { } error)
                throw new ScenarioFailedException(world.Seed, world.Time.Now, world._lastLines, error.InnerException!);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    public VirtualShard NewShard()
    {
        var shard = new VirtualShard(this);
        _shards.Add(shard);
        return shard;
    }

    /// <summary>It has been killed: nothing will run on it any more.</summary>
    public void Forget(VirtualShard shard) => _shards.Remove(shard);

    public void Schedule(TimeSpan delay, Action work) => _events.Enqueue(work, (Time.Ticks + Math.Max(0, delay.Ticks), _number++));

    /// <summary>Ends when the condition holds; fails when it does not within <see cref="Patience"/>.</summary>
    public Task UntilAsync(Func<bool> holds, string what)
    {
        var met = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _conditions.Add(new Condition(holds, what, Time.Ticks + Patience.Ticks, met));
        return met.Task;
    }

    /// <summary>Lets virtual time pass: to see that something does <em>not</em> happen.</summary>
    public Task PassAsync(TimeSpan time)
    {
        var passed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Schedule(time, passed.SetResult);
        return passed.Task;
    }

    /// <summary>A line for people; nothing is formatted when nobody wants lines.</summary>
    public void Trace([InterpolatedStringHandlerArgument("")] ref TraceLine line)
    {
        if (Tracing != Tracing.None)
            Trace(line.ToStringAndClear());
    }

    public void Trace(string line)
    {
        if (Tracing == Tracing.None)
            return;

        string timed = string.Create(CultureInfo.InvariantCulture, $"{Time.Now.TotalMilliseconds,9:F2} {line}");
        LineWritten?.Invoke(timed);
        _lastLines.Enqueue(timed);
        if (_lastLines.Count > LastLines)
            _lastLines.Dequeue();
    }

    /// <summary>Something is wrong. The run ends after what is going on now; the first one counts.</summary>
    public void Violate(string what)
    {
        if (_violation is not null)
            return;
        _violation = what;
        Trace($"VIOLATION {what}");
    }

    private void ThrowIfViolated()
    {
        if (_violation is { } what)
            throw new RunViolationException(what, Time.Now);
    }

    private void RunUntilEnd(Task scenario)
    {
        while (!scenario.IsCompleted)
        {
            ThrowIfViolated();
            if (Time.Now >= Until)
                return;
            if (RunReady())
                continue;
            CheckConditions();
            if (_testWork.Count > 0)
                continue;

            if (_hasLeaked)
                throw new ScenarioFailedException(Seed, Time.Now, _lastLines, new InvalidOperationException("Another thread took part: Task.WhenAll, CancelAsync or ConfigureAwait(false) in a scenario?"));
            if (Time.Now > LifeMax)
                throw new ScenarioFailedException(Seed, Time.Now, _lastLines, new TimeoutException("The scenario waits for a call that never ends."));
            if (!_events.TryDequeue(out Action? next, out (long At, long Number) due))
                throw new ScenarioFailedException(Seed, Time.Now, _lastLines, new InvalidOperationException("Nothing is left to happen, and the scenario waits."));
            Time.AdvanceTo(due.At);
            Hash.Add(due.At);
            next();
        }
    }

    private bool RunReady()
    {
        bool hasRun = false;
        if (_shards.Exists(static shard => shard.HasWork))
        {
            VirtualShard[] shards = [.. _shards];
            int first = Random.Next(shards.Length);
            for (int i = 0; i < shards.Length; i++)
                hasRun |= shards[(first + i) % shards.Length].RunTurn();
        }

        for (int count = _testWork.Count; count > 0; count--)
        {
            (SendOrPostCallback work, object? state) = _testWork.Dequeue();
            work(state);
            hasRun = true;
        }

        return hasRun;
    }

    private void CheckConditions()
    {
        for (int i = _conditions.Count - 1; i >= 0; i--)
        {
            Condition condition = _conditions[i];
            bool holds = condition.Holds();
            if (!holds && Time.Ticks <= condition.Deadline)
                continue;

            _conditions.RemoveAt(i);
            if (holds)
                condition.Met.SetResult();
            else
                condition.Met.SetException(new TimeoutException($"Waited {Patience.TotalSeconds} s of virtual time in vain for: {condition.What}"));
        }
    }

    /// <summary>Whatever comes from another thread makes runs differ, so the scenario fails.</summary>
    public bool CheckThread() =>
        Environment.CurrentManagedThreadId == _thread || (_hasLeaked = true) == false;

    private sealed class WorldContext(World world) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
            if (world.CheckThread())
                world._testWork.Enqueue((d, state));
        }

        public override SynchronizationContext CreateCopy() => this;
    }
}

namespace Raft.Simulator;

/// <summary>
/// Everything of a scenario on one thread and on virtual time: shards, network, disks and the test's own code. The same
/// seed gives the same run.
/// </summary>
internal sealed class World
{
    /// <summary>How long a scenario waits for something, in virtual time, before it fails.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan LifeMax = TimeSpan.FromMinutes(10);

    private readonly PriorityQueue<Action, (long At, long Number)> _events = new();
    private readonly List<VirtualShard> _shards = [];
    private readonly List<Condition> _conditions = [];
    private readonly Queue<(SendOrPostCallback Work, object? State)> _testWork = new();
    private readonly Queue<string> _trace = new();
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private volatile bool _hasLeaked;
    private long _number;

    private sealed record Condition(Func<bool> Holds, string What, long Deadline, TaskCompletionSource Met);

    private World(int seed)
    {
        Seed = seed;
        Random = new Random(seed);
        TestContext = new WorldContext(this);
    }

    public int Seed { get; }
    public Random Random { get; }
    public VirtualTime Time { get; } = new();
    public SynchronizationContext TestContext { get; }

    /// <summary>Runs a scenario to its end; what it throws names seed, time and the last events.</summary>
    public static void Run(int seed, Func<World, Task> body)
    {
        var world = new World(seed);
        SynchronizationContext? before = SynchronizationContext.Current;
        try
        {
            SynchronizationContext.SetSynchronizationContext(world.TestContext);
            Task scenario = body(world);
            world.RunUntilEnd(scenario);
            if (scenario.Exception is { } error)
                throw new ScenarioFailedException(world.Seed, world.Time.Now, world._trace, error.InnerException!);
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

    public void Trace(string line)
    {
        _trace.Enqueue($"{Time.Now.TotalMilliseconds,9:F2} {line}");
        if (_trace.Count > 60)
            _trace.Dequeue();
    }

    private void RunUntilEnd(Task scenario)
    {
        while (!scenario.IsCompleted)
        {
            if (RunReady())
                continue;
            CheckConditions();
            if (_testWork.Count > 0)
                continue;

            if (_hasLeaked)
                throw new ScenarioFailedException(Seed, Time.Now, _trace, new InvalidOperationException("Another thread took part: Task.WhenAll, CancelAsync or ConfigureAwait(false) in a scenario?"));
            if (Time.Now > LifeMax)
                throw new ScenarioFailedException(Seed, Time.Now, _trace, new TimeoutException("The scenario waits for a call that never ends."));
            if (!_events.TryDequeue(out Action? next, out (long At, long Number) due))
                throw new ScenarioFailedException(Seed, Time.Now, _trace, new InvalidOperationException("Nothing is left to happen, and the scenario waits."));
            Time.AdvanceTo(due.At);
            next();
        }
    }

    private bool RunReady()
    {
        bool hasRun = false;
        int first = _shards.Count == 0 ? 0 : Random.Next(_shards.Count);
        for (int i = 0; i < _shards.Count; i++)
            hasRun |= _shards[(first + i) % _shards.Count].RunTurn();

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

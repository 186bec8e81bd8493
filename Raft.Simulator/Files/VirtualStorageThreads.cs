using Raft.Host.Storage;

namespace Raft.Simulator;

/// <summary>
/// The threads of one store, on the world's thread and on virtual time: a wake-up is an event, and so is each turn of a loop.
/// One object is one life of a process. What a turn cost, by <see cref="SimulatedFiles.Cost"/>, passes before the loop's next
/// one; since completions are turns of their own, a sync's latency delays them.
/// </summary>
/// <remarks>
/// <para>How a simulator runs the real <see cref="NodeStore"/>:</para>
/// <para><b>Open.</b> <c>var threads = new VirtualStorageThreads(world, files); var settings = threads.Settings(onFailure);
/// store = NodeStore.Open(new NodeStoreSettings("/data", node), logs, settings);</c> It opens at once, in no virtual time;
/// what the opening cost is spent before the loops go on. A directory with damage: <c>NodeStore.TryOpen</c>. One
/// <see cref="SimulatedFiles"/> is one disk and outlives the processes. Every caller needs a SynchronizationContext (a shard's
/// or the world's): without one a continuation goes to the thread pool, and the world finds the leak.</para>
/// <para><b>Kill</b> (SIGKILL): kill the node's shard, then <see cref="Kill"/>, then <c>files.Restart()</c> (the page cache
/// stays), then <c>await store.DisposeAsync()</c>, which by then only frees memory.</para>
/// <para><b>Power cut</b>: the same with <c>files.Cut(); files.PowerOn(random)</c> instead of the restart. Inside of a file
/// call: <c>files.CutAfter(calls)</c>; <see cref="SimulatedFiles.PowerGone"/> is called then, and kills this object; whoever
/// wants to kill the shard too adds to it: <c>files.PowerGone += ...</c> after this object was made, with the rest (PowerOn,
/// dispose) in an event of its own: the call during which the power went is still on the stack.
/// When it goes during <c>NodeStore.Open</c>, that throws (<see cref="DataDirectoryException"/> or
/// <see cref="StorageFailedException"/>), and nothing is left to dispose.</para>
/// <para><b>A failing disk</b> (<c>files.FailsSync</c> and the like): <c>onFailure</c> is called where a real process ends, and
/// the loops are dead from then on; kill the shard in it.</para>
/// <para><b>Memory</b>: LiteDB 5.0.20 leaves what it held, about 0.8 MiB for each opening, in thread-local variables of its own:
/// it goes when the thread ends. So a run with many openings, and each of many runs, gets a thread of its own:
/// <c>new Thread(() => World.Run(seed, body))</c>, started and joined.</para>
/// <para><b>State machine</b>: <c>new Store { RunAside = threads.RunAsideAsync }</c>, so that it reads snapshots on no pool.</para>
/// <para><b>Reopen</b>: again from the beginning, with a new object of this class and the same files. A clean stop is
/// <c>await store.DisposeAsync()</c> while alive.</para>
/// </remarks>
internal sealed class VirtualStorageThreads : IStorageThreads
{
    private readonly World _world;
    private readonly SimulatedFiles _files;
    private readonly List<Loop> _loops = [];
    private readonly AsideContext _aside;
    private int _first;
    private bool _isInTurn;

    public VirtualStorageThreads(World world, SimulatedFiles files)
    {
        _world = world;
        _files = files;
        _aside = new AsideContext(this);
        files.PowerGone = Kill;
    }

    /// <summary>From a wake-up to the turn.</summary>
    public Func<TimeSpan> WakeTime { get; set; } = () => TimeSpan.Zero;

    /// <summary>The process is gone: no turn runs any more.</summary>
    public bool IsDead { get; private set; }

    /// <summary>For a store on these threads, with small buffers and files. Its random numbers come from the world.</summary>
    /// <param name="onFailure">What happens where a real process ends.</param>
    public StorageSettings Settings(Action<StorageFailedException>? onFailure = null) => new()
    {
        Files = _files,
        Threads = this,
        Time = _world.Time,
        Random = () => unchecked((ulong)_world.Random.NextInt64(long.MinValue, long.MaxValue)),
        OnFailure = failure =>
        {
            Kill();
            onFailure?.Invoke(failure);
        },
        ForgetsFailedStores = true,
        SegmentBytes = 64 << 10,
        RecordBytes = 16 << 10,
        CopyBytes = 16 << 10,
        TransactionBytes = 32 << 10,
        DatabaseLogBytes = 256 << 10,
        ChunkBytes = 4 << 10,
        ReadTurnBytes = 16 << 10,
        CheckpointPieceBytes = 64 << 10,
        SnapshotPieceBlocks = 1,
    };

    /// <summary>As SIGKILL.</summary>
    public void Kill() => IsDead = true;

    public IStorageLoop Start(string name, Func<NextTurn> turn)
    {
        var loop = new Loop(this, name, turn);
        _loops.Add(loop);
        loop.Wake();
        return loop;
    }

    public void LowerPriorityOfThisThread(int nice)
    {
        // It is the thread of everybody.
    }

    public Task<T> RunAsideAsync<T>(Func<Task<T>> work, CancellationToken cancellation)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _aside.Post(_ => _ = RunAsync(), null);
        return done.Task;

        async Task RunAsync()
        {
            try
            {
                cancellation.ThrowIfCancellationRequested();
                done.SetResult(await work());
            }
            catch (OperationCanceledException error) when (cancellation.IsCancellationRequested)
            {
                done.SetCanceled(error.CancellationToken);
            }
            catch (Exception error)
            {
                done.SetException(error);
            }
        }
    }

    public void Wait(Task task)
    {
        RunUntil(() => task.IsCompleted);
        if (!task.IsCompleted)
            throw new StorageFailedException("wait", "the process was killed", 0, 0);
        task.GetAwaiter().GetResult();
    }

    /// <summary>Runs one turn of another loop that is ready, in the middle of a turn: by a hook of the files it comes between two
    /// file calls, as with threads.</summary>
    public void RunAnother()
    {
        if (_loops.Find(loop => loop.IsReady && !loop.IsRunning) is { } other && !IsDead)
            other.Run();
    }

    /// <summary>Runs turns here and now, until it holds or the process is dead.</summary>
    private void RunUntil(Func<bool> holds)
    {
        if (_isInTurn)
            throw new InvalidOperationException("A turn of a loop must not wait for another one.");
        while (!IsDead && !holds())
        {
            // Another one first each time, so that no loop keeps the others from running.
            int ready = Enumerable.Range(_first++, _loops.Count).FirstOrDefault(n => _loops[n % _loops.Count].IsReady, -1);
            if (ready < 0)
                throw new InvalidOperationException("Nothing that is waited for can happen: no loop has anything to do.");
            _loops[ready % _loops.Count].Run();
        }
    }

    private sealed class Loop(VirtualStorageThreads threads, string name, Func<NextTurn> turn) : IStorageLoop
    {
        private const long Never = long.MaxValue;
        private long _busyUntil;
        private long _dueAt = Never;
        private int _event;                         // the one that counts
        private bool _hasEnded;

        public bool IsRunning { get; private set; }

        /// <summary>Woken, or not through: not only waiting for a time.</summary>
        public bool IsReady { get; private set; }

        private World World => threads._world;

        public void Wake()
        {
            if (_hasEnded || threads.IsDead || !World.CheckThread())
                return;
            bool wasReady = IsReady;
            IsReady = true;
            if (!IsRunning && !wasReady)
                RunAt(World.Time.Ticks + threads.WakeTime().Ticks);
        }

        public void Join() => threads.RunUntil(() => _hasEnded);

        public void Run()
        {
            if (_hasEnded || threads.IsDead)
                return;
            _dueAt = Never;
            _event++;
            IsReady = false;
            NextTurn next = RunTurn();
            long now = World.Time.Ticks;
            _busyUntil = Math.Max(_busyUntil, now) + threads._files.TakeCost().Ticks;
            if (next == NextTurn.Never)
                _hasEnded = true;
            else if (next == NextTurn.Now || IsReady)
                RunAt(now, isReady: true);
            else if (next != NextTurn.WhenWoken)
                RunAt(now + next.Milliseconds * TimeSpan.TicksPerMillisecond);
        }

        public override string ToString() => name;

        private NextTurn RunTurn()
        {
            // As on a thread of its own. LiteDB must see no context: it would go on elsewhere.
            SynchronizationContext? before = SynchronizationContext.Current;
            SynchronizationContext.SetSynchronizationContext(null);
            bool wasInTurn = threads._isInTurn;
            IsRunning = threads._isInTurn = true;
            try
            {
                return turn();
            }
            finally
            {
                IsRunning = false;
                threads._isInTurn = wasInTurn;
                SynchronizationContext.SetSynchronizationContext(before);
            }
        }

        private void RunAt(long ticks, bool isReady = false)
        {
            IsReady |= isReady;
            ticks = Math.Max(ticks, _busyUntil);
            if (ticks >= _dueAt)
                return;
            _dueAt = ticks;
            int number = ++_event;
            World.Schedule(TimeSpan.FromTicks(ticks - World.Time.Ticks), () =>
            {
                if (number == _event)               // else it has run, or will, at another time
                    Run();
            });
        }
    }

    /// <summary>A thread for what runs aside.</summary>
    private sealed class AsideContext(VirtualStorageThreads threads) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
            if (!threads._world.CheckThread())
                return;
            threads._world.Schedule(threads.WakeTime(), () =>
            {
                if (threads.IsDead)
                    return;
                SynchronizationContext? before = Current;
                SetSynchronizationContext(this);
                try
                {
                    d(state);
                }
                finally
                {
                    SetSynchronizationContext(before);
                }
            });
        }

        public override SynchronizationContext CreateCopy() => this;
    }
}

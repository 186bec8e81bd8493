namespace Raft.Host.Storage;

/// <summary>Where the store's loops run: on threads of their own, or on the one thread and the virtual time of a simulation.</summary>
internal interface IStorageThreads
{
    /// <summary>Begins to run turn after turn, one at a time, until one says that it was the last. A turn never waits: it does
    /// what is due, and says when there may be more.</summary>
    IStorageLoop Start(string name, Func<NextTurn> turn);

    /// <summary>Of the thread that calls: the one of a loop.</summary>
    void LowerPriorityOfThisThread(int nice);

    /// <summary>Runs foreign code that may take long, and may wait in <see cref="Wait"/>; on no shard, and in no loop.</summary>
    Task<T> RunAsideAsync<T>(Func<Task<T>> work, CancellationToken cancellation);

    /// <summary>Waits here for what a loop completes. Never in a turn.</summary>
    void Wait(Task task);
}

/// <summary>One loop that was started.</summary>
internal interface IStorageLoop
{
    /// <summary>There is something to do. Any thread; a call during a turn brings another turn.</summary>
    void Wake();

    /// <summary>Waits for the last turn. Never in a turn.</summary>
    void Join();
}

/// <summary>What a turn says of the one after it. Milliseconds, or one of three marks below.</summary>
internal readonly record struct NextTurn(long Milliseconds)
{
    /// <summary>There is more to do.</summary>
    public static readonly NextTurn Now = new(0);

    /// <summary>Nothing is due before the next <see cref="IStorageLoop.Wake"/>.</summary>
    public static readonly NextTurn WhenWoken = new(-1);

    /// <summary>This was the last turn.</summary>
    public static readonly NextTurn Never = new(-2);

    /// <summary>Woken, or after so long: at least one millisecond.</summary>
    public static NextTurn After(long milliseconds) => new(Math.Max(1, milliseconds));
}

/// <summary>What a node runs on: a background thread for each loop.</summary>
internal sealed class StorageThreads : IStorageThreads
{
    public static readonly StorageThreads Instance = new();

    public IStorageLoop Start(string name, Func<NextTurn> turn) => new Loop(name, turn);

    public void LowerPriorityOfThisThread(int nice) => Native.LowerPriorityOfThisThread(nice);

    public Task<T> RunAsideAsync<T>(Func<Task<T>> work, CancellationToken cancellation) => Task.Run(work, cancellation);

    public void Wait(Task task) => task.GetAwaiter().GetResult();

    private sealed class Loop : IStorageLoop
    {
        private readonly Func<NextTurn> _turn;
        private readonly Thread _thread;
        private readonly object _gate = new();
        private bool _isWoken;

        public Loop(string name, Func<NextTurn> turn)
        {
            _turn = turn;
            _thread = new Thread(Run) { IsBackground = true, Name = name };
            _thread.Start();
        }

        public void Wake()
        {
            lock (_gate)
            {
                _isWoken = true;
                Monitor.Pulse(_gate);
            }
        }

        public void Join() => _thread.Join();

        private void Run()
        {
            for (NextTurn next = _turn(); next != NextTurn.Never; next = _turn())
            {
                if (next == NextTurn.Now)
                    continue;
                lock (_gate)
                {
                    if (!_isWoken)
                        Monitor.Wait(_gate, (int)Math.Min(next.Milliseconds, int.MaxValue));      // -1: for ever
                    _isWoken = false;
                }
            }
        }
    }
}

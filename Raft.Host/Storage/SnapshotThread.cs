using Raft.Engine.Errors;

namespace Raft.Host.Storage;

/// <summary>A thread for the blocking calls on snapshot files, in the order of the requests: so that they run on no shard, and
/// neither on the WAL thread nor on the database thread. At a low priority, because nobody waits for a snapshot as for a write.</summary>
internal sealed class SnapshotThread
{
    private const int Nice = 10;
    private readonly FailStop _failStop;
    private readonly Action<CorruptStorageException> _onDamage;
    private readonly string _directory;
    private readonly IStorageThreads _threads;
    private readonly IStorageLoop _loop;
    private readonly object _gate = new();
    private readonly Queue<Func<Action>> _work = new();
    private Action? _completion;                    // of the work of the turn before
    private bool _hasBegun;
    private bool _isClosed;

    /// <param name="name">The thread's.</param>
    /// <param name="directory">What the last words name when something else than a system call failed.</param>
    /// <param name="threads">Where it runs.</param>
    /// <param name="failStop">Hears of every failure.</param>
    /// <param name="onDamage">Hears of damage before it.</param>
    public SnapshotThread(string name, string directory, IStorageThreads threads, FailStop failStop, Action<CorruptStorageException> onDamage)
    {
        _directory = directory;
        _threads = threads;
        _failStop = failStop;
        _onDamage = onDamage;
        _loop = threads.Start(name, RunTurn);
    }

    /// <summary>Runs it on the thread. A failure of any of these ends the node, but for one.</summary>
    /// <param name="work">What to do.</param>
    /// <param name="mayLackRoom">No room on the disk is for the caller to handle: it gives up a file that nothing relies on.</param>
    public Task<T> RunAsync<T>(Func<T> work, bool mayLackRoom = false)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        bool isClosed;
        lock (_gate)
        {
            isClosed = _isClosed;
            if (!isClosed)
                _work.Enqueue(() => Run(work, mayLackRoom, done));
        }

        if (isClosed)
            return Task.FromException<T>(_failStop.Cause as Exception ?? new ObjectDisposedException(nameof(NodeStore)));
        _loop.Wake();
        return done.Task;
    }

    public Task RunAsync(Action work, bool mayLackRoom = false) => RunAsync(() =>
    {
        work();
        return true;
    }, mayLackRoom);

    /// <summary>As <see cref="RunAsync(Action, bool)"/>, and waits here. Never on a shard, nor in a loop.</summary>
    public void Run(Action work, bool mayLackRoom = false) => _threads.Wait(RunAsync(work, mayLackRoom));

    /// <summary>Refuses what comes from now on, does what waits, and ends.</summary>
    public void Close()
    {
        lock (_gate)
            _isClosed = true;
        _loop.Wake();
        _loop.Join();
    }

    private NextTurn RunTurn()
    {
        if (!_hasBegun)
            _threads.LowerPriorityOfThisThread(Nice);
        _hasBegun = true;

        if (_completion is { } completion)
        {
            _completion = null;
            completion();
        }

        Func<Action>? work;
        lock (_gate)
        {
            if (!_work.TryDequeue(out work))
                return _isClosed ? NextTurn.Never : NextTurn.WhenWoken;
        }

        _completion = work();
        return NextTurn.Now;
    }

    /// <summary>Does it, and gives what tells the caller of it: in the next turn, so that a simulation can let time pass between them.</summary>
    private Action Run<T>(Func<T> work, bool mayLackRoom, TaskCompletionSource<T> done)
    {
        try
        {
            if (_failStop.Cause is { } cause)
                throw cause;
            T result = work();
            return () => done.SetResult(result);
        }
        catch (Exception error)
        {
            if (error is CorruptStorageException damage)
                _onDamage(damage);
            if (!mayLackRoom || error is not StorageFailedException { IsOutOfSpace: true })
                _failStop.Fail(error, _directory);
            return () =>
            {
                done.SetException(error);
                _ = done.Task.Exception;            // observed: the caller may have gone
            };
        }
    }
}

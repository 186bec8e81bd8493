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
    private readonly object _gate = new();
    private readonly Queue<Action> _work = new();
    private readonly Thread _thread;
    private bool _isClosed;

    /// <param name="name">The thread's.</param>
    /// <param name="directory">What the last words name when something else than a system call failed.</param>
    /// <param name="failStop">Hears of every failure.</param>
    /// <param name="onDamage">Hears of damage before it.</param>
    public SnapshotThread(string name, string directory, FailStop failStop, Action<CorruptStorageException> onDamage)
    {
        _directory = directory;
        _failStop = failStop;
        _onDamage = onDamage;
        _thread = new Thread(Run) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>Runs it on the thread. A failure of any of these ends the node.</summary>
    public Task<T> RunAsync<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (!_isClosed)
            {
                _work.Enqueue(() => Run(work, done));
                Monitor.Pulse(_gate);
                return done.Task;
            }
        }

        return Task.FromException<T>(_failStop.Cause as Exception ?? new ObjectDisposedException(nameof(NodeStore)));
    }

    public Task RunAsync(Action work) => RunAsync(() =>
    {
        work();
        return true;
    });

    /// <summary>Refuses what comes from now on, does what waits, and ends.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
    }

    private void Run()
    {
        Native.LowerPriorityOfThisThread(Nice);
        while (true)
        {
            Action? work;
            lock (_gate)
            {
                while (!_work.TryDequeue(out work))
                {
                    if (_isClosed)
                        return;
                    Monitor.Wait(_gate);
                }
            }

            work();
        }
    }

    private void Run<T>(Func<T> work, TaskCompletionSource<T> done)
    {
        try
        {
            if (_failStop.Cause is { } cause)
                throw cause;
            done.SetResult(work());
        }
        catch (Exception error)
        {
            if (error is CorruptStorageException damage)
                _onDamage(damage);
            _failStop.Fail(error, _directory);
            done.SetException(error);
            _ = done.Task.Exception;                // observed: the caller may have gone
        }
    }
}

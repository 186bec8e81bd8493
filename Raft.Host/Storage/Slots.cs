namespace Raft.Host.Storage;

/// <summary>So many at once; who comes after them waits, in order. Not SemaphoreSlim: that one hands on through the thread pool,
/// where a simulation cannot follow.</summary>
internal sealed class Slots(int count)
{
    private readonly object _gate = new();
    private readonly Queue<TaskCompletionSource> _waiting = new();
    private int _free = count;

    public async Task TakeAsync(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        TaskCompletionSource turn;
        lock (_gate)
        {
            if (_free > 0)
            {
                _free--;
                return;
            }

            turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(turn);
        }

        await turn.WaitAsync(cancellation);
    }

    public void Release()
    {
        lock (_gate)
        {
            while (_waiting.TryDequeue(out TaskCompletionSource? turn))
            {
                if (turn.TrySetResult())
                    return;                         // it has our slot now
            }

            _free++;
        }
    }
}

/// <summary>Task.WaitAsync would complete on the thread pool.</summary>
internal static class CancellableCompletions
{
    public static async Task WaitAsync(this TaskCompletionSource source, CancellationToken cancellation)
    {
        using (cancellation.UnsafeRegister(static (source, token) => ((TaskCompletionSource)source!).TrySetCanceled(token), source))
            await source.Task;
    }

    public static async Task<T> WaitAsync<T>(this TaskCompletionSource<T> source, CancellationToken cancellation)
    {
        using (cancellation.UnsafeRegister(static (source, token) => ((TaskCompletionSource<T>)source!).TrySetCanceled(token), source))
            return await source.Task;
    }
}

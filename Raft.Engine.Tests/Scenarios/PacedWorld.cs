using System.Diagnostics;

namespace Raft.Engine.Tests.Scenarios;

/// <summary>A world on real time, for tests that run on threads of their own: everything in it still happens on one thread.</summary>
internal sealed class PacedWorld : SynchronizationContext, IDisposable
{
    private readonly object _gate = new();
    private readonly PriorityQueue<Action, (long At, long Number)> _events = new();
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly Thread _thread;
    private long _eventTime;
    private long _number;
    private bool _isDisposed;

    public PacedWorld()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "paced world" };
        _thread.Start();
    }

    /// <summary>In the world it stands still while something happens, as virtual time does.</summary>
    public long Now => Thread.CurrentThread == _thread ? _eventTime : RealTime;

    private long RealTime => TimeSpan.TicksPerSecond + _watch.Elapsed.Ticks;

    public void Schedule(TimeSpan delay, Action work)
    {
        lock (_gate)
        {
            _events.Enqueue(work, (Now + Math.Max(0, delay.Ticks), _number++));
            Monitor.Pulse(_gate);
        }
    }

    public override void Post(SendOrPostCallback d, object? state) => Schedule(TimeSpan.Zero, () => d(state));

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs it in the world and waits for its end.</summary>
    public Task<T> RunAsync<T>(Func<Task<T>> work)
    {
        var done = new TaskCompletionSource<Task<T>>(TaskCreationOptions.RunContinuationsAsynchronously);
        Schedule(TimeSpan.Zero, () => done.SetResult(work()));
        return done.Task.Unwrap();
    }

    /// <summary>The same for what ends at once, from outside of the world.</summary>
    public void Run(Action work) => RunAsync(() =>
    {
        work();
        return Task.FromResult(true);
    }).GetAwaiter().GetResult();

    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
    }

    private void Run()
    {
        SetSynchronizationContext(this);
        while (TakeNext() is { } next)
        {
            _eventTime = RealTime;
            next();
        }
    }

    /// <summary>Null at the end.</summary>
    private Action? TakeNext()
    {
        lock (_gate)
        {
            while (!_isDisposed)
            {
                if (!_events.TryPeek(out _, out (long At, long Number) due))
                    Monitor.Wait(_gate);
                else if (due.At > RealTime)
                    Monitor.Wait(_gate, TimeSpan.FromTicks(Math.Max(0, due.At - RealTime)) + TimeSpan.FromMilliseconds(1));
                else
                    return _events.Dequeue();
            }

            return null;
        }
    }
}
